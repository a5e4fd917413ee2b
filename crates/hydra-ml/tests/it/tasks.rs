//! Every task through the whole comparison, on files of its shape that are written here. The model and the body only drive our
//! own logic: nothing is shown about people.

use std::fs;
use std::sync::Mutex;

use hydra_ml::eval::{LampTask, Table, load_json_lines, load_lamp};
use hydra_ml::experiment::{
    Bodies, ExperimentPlan, ExperimentResult, ExperimentTask, Labelling, SplitPlan, TaskSplit, rehearse, run,
};
use hydra_ml::llm::{
    BoxFuture, Capabilities, Cassette, CassetteMode, Choice, EventStream, FenceKey, KeyScope, LengthLimits, LlmClient,
    LlmError, Request, Response, ResponseFormat, Template, TemplateParts, Usage, block_on,
};
use hydra_ml::train::{Audit, Split};
use hydra_ml::types::ndarray::Array2;
use hydra_ml::types::{Body, Fingerprint, PairFeatures};
use serde_json::{Value, json};

/// What users of tasks with texts write.
const PHRASES: [&str; 5] =
    ["a plain account", "so much noise", "what we learned", "ten quick facts", "on human nature"];

/// The first five answers of a task: each user has a usual one.
fn answers(task: LampTask) -> Vec<&'static str> {
    let labels = task.labels();
    if labels.is_empty() { PHRASES.to_vec() } else { labels[..labels.len().min(5)].to_vec() }
}

/// Features of a pair: which of the answers its second text ends with.
struct Endings(Vec<&'static str>);

impl Body for Endings {
    type Error = std::convert::Infallible;

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new([9; 32])
    }

    fn hidden(&self) -> usize {
        self.0.len()
    }

    fn rows_interact(&self) -> bool {
        false
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Self::Error> {
        let ends = |(row, place): (usize, usize)| f32::from(u8::from(pairs[row].1.trim().ends_with(self.0[place])));
        let features = Array2::from_shape_fn((pairs.len(), self.0.len()), ends);
        Ok(PairFeatures { features, cut: vec![0; pairs.len()], tokens: 0 })
    }
}

/// A model that says the answers in turn, and one of the middle where it is sure; `says` puts it into words.
struct InTurn {
    answers: Vec<&'static str>,
    says: fn(&str, &ResponseFormat) -> String,
    asked: Mutex<Vec<Request>>,
}

impl InTurn {
    fn new(answers: Vec<&'static str>) -> Self {
        Self { answers, says: to_the_letter, asked: Mutex::default() }
    }

    fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

/// As the schema wants it, if there is one.
fn to_the_letter(answer: &str, format: &ResponseFormat) -> String {
    let ResponseFormat::JsonSchema { schema, .. } = format else { return answer.to_owned() };
    let value =
        |one: &&Value| one.as_object().unwrap().values().next().unwrap().to_string().trim_matches('"') == answer;
    let all = schema["enum"].as_array().unwrap();
    all.iter().find(value).unwrap_or(&all[0]).to_string()
}

fn in_a_sentence(answer: &str, _: &ResponseFormat) -> String {
    format!("The answer is \"{}\".", answer.to_uppercase())
}

impl LlmClient for InTurn {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new("in turn");
        (capabilities.max_n, capabilities.json_schema) = (8, true);
        capabilities
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        let place =
            |n: usize| if request.temperature == Some(0.0) { self.answers.len() / 2 } else { n % self.answers.len() };
        let said = |n| (self.says)(self.answers[place(n)], &request.response_format);
        let choices = (0..request.n as usize).map(|n| Choice::new(said(n))).collect();
        self.asked.lock().unwrap().push(request);
        Box::pin(async move { Ok(Response::new(choices, Usage::reported(100, 5))) })
    }

    fn stream(&self, _: Request) -> EventStream<'_> {
        unreachable!("nothing is streamed")
    }
}

/// Questions of one split in the benchmark's shape, each of a user with a usual answer.
fn files(task: LampTask, split: &str, users: usize, folder: &std::path::Path) {
    let answers = answers(task);
    let usual = |user: usize| if user.is_multiple_of(2) { answers[0] } else { answers[answers.len() - 1] };
    let record = |user: usize, at: usize| {
        let (text, said) = (format!("{split} record {at} of {user}, about rivers"), usual(user));
        let mut record = match task {
            LampTask::Citation | LampTask::PaperTitle => json!({"abstract": text, "title": said}),
            LampTask::NewsCategory => json!({"text": text, "title": "News", "category": said}),
            LampTask::MovieTag => json!({"description": text, "tag": said}),
            LampTask::ProductRating => json!({"text": text, "score": said}),
            LampTask::Headline | LampTask::MailSubject => json!({"text": text, "title": said}),
            LampTask::Tweet => json!({"text": format!("{text}: {said}")}),
        };
        record["id"] = json!(format!("{user}{at}"));
        record["date"] = json!(format!("2020-01-{:02}", at + 1));
        record
    };
    let marker = match task {
        LampTask::Citation => "",
        LampTask::NewsCategory | LampTask::Headline => "article:",
        LampTask::MovieTag => "description:",
        LampTask::ProductRating => "review:",
        LampTask::PaperTitle => "paper:",
        LampTask::MailSubject | LampTask::Tweet => "this:",
    };
    let question = |user: usize| {
        let profile: Vec<Value> = (0..8).map(|at| record(user, at)).collect();
        json!({"id": user.to_string(), "input": format!("Instruction. {marker} {split} question of {user}, about rivers"), "profile": profile})
    };
    let questions: Vec<Value> = (0..users).map(question).collect();
    let golds: Vec<Value> = (0..users).map(|user| json!({"id": user.to_string(), "output": usual(user)})).collect();
    let name = task.name().trim_end_matches(['N', 'M']).replace('-', "_");
    fs::write(folder.join(format!("{split}_questions.json")), json!(questions).to_string()).unwrap();
    fs::write(folder.join(format!("{split}_outputs.json")), json!({"task": name, "golds": golds}).to_string()).unwrap();
}

fn lamp_split(task: LampTask) -> Split {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let read = |split: &str, users| {
        files(task, split, users, folder);
        let file = |what: &str| folder.join(format!("{split}_{what}.json"));
        load_lamp(task, &file("questions"), Some(&file("outputs"))).unwrap()
    };
    let plan = SplitPlan { train_users: 9, test_users: 12, targets: 1, seed: 0 };
    let made = TaskSplit::of_lamp(task, read("train", 10), read("dev", 14), &plan).unwrap();
    assert_eq!((made.split.train.len(), made.split.test.len()), (9, 12));
    assert_eq!((made.left_out_questions, made.left_out_records), (0, 0), "{}", task.name());
    assert_eq!(Audit::of(&made.split).leaks(), []);
    made.split
}

fn plan() -> ExperimentPlan {
    let mut plan = ExperimentPlan::default();
    plan.train = Labelling { rerank_queries: 3, tried: 2, adapt_queries: 3 };
    plan.test = Labelling { rerank_queries: 5, tried: 2, adapt_queries: 5 };
    plan
}

fn compared(task: LampTask, split: &Split, model: &InTurn) -> ExperimentResult {
    let experiment = ExperimentTask::lamp(task).unwrap();
    let [mut reranker, mut adapter] = [(); 2].map(|()| Endings(answers(task)));
    let bodies = Bodies::new(&mut reranker, &mut adapter);
    block_on(run(split, &experiment, &plan(), bodies, model)).unwrap()
}

fn value(table: &Table, method: &str, metric: usize) -> f64 {
    table.row(method).unwrap_or_else(|| panic!("no {method}")).cells[metric].value.mean
}

#[test]
fn every_task_of_lamp_is_compared_and_usual_answers_are_found() {
    for task in LampTask::ALL {
        let (split, model) = (lamp_split(task), InTurn::new(answers(task)));
        let result = compared(task, &split, &model);
        let table = &result.table;
        assert_eq!((table.users, table.queries), (12, 12));
        let lower_is_better = task == LampTask::ProductRating;
        let (oracle, best) = (value(table, "oracle best of 8", 0), if lower_is_better { 0.0 } else { 1.0 });
        assert_eq!(oracle, best, "{}: {table}", task.name());
        let (zero_shot, hydra) = (value(table, "zero-shot", 0), value(table, "HYDRA", 0));
        if task.records_are_answers() {
            assert_eq!(hydra, best, "{}: {table}", task.name());
            assert!(zero_shot != best, "{}: {table}", task.name());
            assert_eq!((result.own_adapters, value(table, "user's majority answer", 0)), (12, best), "{}", task.name());
        } else {
            assert_eq!((result.own_adapters, result.own_rerankers), (0, 0), "{}", task.name());
            assert_eq!(hydra, value(table, "HYDRA, prior heads", 0), "{}: {table}", task.name());
            assert!(table.row("user's majority answer").is_none());
            // No head is fitted on a past without labels: a curve over them would be one point again and again.
            let grows: Vec<&str> = result.curves.iter().map(|curve| curve.grows.as_str()).collect();
            assert_eq!(grows, ["training users"; 2]);
        }

        // No record of any prompt is a test user's question with its answer.
        let asked = model.asked();
        let is_shown = |text: &str| asked.iter().any(|request| request.messages[1].text.contains(text));
        let (input, output) = (task.prompt().input_name, task.prompt().output_name);
        for target in split.test.iter().flat_map(|user| user.eval.targets()) {
            assert!(is_shown(target.query()), "{}", target.id());
            assert!(!is_shown(&format!("{{\"{input}\":\"{}", target.query())), "{}", target.id());
        }
        assert!(is_shown(&format!("\",\"{output}\":\"")), "records stand in prompts so");
    }
}

/// The same body, which keeps what it was asked about.
struct Kept(Endings, Vec<(String, String)>);

impl Body for Kept {
    type Error = std::convert::Infallible;

    fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    fn hidden(&self) -> usize {
        self.0.hidden()
    }

    fn rows_interact(&self) -> bool {
        self.0.rows_interact()
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Self::Error> {
        self.1.extend(pairs.iter().cloned());
        self.0.pair_features(pairs)
    }
}

#[test]
fn the_router_reads_all_that_is_older_than_the_question_that_has_labels() {
    let task = LampTask::Citation;
    let (split, model) = (lamp_split(task), InTurn::new(answers(task)));
    let mut adapter = Kept(Endings(answers(task)), Vec::new());
    let mut reranker = Endings(answers(task));
    let bodies = Bodies::new(&mut reranker, &mut adapter);
    block_on(run(&split, &ExperimentTask::lamp(task).unwrap(), &plan(), bodies, &model)).unwrap();
    // The newest record of a training user is the question; no other has labels.
    let records = split.train[4].records();
    for record in &records[..records.len() - 1] {
        let pair = (record.input().to_owned(), record.output().to_owned());
        assert!(adapter.1.contains(&pair), "record {} is not read", record.id());
    }
}

#[test]
fn rows_are_named_by_the_plan() {
    let task = LampTask::MovieTag;
    let mut plan = plan();
    (plan.candidates, plan.shown) = (4, 2);
    let [mut reranker, mut adapter] = [(); 2].map(|()| Endings(answers(task)));
    let (experiment, model) = (ExperimentTask::lamp(task).unwrap(), InTurn::new(answers(task)));
    let bodies = Bodies::new(&mut reranker, &mut adapter);
    let table = block_on(run(&lamp_split(task), &experiment, &plan, bodies, &model)).unwrap().table;
    for name in ["summary + BM25 k=2", "majority vote of 4", "oracle best of 4"] {
        assert!(table.row(name).is_some(), "{table}");
    }
}

#[test]
fn what_is_no_mean_over_queries_stands_below_the_table() {
    let below = |task| {
        let result = compared(task, &lamp_split(task), &InTurn::new(answers(task)));
        let of = |method: &str| -> Vec<(&'static str, f64)> {
            result.further.iter().filter(|one| one.method == method).map(|one| (one.metric, one.value)).collect()
        };
        (
            of("zero-shot"),
            of("oracle best of 8"),
            result.table.metrics.iter().map(|one| one.name.clone()).collect::<Vec<_>>(),
        )
    };
    let (zero_shot, oracle, metrics) = below(LampTask::ProductRating);
    assert_eq!(metrics, ["MAE", "accuracy"]);
    assert_eq!(zero_shot, [("RMSE", 2.0), ("MAE, lenient", 2.0), ("RMSE, lenient", 2.0)]);
    assert_eq!(oracle, [("RMSE", 0.0), ("MAE, lenient", 0.0), ("RMSE, lenient", 0.0)]);
    let (_, oracle, metrics) = below(LampTask::MovieTag);
    assert_eq!(metrics, ["accuracy", "accuracy, lenient"]);
    // Two of the fifteen labels are asked for; the others count as 0.
    assert_eq!(oracle, [("macro-F1", 2.0 / 15.0), ("macro-F1, lenient", 2.0 / 15.0)]);
    let (_, oracle, metrics) = below(LampTask::PaperTitle);
    assert_eq!(metrics, ["ROUGE-1", "ROUGE-L"]);
    assert_eq!(oracle, [("ROUGE-1, lenient", 1.0), ("ROUGE-L, lenient", 1.0)]);
}

#[test]
fn an_answer_in_a_sentence_counts_in_the_lenient_column_alone() {
    let task = LampTask::MovieTag;
    let mut model = InTurn::new(answers(task));
    model.says = in_a_sentence;
    let table = compared(task, &lamp_split(task), &model).table;
    assert_eq!((value(&table, "oracle best of 8", 0), value(&table, "oracle best of 8", 1)), (0.0, 1.0), "{table}");
}

#[test]
fn a_rehearsal_asks_as_much_as_a_run() {
    for task in [LampTask::Citation, LampTask::ProductRating, LampTask::Headline] {
        let (split, model, silent) = (lamp_split(task), InTurn::new(answers(task)), InTurn::new(answers(task)));
        compared(task, &split, &model);
        block_on(rehearse(&split, &ExperimentTask::lamp(task).unwrap(), &plan(), &silent)).unwrap();
        assert_eq!(silent.asked().len(), model.asked().len(), "{}", task.name());
    }
}

#[test]
fn a_run_from_its_cassette_asks_nothing_and_gives_the_same_table() {
    let task = LampTask::Headline;
    let (split, experiment) = (lamp_split(task), ExperimentTask::lamp(task).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.cassette");
    let compare = |mode| {
        let client = Cassette::open(InTurn::new(answers(task)), &path, mode, KeyScope::User).unwrap();
        let [mut reranker, mut adapter] = [(); 2].map(|()| Endings(answers(task)));
        let bodies = Bodies::new(&mut reranker, &mut adapter);
        block_on(run(&split, &experiment, &plan(), bodies, &client)).unwrap().table
    };
    assert_eq!(compare(CassetteMode::Record), compare(CassetteMode::Replay));
}

#[test]
fn a_task_of_ones_own_is_compared() {
    let folder = tempfile::tempdir().unwrap();
    let description = json!({
        "name": "soups",
        "answers": "rating",
        "prompt": {"user": "{{history}}\nHow is this? {{query_data}}", "input_name": "soup", "output_name": "stars"},
        "max_tokens": 7,
        "histories": "soups.jsonl",
    });
    let line = |n: usize| {
        let (user, at) = (n / 10, n % 10);
        let stars = if user.is_multiple_of(2) { 1 } else { 5 };
        let time = 1_700_000_000_000_u64 + at as u64;
        // The last two lines of each user are the same but for their time.
        json!({"user": format!("user {user}"), "time": time, "input": format!("soup {} of {user}", at.min(8)), "output": stars}).to_string()
    };
    fs::write(folder.path().join("soups.json"), description.to_string()).unwrap();
    fs::write(folder.path().join("soups.jsonl"), (0..200).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let (task, users) = load_json_lines(&folder.path().join("soups.json")).unwrap();
    let plan_of_users = SplitPlan { train_users: 7, test_users: 10, targets: 2, seed: 1 };
    let made = TaskSplit::of_users(users, &plan_of_users).unwrap();
    assert_eq!((made.split.train.len(), made.split.test.len(), made.left_out_records), (7, 10, 20));
    assert_eq!(Audit::of(&made.split).leaks(), []);

    let model = InTurn::new(vec!["1", "2", "3", "4", "5"]);
    let experiment = ExperimentTask::json_lines(&task).unwrap();
    let [mut reranker, mut adapter] = [(); 2].map(|()| Endings(vec!["1", "2", "3", "4", "5"]));
    let bodies = Bodies::new(&mut reranker, &mut adapter);
    let table = block_on(run(&made.split, &experiment, &plan(), bodies, &model)).unwrap().table;
    assert_eq!((table.queries, value(&table, "zero-shot", 0), value(&table, "HYDRA", 0)), (20, 2.0, 0.0), "{table}");
    let asked = model.asked();
    let labels: Vec<&Request> = asked.iter().filter(|request| request.max_tokens == Some(7)).collect();
    let ResponseFormat::JsonSchema { name, schema } = &labels[0].response_format else { panic!("no schema") };
    assert_eq!((name.as_str(), &schema["enum"][4]), ("stars", &json!({"stars": 5})));
    assert!(!asked.iter().any(|request| request.messages.iter().any(|message| message.text.contains("user 1"))));
}

/// Answers are recorded by a hash of the request: whatever changes one of these throws recordings away.
#[test]
fn movielens_is_asked_as_it_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let description = json!({"name": "films", "answers": "rating", "prompt": {"user": "{{history}}{{query}}"}, "histories": "films.jsonl"});
    let line = |n: usize| json!({"user": n / 4, "time": n, "input": format!("film {n}"), "output": 4}).to_string();
    fs::write(folder.path().join("films.json"), description.to_string()).unwrap();
    fs::write(folder.path().join("films.jsonl"), (0..20).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let (_, users) = load_json_lines(&folder.path().join("films.json")).unwrap();
    let split =
        TaskSplit::of_users(users, &SplitPlan { train_users: 2, test_users: 2, targets: 1, seed: 0 }).unwrap().split;
    let model = InTurn::new(vec!["4", "5"]);
    block_on(rehearse(&split, &ExperimentTask::movielens().unwrap(), &plan(), &model)).unwrap();
    let asked = model.asked();

    let rendered = |system: &str, user: &str, query: &str| {
        let (input_name, output_name) = ("film".to_owned(), "rating".to_owned());
        let parts = TemplateParts { system: system.to_owned(), user: user.to_owned(), input_name, output_name };
        let records: Vec<_> = match query {
            "" => split.test[0].fit.records().iter().rev().collect(),
            _ => Vec::new(),
        };
        let template = Template::new(parts).unwrap();
        template.render(&records, query, &FenceKey::new([0; 32]), &LengthLimits::default()).unwrap().messages
    };
    let user = &split.test[0];
    let tag = asked.iter().find_map(|request| request.user.filter(|tag| tag.user == user.fit.user()));
    let request = |messages, max_tokens, name: &str, schema| {
        let mut request = Request::new(messages);
        (request.temperature, request.max_tokens, request.user) = (Some(0.0), Some(max_tokens), tag);
        request.response_format = ResponseFormat::JsonSchema { name: name.to_owned(), schema };
        request
    };
    let query = user.eval.targets()[0].query();
    let system = "You rate films from 1 to 5: 1 is very bad, 2 is bad, 3 is fair, 4 is good, 5 is very good.";
    let messages = rendered(system, "{{history}}\nRate this film for the same person, as JSON: {{query}}", query);
    let ratings = json!({"enum": [{"rating": 1}, {"rating": 2}, {"rating": 3}, {"rating": 4}, {"rating": 5}]});
    let mut zero_shot = request(messages, 16, "rating", ratings);
    assert!(asked.contains(&zero_shot));
    (zero_shot.temperature, zero_shot.n) = (Some(1.0), 8);
    assert!(asked.iter().any(|request| {
        (request.temperature, request.n, &request.response_format) == (Some(1.0), 8, &zero_shot.response_format)
    }));
    let profile = asked.iter().find(|request| request.max_tokens == Some(40)).unwrap();
    let messages = rendered(
        "You describe a person's taste in films.",
        "{{history}}\nWhich kind of film does this person like best, and what is their usual rating? Answer as JSON.{{query}}",
        "",
    );
    assert_eq!(profile.messages[0], messages[0]);
    assert!(asked.iter().any(|request| request.messages == messages));
    let ResponseFormat::JsonSchema { name, schema } = &profile.response_format else { panic!("no schema") };
    assert_eq!((name.as_str(), schema["enum"].as_array().unwrap().len()), ("profile", 90));
    assert_eq!(schema["enum"][0], json!({"likes": "Action", "usual_rating": 1}));
}
