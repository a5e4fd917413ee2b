//! What is asked, what counts as right, and what is counted.

use std::num::NonZeroUsize;
use std::sync::Mutex;

use hydra_llm::{
    BoxFuture, Capabilities, Choice, FenceKey, LlmClient, LlmError, Request, Response, ScriptedClient, Template,
    TemplateParts, Usage, block_on,
};
use hydra_train::{
    AdaptRow, CandidateFrom, FitView, History, LabelError, LabelFault, LabelPlan, LabelSet, Marking, PseudoQuery,
    RerankRow, TextRecipe, adapt_labels, rerank_labels,
};
use hydra_types::{Generation, Record, RecordId, Scope, Time, UserId};

type Found = Result<Vec<RecordId>, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) fn view(user: u128, outputs: &[&str]) -> FitView {
    let record = |(id, output): (u32, &&str)| {
        Record::new(RecordId::new(id.into()), Time::from_unix_millis(id.into()), format!("input {id}"), *output)
    };
    let records = (0..).zip(outputs).map(record).collect();
    FitView::of_all(History::new(Scope::acting_for(UserId::new(user)), Generation::FIRST, records).unwrap())
}

pub(crate) fn plan() -> LabelPlan {
    let parts = TemplateParts {
        system: String::new(),
        user: "{{history}}\n{{query}}".into(),
        input_name: "film".into(),
        output_name: "tag".into(),
    };
    LabelPlan::paper(Template::new(parts).unwrap(), FenceKey::new([1; 32]))
}

/// The newest records before the query.
pub(crate) fn newest(query: &PseudoQuery<'_>, most: usize) -> Found {
    Ok(query.earlier().iter().rev().take(most).map(Record::id).collect())
}

/// Whether each answer is as long as what the user wrote.
fn closeness(answer: &str, gold: &str) -> f64 {
    -(answer.len() as f64 - gold.len() as f64).abs()
}

fn short(row: &RerankRow) -> (u64, u64, f64, bool) {
    (row.query.get(), row.record.get(), row.utility, row.label)
}

#[test]
fn a_record_helps_if_the_answer_names_the_users_label() {
    let labels = LabelSet::new(["comedy", "dark comedy", "drama"]).unwrap();
    let views = [view(1, &["drama", "dark comedy", "comedy"])];
    // Query 1 with record 0; query 2 with records 1 and 0.
    let client = ScriptedClient::answering(["Comedy", "It is a comedy.", "drama"]);
    let made = block_on(rerank_labels(&client, &views, &mut newest, &plan(), Marking::Classes(&labels))).unwrap();
    let rows: Vec<_> = made.rows.iter().map(short).collect();
    assert_eq!(rows, [(1, 0, 0.0, false), (2, 1, 1.0, true), (2, 0, 0.0, false)], "comedy is no dark comedy");
    for request in client.asked() {
        assert_eq!((request.temperature, request.n, request.user.unwrap().user), (Some(0.0), 1, UserId::new(1)));
        let prompt = &request.messages[0].text;
        assert_eq!(prompt.lines().filter(|line| line.starts_with("{\"film\"")).count(), 1, "one record alone");
    }
    let own = made.report.users[&UserId::new(1)];
    assert_eq!((made.report.calls, own.queries, own.rows, own.positives), (3, 2, 3, 1));
    assert!(made.report.usage.total_tokens() > 0);
}

#[test]
fn a_text_helps_if_it_is_better_than_the_mean_of_its_own_group() {
    let views = [view(1, &["a", "bb", "ccc"]), view(2, &["a", "bb"])];
    let client = ScriptedClient::answering(["xx", "xxx", "x", "xxxxxxxx"]);
    let made = block_on(rerank_labels(&client, &views, &mut newest, &plan(), Marking::Text(&closeness))).unwrap();
    let rows: Vec<_> = made.rows.iter().map(short).collect();
    // A group of one is never better than its mean; user 2's bad answer does not lift user 1's.
    assert_eq!(rows, [(1, 0, 0.0, false), (2, 1, 0.0, true), (2, 0, -2.0, false), (1, 0, -6.0, false)]);
    let constant = |_: &str, _: &str| 0.1;
    let client = ScriptedClient::answering(["x"; 4]);
    let made = block_on(rerank_labels(&client, &views, &mut newest, &plan(), Marking::Text(&constant))).unwrap();
    assert!(made.rows.iter().all(|row| !row.label), "equal answers are not better than their mean");
}

#[test]
fn what_fails_is_counted_and_nothing_else_is_lost() {
    let labels = LabelSet::new(["comedy", "drama"]).unwrap();
    let views = [view(1, &["drama", "comedy", "comedy"])];
    let reply = |text: &str| Ok(Response::new(vec![Choice::new(text)], Usage::reported(10, 1)));
    let client = ScriptedClient::replying([reply("comedy"), Err(LlmError::ShutDown), reply("comedy")]);
    let made = block_on(rerank_labels(&client, &views, &mut newest, &plan(), Marking::Classes(&labels))).unwrap();
    assert_eq!(made.rows.iter().map(short).collect::<Vec<_>>(), [(1, 0, 1.0, true), (2, 0, 1.0, true)]);
    let failure = &made.report.failures[0];
    assert_eq!((failure.query.get(), failure.record), (2, Some(RecordId::new(1))));
    assert!(matches!(failure.fault, LabelFault::Llm(LlmError::ShutDown)));
    assert_eq!((made.report.calls, made.report.failures.len(), made.report.usage.total_tokens()), (3, 1, 22));

    let mut tight = plan();
    tight.limits.history_bytes = 5;
    let client = ScriptedClient::answering::<&str>([]);
    let made = block_on(rerank_labels(&client, &views, &mut newest, &tight, Marking::Classes(&labels))).unwrap();
    assert!(made.rows.is_empty() && made.report.failures.len() == 3);
    assert!(made.report.failures.iter().all(|failure| matches!(failure.fault, LabelFault::Dropped)));
}

#[test]
fn a_retriever_that_looks_ahead_is_refused_before_anything_is_paid() {
    let labels = LabelSet::new(["comedy", "drama"]).unwrap();
    let views = [view(1, &["drama", "comedy", "comedy"])];
    let refused = |retrieve: &mut dyn FnMut(&PseudoQuery<'_>, usize) -> Found| {
        let client = ScriptedClient::answering::<&str>([]);
        let error = block_on(rerank_labels(&client, &views, retrieve, &plan(), Marking::Classes(&labels))).unwrap_err();
        assert!(client.asked().is_empty());
        error
    };
    let itself = refused(&mut |query, _| Ok(vec![query.record().id()]));
    assert!(matches!(itself, LabelError::NotEarlier { record, query, .. } if record == query));
    let later = refused(&mut |_, _| Ok(vec![RecordId::new(2)]));
    assert!(matches!(later, LabelError::NotEarlier { .. }));
    let twice = refused(&mut |_, _| Ok(vec![RecordId::new(0); 2]));
    assert!(matches!(twice, LabelError::FoundTwice { .. }));
    let broken = refused(&mut |_, _| Err("no index".into()));
    assert!(matches!(broken, LabelError::Retrieve { .. }));
}

#[test]
fn what_cannot_be_marked_is_refused_before_anything_is_paid() {
    let labels = LabelSet::new(["comedy", "drama"]).unwrap();
    let client = ScriptedClient::answering::<&str>([]);
    let views = [view(1, &["drama", "western"])];
    let error = block_on(rerank_labels(&client, &views, &mut newest, &plan(), Marking::Classes(&labels))).unwrap_err();
    assert!(matches!(error, LabelError::NotALabel { record, .. } if record == RecordId::new(1)));
    let nan = |_: &str, _: &str| f64::NAN;
    let error = block_on(rerank_labels(&client, &views, &mut newest, &plan(), Marking::Text(&nan))).unwrap_err();
    assert!(matches!(error, LabelError::Metric { .. }));
    let error = block_on(adapt_labels(
        &client,
        &views,
        &mut newest,
        &plan(),
        Marking::Text(&closeness),
        TextRecipe::RelativeMetric,
    ));
    assert!(matches!(error.unwrap_err(), LabelError::Candidates { wanted: 8, most: 1 }));
}

/// Answers every request with the same candidates.
struct Proposes(&'static [&'static str]);

impl LlmClient for Proposes {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new("proposes");
        capabilities.max_n = 8;
        capabilities
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        assert_eq!((request.n, request.temperature), (8, Some(1.0)));
        let response = Response::new(self.0.iter().map(|text| Choice::new(*text)).collect(), Usage::reported(10, 8));
        Box::pin(async move { Ok(response) })
    }
}

fn adapted(client: &Proposes, outputs: &[&str], marking: Marking<'_>, recipe: TextRecipe) -> Vec<AdaptRow> {
    let made = block_on(adapt_labels(client, &[view(1, outputs)], &mut newest, &plan(), marking, recipe)).unwrap();
    let own = made.report.users[&UserId::new(1)];
    assert_eq!((own.rows, own.positives), (made.rows.len(), made.rows.iter().filter(|row| row.label).count()));
    assert!(!format!("{:?}", made.rows).contains("xx"), "candidates stay out of logs");
    made.rows
}

#[test]
fn both_recipes_for_texts_say_what_was_chosen() {
    let client = Proposes(&["xx", "xxxx", "xx ", "xxxx", "xxxx", "xxxx", "xxxxxxx", "ccc"]);
    let row = |row: &AdaptRow| (row.candidate.clone(), row.count, row.from, row.utility, row.label);
    let rows = adapted(&client, &["a", "ccc"], Marking::Text(&closeness), TextRecipe::RelativeMetric);
    use CandidateFrom::{Model, User};
    // Utilities of the draws: -1, -1, -1, -1, -1, -1, -4, 0: their mean is -1.25.
    let expected = [("xx", 2, -1.0, true), ("xxxx", 4, -1.0, true), ("xxxxxxx", 1, -4.0, false), ("ccc", 1, 0.0, true)];
    assert_eq!(rows.iter().map(row).collect::<Vec<_>>(), expected.map(|(t, n, u, l)| (t.to_owned(), n, Model, u, l)));
    assert!(rows.iter().all(|row| row.history == [RecordId::new(0)]));

    let rows = adapted(&client, &["a", "ccc"], Marking::Text(&closeness), TextRecipe::GoldVsSample);
    let expected = [
        ("ccc", 1, User, 0.0, true),
        ("xx", 2, Model, -1.0, false),
        ("xxxx", 4, Model, -1.0, false),
        ("xxxxxxx", 1, Model, -4.0, false),
    ];
    assert_eq!(rows.iter().map(row).collect::<Vec<_>>(), expected.map(|(t, n, f, u, l)| (t.to_owned(), n, f, u, l)));
}

#[test]
fn a_class_was_chosen_if_it_is_the_users() {
    let labels = LabelSet::new(["comedy", "dark comedy"]).unwrap();
    let client = Proposes(&["comedy", "dark comedy", "Comedy", "", "comedy", "xx", "xx", "comedy"]);
    for recipe in [TextRecipe::GoldVsSample, TextRecipe::RelativeMetric] {
        let rows = adapted(&client, &["comedy", "comedy"], Marking::Classes(&labels), recipe);
        let got: Vec<_> = rows.iter().map(|row| (row.candidate.as_str(), row.count, row.label)).collect();
        assert_eq!(
            got,
            [("comedy", 3, true), ("dark comedy", 1, false), ("Comedy", 1, true), ("", 1, false), ("xx", 2, false)]
        );
    }
}

/// Counts how many calls are under way, and lets each wait until others had their turn.
struct Busy {
    now: Mutex<(usize, usize)>,
}

impl LlmClient for Busy {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new("busy")
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            {
                let mut now = self.now.lock().unwrap();
                now.0 += 1;
                now.1 = now.1.max(now.0);
            }
            // Wakes itself and gives way: all that may begin has begun when it goes on.
            let mut turns = 0;
            std::future::poll_fn(|context| {
                turns += 1;
                context.waker().wake_by_ref();
                if turns > 3 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            })
            .await;
            self.now.lock().unwrap().0 -= 1;
            let text = if request.messages[0].text.len().is_multiple_of(2) { "comedy" } else { "drama" };
            Ok(Response::new(vec![Choice::new(text)], Usage::reported(1, 1)))
        })
    }
}

#[test]
fn so_many_calls_are_under_way_and_it_changes_nothing_else() {
    let labels = LabelSet::new(["comedy", "drama"]).unwrap();
    let views = [view(1, &["drama"; 9]), view(2, &["comedy"; 5])];
    let run = |at_once: usize| {
        let client = Busy { now: Mutex::new((0, 0)) };
        let plan = LabelPlan { at_once: NonZeroUsize::new(at_once).unwrap(), ..plan() };
        let made = block_on(rerank_labels(&client, &views, &mut newest, &plan, Marking::Classes(&labels))).unwrap();
        let most = client.now.lock().unwrap().1;
        assert_eq!(most, at_once);
        made.rows
    };
    assert_eq!(run(1), run(4));
}
