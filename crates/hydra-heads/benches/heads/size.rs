//! Bytes a user for each kind and precision, and how far the ranking moves from that of the same head in `f32`.

use hydra_heads::{AdamW, Fit, Head, Precision, Stamp, pack};
use hydra_types::{Generation, UserId};

use crate::fit::{Fitter, log_odds};
use crate::measure::{Report, mean};
use crate::population::{Population, User};

const HIDDEN: usize = 384;
const USERS: u64 = 6;

pub(crate) fn measure(report: &mut Report) {
    let population = Population::new(3, HIDDEN);
    let shared = &population.shared;
    let mut at_99 = f64::INFINITY;
    let users: Vec<(User, User)> =
        (0..USERS).map(|n| (population.user(n, 0, 100), population.user(n, 1, 500))).collect();
    let kinds: [(&str, Fitter<'_>); 3] = [
        ("full", &|user| AdamW::paper(1).learning_rate(1e-3).batches(16, 10).run(shared, &user.rows()).unwrap().head),
        ("linear", &|user| Fit::linear().run(shared, &user.rows()).unwrap().head),
        ("lowrank", &|user| Fit::low_rank(4, 1).run(shared, &user.rows()).unwrap().head),
    ];
    for (name, fit) in kinds {
        let fitted: Vec<(Head, &User)> = users.iter().map(|(seen, unseen)| (fit(seen), unseen)).collect();
        for precision in Precision::ALL {
            let stamp = Stamp { user: UserId::new(1), generation: Generation::FIRST };
            let bytes = pack(&fitted[0].0.to_precision(precision), stamp).len();
            let bytes = f64::from(u32::try_from(bytes).unwrap());
            let taus = fitted.iter().map(|(head, unseen)| {
                let exact = log_odds(&population, head.clone(), unseen);
                kendall_tau(&exact, &log_odds(&population, head.to_precision(precision), unseen))
            });
            let tau = mean(&taus.collect::<Vec<f64>>());
            let precision = format!("{precision:?}").to_lowercase();
            report.add(format!("bytes_{name}_{precision}"), bytes);
            report.add(format!("tau_{name}_{precision}"), tau);
            // Of the kind that can say most beside the full head.
            if name == "lowrank" && tau >= 0.99 {
                at_99 = at_99.min(bytes);
            }
        }
    }
    report.add("bytes_per_user_at_tau_99", at_99);
}

/// Kendall's tau-a: concordant pairs less discordant ones, over all pairs.
fn kendall_tau(a: &[f32], b: &[f32]) -> f64 {
    let mut sum = 0i32;
    let mut pairs = 0i32;
    for i in 0..a.len() {
        for j in 0..i {
            sum += (a[i].total_cmp(&a[j]) as i32) * (b[i].total_cmp(&b[j]) as i32);
            pairs += 1;
        }
    }
    f64::from(sum) / f64::from(pairs)
}
