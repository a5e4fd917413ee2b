//! Which candidates the user would have chosen.

use std::fmt;

use hydra_llm::LlmClient;
use hydra_types::{RecordId, UserId};

use super::ask::{Asked, ask, queries, settle};
use super::{LabelError, LabelPlan, LabelReport, Labels, Marking, Retrieve};
use crate::leak::Shown;
use crate::split::FitView;

/// How good one candidate was for one query of a user. `Debug` shows no text.
#[derive(Clone, PartialEq)]
pub struct AdaptRow {
    /// Whose.
    pub user: UserId,
    /// The record that was asked as a query.
    pub query: RecordId,
    /// The records that stood in the prompt, in that order.
    pub history: Vec<RecordId>,
    /// The candidate.
    pub candidate: String,
    /// How often it was drawn; 0 for what the user wrote and the model never said.
    pub count: usize,
    /// Where it comes from.
    pub from: CandidateFrom,
    /// How good it is: 1 or 0 for classes, the metric for texts.
    pub utility: f64,
    /// Whether the user would have chosen it.
    pub label: bool,
}

/// Where a candidate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateFrom {
    /// The model proposed it.
    Model,
    /// The user wrote it.
    User,
}

/// What counts as chosen when answers are texts, of which hardly ever one is exactly the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRecipe {
    /// What the user wrote is a row of its own and the only chosen one; all that the model said was not chosen.
    ///
    /// # Source
    /// The released code of Zhuang et al. 2024.
    GoldVsSample,
    /// What is better than the mean of its group was chosen; only the model's candidates are rows.
    ///
    /// # Source
    /// Zhuang et al. 2024, arXiv:2406.02888, section 3.3.
    RelativeMetric,
}

impl AdaptRow {
    /// What the audit wants to know about it.
    pub fn shown_records(&self) -> impl Iterator<Item = Shown> + '_ {
        self.history.iter().map(|&record| Shown { user: self.user, query: self.query, record })
    }
}

impl fmt::Debug for AdaptRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptRow")
            .field("user", &self.user)
            .field("query", &self.query)
            .field("history", &self.history)
            .field("candidate_bytes", &self.candidate.len())
            .field("count", &self.count)
            .field("from", &self.from)
            .field("utility", &self.utility)
            .field("label", &self.label)
            .finish()
    }
}

/// Draws candidates for every pseudo-query from a prompt with its retrieved records, and labels each distinct one.
///
/// Temperature 1. Candidates that are the same text, blanks at both ends aside, are one row, counted; means of a group count
/// every draw. `recipe` matters for texts only: classes are right or wrong.
///
/// # Errors
/// [`LabelError`] if the retriever, the marking or the client is at fault. Calls that fail are counted in the report, and
/// their rows are missing.
///
/// # Source
/// Zhuang et al. 2024, arXiv:2406.02888, section 3.3.
pub async fn adapt_labels(
    client: &dyn LlmClient,
    views: &[FitView],
    retrieve: &mut Retrieve<'_>,
    plan: &LabelPlan,
    marking: Marking<'_>,
    recipe: TextRecipe,
) -> Result<Labels<AdaptRow>, LabelError> {
    let (wanted, most) = (plan.candidates, client.capabilities().max_n);
    if wanted > most {
        return Err(LabelError::Candidates { wanted, most });
    }
    let all = queries(views, retrieve, plan, plan.shown)?;
    // Before anything is paid for.
    for asked in &all {
        marking.utility(asked.view.user(), asked.query_id(), "", asked.gold())?;
    }
    let requests = all.iter().map(|asked| {
        let mut request = asked.request(plan, &asked.found)?;
        request.temperature = Some(1.0);
        request.n = wanted;
        Ok(request)
    });
    let answers = ask(client, plan, requests).await;

    let mut report =
        LabelReport { users: views.iter().map(|view| (view.user(), <_>::default())).collect(), ..<_>::default() };
    let mut rows = Vec::new();
    for (asked, answer) in all.iter().zip(answers) {
        let Some(response) = settle(answer, asked, None, &mut report) else {
            report.count(asked.view.user(), []);
            continue;
        };
        let said: Vec<&str> = response.choices.iter().map(|choice| choice.text.trim()).collect();
        let group = group(asked, &said, marking, recipe)?;
        report.count(asked.view.user(), group.iter().map(|row| row.label));
        rows.extend(group);
    }
    Ok(Labels { rows, report })
}

/// The rows of one query.
fn group(
    asked: &Asked<'_>,
    said: &[&str],
    marking: Marking<'_>,
    recipe: TextRecipe,
) -> Result<Vec<AdaptRow>, LabelError> {
    let (user, query) = (asked.view.user(), asked.query_id());
    let history: Vec<RecordId> = asked.found.iter().map(|record| record.id()).collect();
    let utility = |text: &str| marking.utility(user, query, text, asked.gold());
    let row = |text: &str, from, utility, label| AdaptRow {
        user,
        query,
        history: history.clone(),
        candidate: text.to_owned(),
        count: said.iter().filter(|&&other| other == text).count(),
        from,
        utility,
        label,
    };
    let utilities: Vec<f64> = said.iter().map(|text| utility(text)).collect::<Result<_, _>>()?;
    let labels = marking.labels(&utilities);
    let first_time = |&place: &usize| !said[..place].contains(&said[place]);
    let drawn = (0..said.len()).filter(first_time);
    match (marking, recipe) {
        (Marking::Text(_), TextRecipe::GoldVsSample) => {
            let gold = asked.gold().trim();
            let mut rows = vec![row(gold, CandidateFrom::User, utility(gold)?, true)];
            // What the model said word for word is what the user wrote.
            let others = drawn.filter(|&place| said[place] != gold);
            rows.extend(others.map(|place| row(said[place], CandidateFrom::Model, utilities[place], false)));
            Ok(rows)
        }
        _ => Ok(drawn.map(|place| row(said[place], CandidateFrom::Model, utilities[place], labels[place])).collect()),
    }
}
