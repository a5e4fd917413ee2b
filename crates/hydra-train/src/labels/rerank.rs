//! Which records help.

use hydra_llm::LlmClient;
use hydra_types::{RecordId, UserId};

use super::ask::{ask, queries, settle};
use super::{LabelError, LabelPlan, LabelReport, Labels, Marking, Retrieve};
use crate::leak::Shown;
use crate::split::FitView;

/// How much one record helped one query of the same user.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RerankRow {
    /// Whose.
    pub user: UserId,
    /// The record that was asked as a query.
    pub query: RecordId,
    /// The record that was shown.
    pub record: RecordId,
    /// How good the answer was: 1 or 0 for classes, the metric for texts.
    pub utility: f64,
    /// Whether the record helped.
    pub label: bool,
}

impl RerankRow {
    /// What the audit wants to know about it.
    #[must_use]
    pub fn shown(&self) -> Shown {
        Shown { user: self.user, query: self.query, record: self.record }
    }
}

/// Asks every pseudo-query with each of its retrieved records alone, and labels the record by whether the answer was right.
///
/// Temperature 0: the label is about the record, not about luck. A query without finds has no rows.
///
/// # Errors
/// [`LabelError`] if the retriever or the marking is at fault. Calls that fail are counted in the report, and their rows
/// are missing.
///
/// # Panics
/// Never.
///
/// # Source
/// Zhuang et al. 2024, arXiv:2406.02888, section 3.2. **Differs:** records that are not older than the query are never shown
/// to it; groups are by user and query.
pub async fn rerank_labels(
    client: &dyn LlmClient,
    views: &[FitView],
    retrieve: &mut Retrieve<'_>,
    plan: &LabelPlan,
    marking: Marking<'_>,
) -> Result<Labels<RerankRow>, LabelError> {
    let all = queries(views, retrieve, plan, plan.records)?;
    // Before anything is paid for.
    for asked in &all {
        marking.utility(asked.view.user(), asked.query_id(), "", asked.gold())?;
    }
    let requests = all.iter().flat_map(|asked| {
        asked.found.iter().map(|&record| {
            let mut request = asked.request(plan, &[record])?;
            request.temperature = Some(0.0);
            Ok(request)
        })
    });
    let mut answers = ask(client, plan, requests).await.into_iter();

    let mut report =
        LabelReport { users: views.iter().map(|view| (view.user(), <_>::default())).collect(), ..<_>::default() };
    let mut rows = Vec::new();
    for asked in &all {
        let (user, query) = (asked.view.user(), asked.query_id());
        let mut group = Vec::new();
        for record in &asked.found {
            let answer = answers.next().expect("one answer for each request");
            if let Some(response) = settle(answer, asked, Some(record.id()), &mut report) {
                group.push((record.id(), marking.utility(user, query, response.text(), asked.gold())?));
            }
        }
        let labels = marking.labels(&group.iter().map(|&(_, utility)| utility).collect::<Vec<_>>());
        report.count(user, labels.iter().copied());
        let row = |((record, utility), label)| RerankRow { user, query, record, utility, label };
        rows.extend(group.into_iter().zip(labels).map(row));
    }
    Ok(Labels { rows, report })
}
