//! Rows that an adapter's body is trained from.

use std::fmt;

use hydra_llm::LlmClient;
use hydra_train::{AdaptRow, FitView, Split};
use hydra_types::{RecordId, UserId};

use super::ask::Asker;
use super::heads::adapter_pair;
use super::{ExperimentError, ExperimentPlan, ExperimentTask, LabelCost, Labelling, label};

/// One candidate of a training user's past query. `Debug` shows no text.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyRow {
    /// Whose.
    pub user: UserId,
    /// The record that was asked as a query.
    pub query: RecordId,
    /// What the body is shown.
    pub pair: (String, String),
    /// Whether the user would have chosen it.
    pub label: bool,
}

impl fmt::Debug for BodyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, query, label, .. } = self;
        f.debug_struct("BodyRow")
            .field("user", user)
            .field("query", query)
            .field("label", label)
            .finish_non_exhaustive()
    }
}

/// The adapter's label rows of all training users, as [`run`](super::run) makes them: of test users there is nothing in them.
///
/// # Errors
/// [`ExperimentError`].
pub async fn adapter_rows(
    split: &Split,
    task: &ExperimentTask,
    plan: &ExperimentPlan,
    client: &dyn LlmClient,
) -> Result<Vec<BodyRow>, ExperimentError> {
    let labeller = Asker::new(task, client);
    let labelling = Labelling { rerank_queries: 0, ..task.of_train(plan.train) };
    let (_, rows) = label(&labeller, plan, labelling, &split.train, &mut LabelCost::default()).await?;
    let body_row = |view: &FitView, row: &AdaptRow| {
        let pair = adapter_pair(&plan.candidate_template, view, row)?;
        Some(BodyRow { user: row.user, query: row.query, pair, label: row.label })
    };
    let of_user = |view| {
        rows.iter().filter(move |row| row.user == FitView::user(view)).filter_map(move |row| body_row(view, row))
    };
    Ok(split.train.iter().flat_map(of_user).collect())
}
