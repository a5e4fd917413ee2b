//! What is asked, in order, so many at once.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use hydra_llm::{LlmClient, Request, Response, UserTag};
use hydra_types::{Record, RecordId};

use super::{LabelError, LabelFailure, LabelFault, LabelPlan, LabelReport, Retrieve};
use crate::split::{FitView, PseudoQuery};

/// A query of a user's past with what retrieval found for it.
pub(super) struct Asked<'v> {
    pub(super) view: &'v FitView,
    pub(super) query: PseudoQuery<'v>,
    pub(super) found: Vec<&'v Record>,
}

impl Asked<'_> {
    pub(super) fn query_id(&self) -> RecordId {
        self.query.record().id()
    }

    pub(super) fn gold(&self) -> &str {
        self.query.record().output()
    }

    /// The request that asks the query with these records shown, every one of them whole or cut, none left out.
    pub(super) fn request(&self, plan: &LabelPlan, shown: &[&Record]) -> Result<Request, LabelFault> {
        let rendered = plan.template.render(shown, self.query.record().input(), &plan.key, &plan.limits)?;
        if !rendered.dropped.is_empty() {
            return Err(LabelFault::Dropped);
        }
        let mut request = Request::new(rendered.messages);
        request.max_tokens = plan.max_tokens;
        request.response_format = plan.response_format.clone();
        request.user = Some(UserTag { user: self.view.user(), generation: self.view.generation() });
        Ok(request)
    }
}

/// Every pseudo-query of every view with at most `records` finds, each of which is checked to be of its past.
pub(super) fn queries<'v>(
    views: &'v [FitView],
    retrieve: &mut Retrieve<'_>,
    plan: &LabelPlan,
    records: usize,
) -> Result<Vec<Asked<'v>>, LabelError> {
    let mut all = Vec::new();
    for view in views {
        for query in view.pseudo_queries(plan.queries) {
            let (user, id) = (view.user(), query.record().id());
            let found = retrieve(&query, records).map_err(|source| LabelError::Retrieve { user, source })?;
            let mut seen = BTreeSet::new();
            let record = |record: RecordId| {
                if !seen.insert(record) {
                    return Err(LabelError::FoundTwice { user, query: id, record });
                }
                let earlier = query.earlier().iter().find(|earlier| earlier.id() == record);
                earlier.ok_or(LabelError::NotEarlier { user, query: id, record })
            };
            let found = found.into_iter().take(records).map(record).collect::<Result<_, _>>()?;
            all.push(Asked { view, query, found });
        }
    }
    Ok(all)
}

/// Asks every request, so many at once, and gives the answers in the order of the requests.
pub(super) async fn ask(
    client: &dyn LlmClient,
    plan: &LabelPlan,
    requests: impl Iterator<Item = Result<Request, LabelFault>>,
) -> Vec<Result<Response, LabelFault>> {
    let answer = |request: Result<Request, LabelFault>| async move { Ok(client.complete(request?).await?) };
    stream::iter(requests).map(answer).buffered(plan.at_once.get()).collect().await
}

/// Counts an answer; what failed is written down and gone.
pub(super) fn settle(
    answer: Result<Response, LabelFault>,
    asked: &Asked<'_>,
    record: Option<RecordId>,
    report: &mut LabelReport,
) -> Option<Response> {
    report.calls += 1;
    match answer {
        Ok(response) => {
            report.usage = report.usage.plus(response.usage);
            Some(response)
        }
        Err(fault) => {
            let (user, query) = (asked.view.user(), asked.query_id());
            report.failures.push(LabelFailure { user, query, record, fault });
            None
        }
    }
}
