//! Asking the language model.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use futures_util::{StreamExt, stream};
use hydra_llm::{
    AnswerFault, BoxFuture, Capabilities, EventStream, LengthLimits, LlmClient, LlmError, Message, Request, Response,
    Usage, UserTag,
};
use hydra_types::{Record, RecordId, Time};

use super::{Asked, ExperimentError, ExperimentPlan, ExperimentTask, Took};

pub(super) struct Asker<'a> {
    pub(super) task: &'a ExperimentTask,
    pub(super) client: Reading<'a>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(task: &'a ExperimentTask, client: &'a dyn LlmClient) -> Self {
        Self { task, client: Reading { task, client, over: OnceLock::new() } }
    }
}

/// The client, with every answer read as the task reads it. It asks nothing more once an error says that no request will be
/// answered.
pub(super) struct Reading<'a> {
    task: &'a ExperimentTask,
    client: &'a dyn LlmClient,
    over: OnceLock<LlmError>,
}

impl LlmClient for Reading<'_> {
    fn capabilities(&self) -> Capabilities {
        self.client.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            if let Some(error) = self.over.get() {
                return Err(error.clone());
            }
            let mut response = match self.client.complete(request).await {
                Err(error) if !concerns_one_request(&error) => {
                    // Of two that come at once, one is enough.
                    let _ = self.over.set(error.clone());
                    return Err(error);
                }
                answer => answer?,
            };
            for choice in &mut response.choices {
                choice.text = self.task.read(&choice.text);
            }
            Ok(response)
        })
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        self.client.stream(request)
    }
}

/// Whether another request may well be answered: this one is too long, or is refused for what it says, or the answer to it
/// cannot be read. Wrong keys, spent budgets, endpoints that are gone and cassettes without the answer are none of these.
pub(super) fn concerns_one_request(error: &LlmError) -> bool {
    match error {
        LlmError::ContextOverflow { .. } => true,
        LlmError::Status { status, .. } => matches!(status, 400 | 413 | 422 | 451),
        LlmError::BadAnswer(fault) => !matches!(fault, AnswerFault::NotJson { .. } | AnswerFault::WebPage),
        _ => false,
    }
}

/// Requests without a usable answer.
#[derive(Default)]
pub(super) struct Failures {
    pub(super) calls: u64,
    last: Option<LlmError>,
}

impl Failures {
    /// Counts an error.
    ///
    /// # Errors
    /// The error itself, if it does not concern this request alone.
    pub(super) fn count(&mut self, error: &LlmError) -> Result<(), LlmError> {
        if !concerns_one_request(error) {
            return Err(error.clone());
        }
        self.calls += 1;
        self.last = Some(error.clone());
        Ok(())
    }

    /// The answer; none if there is none to this request.
    fn settle(&mut self, answer: Result<Response, LlmError>) -> Result<Option<Response>, LlmError> {
        match answer {
            Ok(response) if response.choices.is_empty() => {
                self.count(&AnswerFault::Empty.into())?;
                Ok(None)
            }
            Ok(response) => Ok(Some(response)),
            Err(error) => self.count(&error).map(|()| None),
        }
    }

    /// How many there are.
    ///
    /// # Errors
    /// The last of them, if none of `calls` requests was answered and it does not say itself that it is about the request:
    /// what is refused then is not one request.
    pub(super) fn of(self, calls: u64) -> Result<u64, LlmError> {
        match self.last {
            Some(LlmError::ContextOverflow { .. } | LlmError::BadAnswer(AnswerFault::Empty)) | None => Ok(self.calls),
            Some(_) if self.calls < calls => Ok(self.calls),
            Some(error) => Err(error),
        }
    }
}

/// What a method was answered: for each query all candidates, in the order of the queries. Where there is no answer, a blank one
/// stands in its place, which no reading takes for one.
pub(super) struct Answered {
    pub(super) candidates: Vec<Vec<String>>,
    pub(super) calls: u64,
    pub(super) failed: u64,
    pub(super) usage: Usage,
}

impl Answered {
    /// The first candidates.
    pub(super) fn first(&self) -> Vec<String> {
        self.candidates.iter().map(|said| said.first().cloned().unwrap_or_default()).collect()
    }
}

impl Asker<'_> {
    /// One answer at temperature 0 to each query, with these records shown.
    pub(super) async fn greedy(
        &self,
        asked: &[Asked<'_>],
        shown: &[Vec<&Record>],
    ) -> Result<Answered, ExperimentError> {
        self.ask(asked, shown, 0.0, 1).await
    }

    /// Several answers at temperature 1.
    pub(super) async fn candidates(
        &self,
        asked: &[Asked<'_>],
        shown: &[Vec<&Record>],
        plan: &ExperimentPlan,
    ) -> Result<Answered, ExperimentError> {
        self.ask(asked, shown, 1.0, plan.candidates).await
    }

    async fn ask(
        &self,
        asked: &[Asked<'_>],
        shown: &[Vec<&Record>],
        temperature: f32,
        n: u32,
    ) -> Result<Answered, ExperimentError> {
        let plan = self.task.label_plan();
        let request = |(asked, shown): (&Asked<'_>, &Vec<&Record>)| {
            let rendered = plan.template.render(shown, asked.target.query(), &plan.key, &plan.limits)?;
            let mut request = self.request(asked, rendered.messages);
            request.max_tokens = plan.max_tokens;
            request.response_format = plan.response_format.clone();
            request.temperature = Some(temperature);
            request.n = n;
            Ok(request)
        };
        let requests: Vec<Request> = asked.iter().zip(shown).map(request).collect::<Result<_, ExperimentError>>()?;
        let calls = requests.len() as u64;
        let mut answered = Answered { candidates: Vec::new(), calls, failed: 0, usage: Usage::default() };
        let mut failures = Failures::default();
        let mut responses = stream::iter(requests).map(|r| self.client.complete(r)).buffered(plan.at_once.get());
        while let Some(response) = responses.next().await {
            let Some(response) = failures.settle(response)? else {
                answered.candidates.push(vec![String::new()]);
                continue;
            };
            answered.usage = answered.usage.plus(response.usage);
            answered.candidates.push(response.choices.into_iter().map(|choice| choice.text).collect());
        }
        answered.failed = failures.of(calls)?;
        Ok(answered)
    }

    /// A profile of each user, from their newest records, as a record of its own.
    pub(super) async fn summaries(
        &self,
        asked: &[Asked<'_>],
        plan: &ExperimentPlan,
    ) -> Result<(Vec<Record>, Took), ExperimentError> {
        let label_plan = self.task.label_plan();
        let mut first_of: BTreeMap<usize, &Asked<'_>> = BTreeMap::new();
        for asked in asked {
            first_of.entry(asked.user).or_insert(asked);
        }
        let mut requests = Vec::new();
        for asked in first_of.values() {
            let newest: Vec<&Record> = asked.view.records().iter().rev().take(plan.retrieved).collect();
            let limits = LengthLimits::default();
            let rendered = self.task.summary().render(&newest, "", &label_plan.key, &limits)?;
            let mut request = self.request(asked, rendered.messages);
            request.temperature = Some(0.0);
            request.max_tokens = Some(SUMMARY_TOKENS);
            request.response_format = self.task.summary_format();
            requests.push(request);
        }
        let mut took = Took { calls: requests.len() as u64, ..Took::default() };
        let (mut summaries, mut failures) = (Vec::new(), Failures::default());
        let mut responses = stream::iter(requests).map(|r| self.client.complete(r)).buffered(label_plan.at_once.get());
        while let Some(response) = responses.next().await {
            let response = failures.settle(response)?.unwrap_or_default();
            took.tokens += response.usage.total_tokens();
            // A record without an answer: what the model said stands in the prompt as data, like all else.
            let (id, profile) = (RecordId::new(u64::MAX), self.task.profile(response.text()));
            summaries.push(Record::new(id, Time::from_unix_millis(0), profile, ""));
        }
        took.failed = failures.of(took.calls)?;
        Ok((summaries, took))
    }

    fn request(&self, asked: &Asked<'_>, messages: Vec<Message>) -> Request {
        let mut request = Request::new(messages);
        request.user = Some(UserTag { user: asked.view.user(), generation: asked.view.generation() });
        request
    }
}

/// Enough for a sentence or two.
const SUMMARY_TOKENS: u32 = 40;
