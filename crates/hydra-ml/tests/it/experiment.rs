//! The comparison, on a population whose tastes are planted. It shows that our own logic finds them, and nothing about
//! people.

use std::collections::BTreeSet;
use std::sync::Mutex;

use hydra_ml::experiment::{
    Bodies, ExperimentError, ExperimentPlan, ExperimentResult, ExperimentTask, adapter_rows, run,
};
use hydra_ml::llm::{
    AnswerFault, BoxFuture, Capabilities, Choice, EventStream, LlmClient, LlmError, Request, Response, Usage, Withheld,
    block_on,
};
use hydra_ml::train::{FitView, History, Split, Splitter};
use hydra_ml::types::ndarray::Array2;
use hydra_ml::types::{
    Body, CandidateTemplate, Fingerprint, Generation, PairFeatures, Record, RecordId, Scope, Time, UserId,
};

/// Features of a pair: which rating stands at the end of its second text, and, faintly, which film the first is about.
struct Ratings;

impl Body for Ratings {
    type Error = std::convert::Infallible;

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new([9; 32])
    }

    fn hidden(&self) -> usize {
        6
    }

    fn rows_interact(&self) -> bool {
        false
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Self::Error> {
        let rating = |row: usize| pairs[row].1.trim().chars().last().and_then(|last| last.to_digit(10));
        let says = |row, place| f32::from(u8::from(rating(row) == u32::try_from(place + 1).ok()));
        let film = |row: usize| pairs[row].0.bytes().map(f32::from).sum::<f32>() % 97.0 / 970.0;
        let number = |(row, place)| if place == 5 { film(row) } else { says(row, place) };
        let features = Array2::from_shape_fn((pairs.len(), 6), number);
        Ok(PairFeatures { features, cut: vec![0; pairs.len()], tokens: 0 })
    }
}

/// A model that says 1 to 5 in turn, and 3 where it is sure.
#[derive(Default)]
struct Guessing {
    asked: Mutex<Vec<Request>>,
}

impl LlmClient for Guessing {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new("guessing");
        (capabilities.max_n, capabilities.json_schema) = (8, true);
        capabilities
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        let said = |n: u32| if request.temperature == Some(0.0) { 3 } else { n % 5 + 1 };
        let choices = (0..request.n).map(|n| Choice::new(format!("{{\"rating\":{}}}", said(n)))).collect();
        self.asked.lock().unwrap().push(request);
        Box::pin(async move { Ok(Response::new(choices, Usage::reported(100, 5))) })
    }

    fn stream(&self, _: Request) -> EventStream<'_> {
        unreachable!("nothing is streamed")
    }
}

/// Users who nearly always give the same rating: 1 or 5.
fn population() -> Split {
    let record = |user: u64, at: u64| {
        let usual = if user.is_multiple_of(2) { 1 } else { 5 };
        let rating = if at % 7 == 3 { 3 } else { usual };
        let time = Time::from_unix_millis(i64::try_from(at).unwrap() * 1000);
        Record::new(RecordId::new(at), time, format!("film {at} of {user}, a drama"), rating.to_string())
    };
    let history = |user: u64| {
        let records = (0..20).map(|at| record(user, at)).collect();
        History::new(Scope::acting_for(UserId::new(user.into())), Generation::FIRST, records).unwrap()
    };
    Splitter::new(20, 2, 4).split((0..30).map(history).collect()).unwrap()
}

fn says(request: &Request, text: &str) -> bool {
    request.messages.iter().any(|message| message.text.contains(text))
}

#[test]
fn planted_tastes_are_found_and_controls_fail() {
    let (split, task, model) = (population(), ExperimentTask::movielens().unwrap(), Guessing::default());
    let mut plan = ExperimentPlan::default();
    (plan.train.tried, plan.test.tried) = (3, 3);
    let result = block_on(run(&split, &task, &plan, Bodies::new(&mut Ratings, &mut Ratings), &model)).unwrap();
    let table = &result.table;
    assert_eq!((table.users, table.queries), (20, 40));
    assert_eq!(table.best_baselines, ["zero-shot", "zero-shot"]);
    let mae = |name: &str| table.row(name).unwrap().cells[0].value.mean;
    assert_eq!(mae("zero-shot"), 2.0);
    assert_eq!(mae("oracle best of 8"), 0.0);
    assert_eq!(mae("user's majority answer"), 0.0);
    assert_eq!((mae("HYDRA-adapter"), mae("HYDRA")), (0.0, 0.0));
    assert_eq!(result.own_adapters, 20);
    assert!(mae("HYDRA, heads swapped") > 1.0, "{table}");
    assert!(mae("HYDRA, labels permuted") > 1.0, "{table}");
    assert!(table.row("HYDRA").unwrap().cells[0].is_significant());
    let [own_over_prior, own_over_swapped] = &result.personal[..] else { panic!("{:?}", result.personal) };
    let mean = |name: &str| table.row(name).unwrap().cells[0].value.mean;
    for (gain, over) in [(own_over_prior, "HYDRA, prior heads"), (own_over_swapped, "HYDRA, heads swapped")] {
        assert_eq!(gain.over, over);
        assert!((gain.gains[0].mean - (mean(over) - mean(&gain.system))).abs() < 1e-9);
        assert!(gain.gains[0].low > 0.5, "{gain:?}");
    }
    assert_eq!(table.row("user's majority answer").unwrap().calls, 0);

    // Nothing that is asked holds what a test user answered to a target, and the same run gives the same table.
    let asked = model.asked.lock().unwrap().clone();
    let targets: Vec<_> = split.test.iter().flat_map(|user| user.eval.targets()).collect();
    for target in targets {
        let with_answer = format!("\"{}\",\"rating\"", target.query());
        assert!(!asked.iter().any(|request| says(request, &with_answer)));
    }
    assert!(asked.iter().any(|request| says(request, "a drama\",\"rating\"")), "records stand in prompts so");
    let again =
        block_on(run(&split, &task, &plan, Bodies::new(&mut Ratings, &mut Ratings), &Guessing::default())).unwrap();
    assert_eq!(again.table, result.table);
}

#[test]
fn a_body_learns_from_training_users_alone_and_sees_their_history() {
    let (split, task, model) = (population(), ExperimentTask::movielens().unwrap(), Guessing::default());
    let mut plan = ExperimentPlan::default();
    plan.candidate_template = CandidateTemplate::with_history();
    let rows = block_on(adapter_rows(&split, &task, &plan, &model)).unwrap();
    let trained: BTreeSet<UserId> = rows.iter().map(|row| row.user).collect();
    assert_eq!(trained, split.train.iter().map(FitView::user).collect());
    // A call for every past query of the ten, and five candidates of each.
    assert_eq!((model.asked.lock().unwrap().len(), rows.len()), (100, 500));
    for row in &rows {
        let user = row.user.get();
        let (query, history) = row.pair.0.split_once('\n').unwrap();
        assert!(query.ends_with(&format!(" of {user}, a drama")), "{query}");
        assert!(history.lines().all(|line| line.contains(&format!(" of {user}, a drama "))), "{history}");
        assert!(!history.contains(query), "{history}");
        let usual = if user.is_multiple_of(2) { "1" } else { "5" };
        let is_three = query.split(' ').nth(1).unwrap().parse::<u64>().unwrap() % 7 == 3;
        assert_eq!(row.label, row.pair.1 == if is_three { "3" } else { usual }, "{row:?}");
    }
    assert!(!format!("{:?}", rows[0]).contains("film"));
}

/// The same model behind a server that answers some requests with an error.
struct Refusing<F> {
    model: Guessing,
    refusal: F,
}

impl<F: Fn(&Request) -> Option<LlmError> + Send + Sync> LlmClient for Refusing<F> {
    fn capabilities(&self) -> Capabilities {
        self.model.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        match (self.refusal)(&request) {
            Some(error) => {
                self.model.asked.lock().unwrap().push(request);
                Box::pin(async move { Err(error) })
            }
            None => self.model.complete(request),
        }
    }

    fn stream(&self, _: Request) -> EventStream<'_> {
        unreachable!("nothing is streamed")
    }
}

fn status(status: u16) -> LlmError {
    LlmError::Status { status, code: None, retry_after: None, said: Withheld::new("no") }
}

/// What comes of it, and how many calls were made.
fn refused(
    refusal: impl Fn(&Request) -> Option<LlmError> + Send + Sync,
) -> (Result<ExperimentResult, ExperimentError>, usize) {
    let (split, task) = (population(), ExperimentTask::movielens().unwrap());
    let client = Refusing { model: Guessing::default(), refusal };
    let mut plan = ExperimentPlan::default();
    (plan.train.rerank_queries, plan.test.rerank_queries, plan.train.tried, plan.test.tried) = (2, 2, 2, 2);
    let result = block_on(run(&split, &task, &plan, Bodies::new(&mut Ratings, &mut Ratings), &client));
    let asked = client.model.asked.lock().unwrap().len();
    (result, asked)
}

#[test]
fn a_query_that_is_refused_counts_as_unreadable_and_the_others_are_judged() {
    let split = population();
    let refused_query = split.test[3].eval.targets()[1].query().to_owned();
    let faults: [fn() -> LlmError; 3] = [
        || LlmError::ContextOverflow { said: Withheld::new("too long") },
        || status(400),
        || AnswerFault::Empty.into(),
    ];
    for fault in faults {
        let (result, _) = refused(|request| says(request, &refused_query).then(fault));
        let result = result.unwrap();
        // It says 3 of 1 and 5; what cannot be read is taken to be off by four.
        let zero_shot = &result.table.row("zero-shot").unwrap().cells[0];
        assert!((zero_shot.value.mean - (39.0 * 2.0 + 4.0) / 40.0).abs() < 1e-9, "{}", result.table);
        let unanswered: Vec<(&str, u64)> =
            result.unanswered.iter().map(|one| (one.method.as_str(), one.calls)).collect();
        assert_eq!(unanswered.len(), 16, "{unanswered:?}");
        assert!(unanswered.contains(&("HYDRA", 1)) && unanswered.iter().all(|&(_, calls)| calls == 1));
        assert!(!unanswered.iter().any(|&(method, _)| method == "user's majority answer"));
        assert_eq!(result.labels.failed, 0);
    }
}

#[test]
fn what_concerns_every_request_ends_the_run_at_once() {
    for fault in [|| status(401), || status(503), || LlmError::ShutDown] {
        let (result, asked) = refused(|_| Some(fault()));
        assert!(matches!(result, Err(ExperimentError::Llm(_))), "{:?}", fault());
        assert!(asked <= 4, "{asked} calls were made after the first had failed");
    }
    // A bad request is bad for a reason that all share where none is answered.
    let (result, _) = refused(|_| Some(status(400)));
    assert!(matches!(result, Err(ExperimentError::Llm(LlmError::Status { status: 400, .. }))));
}
