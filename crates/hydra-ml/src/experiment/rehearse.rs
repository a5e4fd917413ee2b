//! What a run would ask, before anything is paid for.

use hydra_llm::LlmClient;
use hydra_train::{FitView, Split};
use hydra_types::Record;

use super::ask::Asker;
use super::methods::{BASELINES, Show};
use super::{ExperimentError, ExperimentPlan, ExperimentTask, LabelCost, asked_of, label, with_profiles};

/// Asks `client` as many requests as [`run`](super::run) would, with prompts as long: nothing is fitted, and nothing comes of
/// the answers. With a [`DryRun`](hydra_llm::DryRun) as the client it is an estimate.
///
/// Where a prompt depends on what is not known yet, on a profile or on the order of a fitted reranker, another one stands in
/// for it that nobody has recorded.
///
/// # Errors
/// [`ExperimentError`].
pub async fn rehearse(
    split: &Split,
    task: &ExperimentTask,
    plan: &ExperimentPlan,
    client: &dyn LlmClient,
) -> Result<(), ExperimentError> {
    let test_views: Vec<FitView> = split.test.iter().map(|user| user.fit.clone()).collect();
    let asker = Asker::new(task, client);
    let mut cost = LabelCost::default();
    label(&asker, plan, task.of_train(plan.train), &split.train, &mut cost).await?;
    label(&asker, plan, task.of_test(plan.test), &test_views, &mut cost).await?;

    let asked = asked_of(split);
    let shown_by = |show: Show| -> Vec<Vec<&Record>> { asked.iter().map(|asked| show.of(plan.seed, asked)).collect() };
    for (_, show) in BASELINES {
        asker.greedy(&asked, &shown_by(show)).await?;
    }
    let (profiles, _) = asker.summaries(&asked, plan).await?;
    let plain = shown_by(Show::Words(plan.shown));
    asker.greedy(&asked, &with_profiles(&profiles, &asked, &plain)).await?;
    asker.candidates(&asked, &plain, plan).await?;
    let backwards: Vec<Vec<&Record>> = plain.iter().map(|shown| shown.iter().rev().copied().collect()).collect();
    asker.greedy(&asked, &backwards).await?;
    asker.candidates(&asked, &backwards, plan).await?;
    Ok(())
}
