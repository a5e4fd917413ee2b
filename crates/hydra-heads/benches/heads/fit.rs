//! One user's fit from 100 cached rows at `hidden` = 384, and what it is worth on rows that it has not seen.

use hydra_heads::{AdamW, Features, Fit, Head, HeadBank, HeadName};
use hydra_types::UserId;
use std::sync::Arc;

use crate::measure::{Report, cpu_ms, mean, median};
use crate::population::{BODY, Population, User};

const HIDDEN: usize = 384;
const USERS: u64 = 15;
const RANK: usize = 4;

/// Something that fits a user.
pub(crate) type Fitter<'a> = &'a dyn Fn(&User) -> Head;

pub(crate) fn measure(report: &mut Report) {
    let population = Population::new(2, HIDDEN);
    let rows: Vec<(User, User)> =
        (0..USERS).map(|n| (population.user(n, 0, 100), population.user(n, 1, 400))).collect();
    let shared = &population.shared;
    let fitters: [(&str, Fitter<'_>); 4] = [
        ("linear", &|user| Fit::linear().run(shared, &user.rows()).unwrap().head),
        ("lowrank", &|user| Fit::low_rank(RANK, 1).run(shared, &user.rows()).unwrap().head),
        ("adamw", &|user| AdamW::paper(1).run(shared, &user.rows()).unwrap().head),
        // The paper's numbers are for many users together. For 100 rows this was the best of rates from 1e-3 to 3e-2 with
        // 10 or 30 epochs: higher rates end above the prior head's loss.
        ("adamw_tuned", &|user| {
            AdamW::paper(1).learning_rate(1e-3).batches(16, 10).run(shared, &user.rows()).unwrap().head
        }),
    ];
    for (name, fitter) in fitters {
        let (mut times, mut losses) = (Vec::new(), Vec::new());
        for (seen, unseen) in &rows {
            let mut head = None;
            times.push(cpu_ms(|| head = Some(fitter(seen))));
            losses.push(unseen.log_loss(&log_odds(&population, head.unwrap(), unseen)));
        }
        report.add(format!("fit_{name}_ms"), median(times));
        report.add(format!("logloss_{name}"), mean(&losses));
    }
    let of = |odds: fn(&Population, &User) -> Vec<f32>| {
        mean(&rows.iter().map(|(_, unseen)| unseen.log_loss(&odds(&population, unseen))).collect::<Vec<_>>())
    };
    report.add("logloss_prior", of(prior_log_odds));
    report.add("logloss_truth", of(|_, user| user.truth.clone()));
}

/// The log-odds that `head` gives a user's rows.
pub(crate) fn log_odds(population: &Population, head: Head, user: &User) -> Vec<f32> {
    let mut bank = HeadBank::new(Arc::clone(&population.shared));
    bank.insert(UserId::new(1), head).unwrap();
    let names = vec![HeadName::User(UserId::new(1)); user.labels.len()];
    bank.log_odds(&names, &Features::new(BODY, &user.features).unwrap()).unwrap()
}

fn prior_log_odds(population: &Population, user: &User) -> Vec<f32> {
    let names = vec![HeadName::Prior; user.labels.len()];
    let features = Features::new(BODY, &user.features).unwrap();
    HeadBank::new(Arc::clone(&population.shared)).log_odds(&names, &features).unwrap()
}
