//! Three people are served by the pipeline itself.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use hydra_llm::{BoxFuture, Capabilities, EventStream, FenceKey, LlmClient, LlmError, Request, Response, block_on};
use hydra_ml::experiment::{ExperimentPlan, ExperimentTask, Learned};
use hydra_ml::heads::Outcome;
use hydra_ml::{Answer, Ask, Feedback, FittedStage, Personalizer};
use hydra_onnx::Encoder;
use hydra_store::{Store, StoreKey};
use hydra_train::{Split, TestUser};

/// Learns each user's past into a store, fits their heads there, and asks what they were asked, of the model itself.
pub(super) fn answer(
    split: &Split,
    task: &ExperimentTask,
    learned: &Learned,
    plan: &ExperimentPlan,
    [reranker, adapter]: [Encoder; 2],
    model: &Arc<dyn LlmClient>,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = Store::create(&folder.path().join("store"), &StoreKey::create_file(&folder.path().join("key"))?)?;
    let said = Arc::new(Mutex::new(Vec::new()));
    let client = Reading { task: task.clone(), client: Arc::clone(model), said: Arc::clone(&said) };
    // What is quoted here is nobody's secret; a deployment draws a key of its own.
    let hydra = Personalizer::builder(Arc::new(store), client, task.template().clone(), FenceKey::new([0; 32]))
        .personal_reranker(reranker, Arc::clone(&learned.reranker), plan.record_template.clone())?
        .personal_adapter(adapter, Arc::clone(&learned.adapter), plan.candidate_template.clone())?
        .retrieve(hydra_ml::Retrieval::Words, plan.retrieved)
        .show(plan.shown)
        .candidates(plan.candidates, 1.0)
        .max_tokens(task.max_tokens())
        .response_format(task.response_format())
        .build()?;
    for user in split.test.iter().take(USERS) {
        learn(&hydra, user, learned)?;
        let fitted = block_on(hydra.fit(user.fit.scope()))?;
        for target in user.eval.targets() {
            let answer = block_on(hydra.answer(Ask::new(user.fit.scope(), target.query(), target.time())))?;
            println!(
                "\nuser {}, {} past ratings, asked for: {}",
                user.fit.user().get(),
                user.fit.records().len(),
                target.query()
            );
            print(user, &answer, &said.lock().expect("nothing panics while it is held"));
            println!("  the user gave {}", target.gold());
        }
        for (name, fitted) in [("reranker", fitted.reranker), ("adapter", fitted.adapter)] {
            println!("  the {name}'s head: {}", fitted.map_or("no labels, the prior head".to_owned(), said_of));
        }
    }
    Ok(())
}

fn said_of(FittedStage { rows, outcome, .. }: FittedStage) -> String {
    match outcome {
        Outcome::Fitted => format!("their own, from {rows} labels"),
        Outcome::Prior(reason) => format!("the prior head, since {rows} labels gave no better one: {reason:?}"),
    }
}

/// The past, and what the labels say of it, as feedback.
fn learn(hydra: &Personalizer, user: &TestUser, learned: &Learned) -> Result<()> {
    let (scope, view) = (user.fit.scope(), &user.fit);
    block_on(hydra.learn(scope, view.records().to_vec()))?;
    for row in learned.rerank_rows.iter().filter(|row| row.user == view.user()) {
        if let Some(query) = view.record(row.query) {
            block_on(hydra.feedback(scope, Feedback::record(query.input(), row.record, row.label)))?;
        }
    }
    for row in learned.adapt_rows.iter().filter(|row| row.user == view.user()) {
        if let Some(query) = view.record(row.query) {
            let feedback = Feedback::candidate(query.input(), &row.history, &row.candidate, row.label);
            block_on(hydra.feedback(scope, feedback))?;
        }
    }
    Ok(())
}

fn print(user: &TestUser, answer: &Answer, said: &[String]) {
    let trace = &answer.trace;
    let score = |id| trace.reranked.iter().flatten().find(|scored| scored.id == id).map(|scored| scored.score.get());
    for &id in &trace.shown {
        if let Some(record) = user.fit.record(id) {
            let score = score(id).map_or(String::new(), |score| format!("  (reranker {score:.2})"));
            println!("  shown: {} -> {}{score}", record.input(), record.output());
        }
    }
    for candidate in &trace.candidates {
        let score = candidate.score.map_or(String::new(), |score| format!("  (adapter {:.2})", score.get()));
        println!("  candidate: {}, {} times of {}{score}", said[candidate.index], candidate.count, said.len());
    }
    let times = trace.times;
    let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    println!(
        "  picked: {}  ({} tokens; find {:.0} ms, rerank {:.0} ms, ask {:.0} ms, pick {:.0} ms)",
        answer.text,
        trace.usage.total_tokens(),
        millis(times.retrieve),
        millis(times.rerank),
        millis(times.generate),
        millis(times.adapt)
    );
}

/// The model, with every answer read as the task reads it, and the last ones kept: a trace has no texts.
struct Reading {
    task: ExperimentTask,
    client: Arc<dyn LlmClient>,
    said: Arc<Mutex<Vec<String>>>,
}

impl LlmClient for Reading {
    fn capabilities(&self) -> Capabilities {
        self.client.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            let mut response = self.client.complete(request).await?;
            for choice in &mut response.choices {
                choice.text = self.task.read(&choice.text);
            }
            let said = response.choices.iter().map(|choice| choice.text.clone()).collect();
            *self.said.lock().expect("nothing panics while it is held") = said;
            Ok(response)
        })
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        self.client.stream(request)
    }
}

const USERS: usize = 3;
