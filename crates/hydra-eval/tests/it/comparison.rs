//! Tables of many systems.

use hydra_eval::{Better, Comparison, ComparisonError, EvalError, Metric, Standing, SystemRun};

fn metrics() -> [Metric; 2] {
    [Metric { name: "MAE".into(), better: Better::Lower }, Metric { name: "accuracy".into(), better: Better::Higher }]
}

/// One query each of 40 users, who are off by `error` and right where that is 0.
fn run(name: &str, standing: Standing, error: impl Fn(usize) -> f64) -> SystemRun {
    let errors: Vec<Vec<f64>> = (0..40).map(|user| vec![error(user)]).collect();
    let right = errors.iter().map(|user| vec![f64::from(user[0] == 0.0)]).collect();
    SystemRun { name: name.into(), standing, values: vec![errors, right], calls: 40, tokens: 4000 }
}

fn comparison() -> Comparison {
    let mut comparison = Comparison::new(metrics());
    // The best baseline depends on the metric: one is never far off, the other often right.
    comparison.add(run("near", Standing::Baseline, |_| 1.0)).unwrap();
    comparison.add(run("often", Standing::Baseline, |user| if user % 2 == 0 { 0.0 } else { 3.0 })).unwrap();
    comparison.add(run("oracle, of both", Standing::Reference, |user| (user % 2) as f64)).unwrap();
    comparison.add(run("ours", Standing::System, |user| if user % 4 == 0 { 2.0 } else { 0.0 })).unwrap();
    comparison.add(run("<swapped>", Standing::Control, |_| 2.0)).unwrap();
    comparison
}

#[test]
fn each_metric_has_its_own_best_baseline_and_a_gain_is_always_good() {
    let table = comparison().table(0.95, 500, 1).unwrap();
    assert_eq!(table.best_baselines, ["near", "often"]);
    assert_eq!((table.users, table.queries), (40, 40));
    let ours = &table.row("ours").unwrap().cells;
    let [mae, accuracy] = [0, 1].map(|metric| ours[metric].gain.unwrap());
    assert_eq!((mae.mean, accuracy.mean), (0.5, 0.25));
    assert_eq!((ours[0].relative_gain, ours[1].relative_gain), (Some(0.5), Some(0.5)));
    assert!(ours[0].is_significant() && mae.low <= 0.5 && 0.5 <= mae.high);
    assert!(table.row("<swapped>").unwrap().cells[0].gain.unwrap().high < 0.0);
    let near = &table.row("near").unwrap().cells;
    assert_eq!((near[0].gain, near[0].is_significant()), (None, false));
    assert!(near[1].gain.is_some());
    assert_eq!(comparison().table(0.95, 500, 1).unwrap(), table);

    let over_near = comparison().gains("ours", "near", 0.95, 500, 1).unwrap();
    assert_eq!(over_near[0], mae, "the same draws as in the table");
    let over_swapped = comparison().gains("ours", "<swapped>", 0.95, 500, 1).unwrap();
    assert_eq!((over_swapped[0].mean, over_swapped[1].mean), (1.5, 0.75));
    assert_eq!(comparison().gains("ours", "nobody", 0.95, 500, 1), None);
}

#[test]
fn a_table_can_be_read_parsed_and_looked_at() {
    let table = comparison().table(0.95, 200, 1).unwrap();
    let text = table.to_string();
    assert_eq!(text.lines().count(), 7, "{text}");
    assert!(text.contains("0.500 [") && text.contains("(best baseline)"), "{text}");
    let width = text.lines().next().unwrap().len();
    assert!(text.lines().take(6).all(|line| line.len() == width), "{text}");
    let csv = table.to_csv();
    assert_eq!(csv.lines().count(), 11);
    assert!(csv.contains("\"oracle, of both\",reference,MAE,0.5,"), "{csv}");
    let json = serde_json::to_value(&table).unwrap();
    assert_eq!(json["rows"][3]["cells"][0]["gain"]["mean"], 0.5);
    let svg = table.to_svg(0).unwrap();
    assert!(svg.contains("&lt;swapped&gt;") && !svg.contains("NaN"), "{svg}");
    assert_eq!(table.to_svg(2), None);
}

#[test]
fn systems_that_did_not_answer_the_same_queries_are_refused() {
    let mut comparison = comparison();
    let twice = comparison.add(run("ours", Standing::System, |_| 0.0));
    assert_eq!(twice, Err(ComparisonError::Twice { name: "ours".into() }));
    let mut short = run("short", Standing::System, |_| 0.0);
    short.values[1].pop();
    let source = EvalError::Lengths { expected: 40, got: 39 };
    assert_eq!(comparison.add(short), Err(ComparisonError::Values { name: "short".into(), source }));
    assert!(comparison.add(run("nan", Standing::System, |_| f64::NAN)).is_err());
    let mut alone = Comparison::new(metrics());
    alone.add(run("ours", Standing::System, |_| 0.0)).unwrap();
    assert_eq!(alone.table(0.95, 10, 1), Err(ComparisonError::NoBaseline));
}

#[test]
fn relative_gains_are_averaged_over_the_metrics() {
    let gain = |name: &str| comparison().table(0.95, 500, 1).unwrap().row(name).unwrap().mean_relative_gain;
    // Half of the MAE of the best baseline is gone, and half as many answers again as its own are right.
    let ours = gain("ours").unwrap();
    assert_eq!(ours.mean, 0.5);
    assert!(0.0 < ours.low && ours.low < 0.5 && 0.5 < ours.high, "{ours:?}");
    // Twice the MAE, and nothing right: -1 and -1, whoever is drawn.
    let swapped = gain("<swapped>").unwrap();
    assert_eq!((swapped.mean, swapped.low, swapped.high), (-1.0, -1.0, -1.0));

    // Over a baseline that is 1 for everybody a share is a difference, with the same draws.
    let mut one = Comparison::new([metrics()[0].clone()]);
    let first = |mut run: SystemRun| {
        run.values.truncate(1);
        run
    };
    one.add(first(run("near", Standing::Baseline, |_| 1.0))).unwrap();
    one.add(first(run("ours", Standing::System, |user| if user % 4 == 0 { 2.0 } else { 0.0 }))).unwrap();
    let table = one.table(0.95, 500, 1).unwrap();
    assert_eq!(table.rows[1].mean_relative_gain, table.rows[1].cells[0].gain);
    assert_eq!(table.rows[0].mean_relative_gain, None, "it is the best baseline");

    // Nothing is a share of nothing.
    let mut perfect = Comparison::new(metrics());
    perfect.add(run("perfect", Standing::Baseline, |_| 0.0)).unwrap();
    perfect.add(run("ours", Standing::System, |_| 1.0)).unwrap();
    assert_eq!(perfect.table(0.95, 50, 1).unwrap().rows[1].mean_relative_gain, None);
}
