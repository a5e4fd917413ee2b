//! Which task, and whose data.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use hydra_eval::{LampTask, load_json_lines, load_lamp, load_movielens};
use hydra_ml::experiment::{ExperimentTask, SplitPlan, TaskSplit};
use hydra_train::{Audit, History, Split, Splitter};
use hydra_types::{Generation, Scope};

use crate::recorded::{TARGETS, TEST_USERS, TRAIN_USERS};

#[derive(clap::Args)]
pub(super) struct TaskArgs {
    /// movielens, lamp-1, lamp-2n, lamp-2m, lamp-3 to lamp-7, or a file that describes a task of your own
    #[arg(long, value_parser = choice, value_name = "NAME|FILE.json", default_value = "movielens")]
    task: TaskChoice,

    /// Folder with the files of MovieLens or LaMP
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Users whose whole history may be learned from
    #[arg(long, default_value_t = TRAIN_USERS)]
    train_users: usize,

    /// Users who are asked
    #[arg(long, default_value_t = TEST_USERS)]
    test_users: usize,

    /// What each of them is asked: their newest records
    #[arg(long, default_value_t = TARGETS)]
    targets: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum TaskChoice {
    MovieLens,
    Lamp(LampTask),
    Own(PathBuf),
}

/// A task with its users.
pub(super) struct Prepared {
    pub(super) name: String,
    pub(super) task: ExperimentTask,
    pub(super) split: Split,
    /// What the reader of the result should know about them.
    pub(super) notes: Vec<String>,
    /// What all that was read from.
    pub(super) files: Vec<(&'static str, PathBuf)>,
}

fn choice(text: &str) -> Result<TaskChoice, String> {
    let lamp = |task: &LampTask| task.name().eq_ignore_ascii_case(text);
    match LampTask::ALL.iter().find(|task| lamp(task)) {
        Some(&task) => Ok(TaskChoice::Lamp(task)),
        None if text == "movielens" => Ok(TaskChoice::MovieLens),
        None if text.ends_with(".json") => Ok(TaskChoice::Own(text.into())),
        None => Err("give movielens, one of lamp-1 to lamp-7, or a file whose name ends in .json".to_owned()),
    }
}

impl TaskArgs {
    /// Whether the cassette in the repository holds what these users are asked.
    pub(super) fn is_as_recorded(&self) -> bool {
        let Self { task, train_users, test_users, targets, .. } = self;
        (task, *train_users, *test_users, *targets) == (&TaskChoice::MovieLens, TRAIN_USERS, TEST_USERS, TARGETS)
    }

    /// What its cassette is called where nobody names one.
    pub(super) fn file_stem(&self) -> String {
        match &self.task {
            TaskChoice::MovieLens => "movielens".to_owned(),
            TaskChoice::Lamp(task) => task.name().to_lowercase(),
            TaskChoice::Own(description) => description.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    pub(super) fn prepare(&self, seed: u64) -> Result<Prepared> {
        let Self { train_users, test_users, targets, .. } = *self;
        ensure!(test_users > 0, "nobody would be asked: give --test-users at least 1");
        let plan = SplitPlan { train_users, test_users, targets, seed };
        match &self.task {
            TaskChoice::MovieLens => {
                let folder = self.data.as_deref().unwrap_or(Path::new(MOVIELENS));
                let notes = Vec::new();
                Ok(Prepared {
                    name: "MovieLens 100K".to_owned(),
                    task: ExperimentTask::movielens()?,
                    split: movielens(folder, &plan)?,
                    notes,
                    files: movielens_files(folder),
                })
            }
            TaskChoice::Lamp(task) => {
                ensure!(targets == 1, "a question of LaMP has one target: leave --targets out");
                let Some(folder) = &self.data else {
                    bail!("LaMP's files are not passed on with Hydra: name the folder that has them with --data");
                };
                lamp(*task, folder, &plan)
            }
            TaskChoice::Own(description) => {
                ensure!(self.data.is_none(), "the description says where the records are: leave --data out");
                let (task, users) = load_json_lines(description)?;
                let TaskSplit { split, left_out_records, .. } = TaskSplit::of_users(users, &plan)?;
                let notes = counted(left_out_records, "records are copies of older ones and were left out");
                Ok(Prepared {
                    name: task.name.clone(),
                    task: ExperimentTask::json_lines(&task)?,
                    split,
                    notes: notes.into_iter().collect(),
                    files: vec![("task", description.clone()), ("records", task.histories)],
                })
            }
        }
    }
}

fn lamp(task: LampTask, folder: &Path, plan: &SplitPlan) -> Result<Prepared> {
    let read = |split: &str| {
        let file = |what: &str| folder.join(format!("{split}_{what}.json"));
        load_lamp(task, &file("questions"), Some(&file("outputs")))
            .with_context(|| format!("cannot read the {split} questions of {}", task.name()))
    };
    let split = TaskSplit::of_lamp(task, read("train")?, read("dev")?, plan)?;
    let mut notes = vec!["a user is a question here: one person may stand behind several".to_owned()];
    notes.extend(counted(split.left_out_questions, "questions cannot be asked and were left out"));
    notes.extend(counted(split.left_out_records, "records are copies or no answers and were left out"));
    if !task.records_are_answers() {
        notes.push("records are no answers to the question: test users have no heads of their own".to_owned());
    }
    let files = ["train_questions", "train_outputs", "dev_questions", "dev_outputs"];
    let files = files.map(|name| (name, folder.join(format!("{name}.json")))).to_vec();
    Ok(Prepared { name: task.name().to_owned(), task: ExperimentTask::lamp(task)?, split: split.split, notes, files })
}

fn counted(number: usize, what: &str) -> Option<String> {
    (number > 0).then(|| format!("{number} {what}"))
}

/// Says that learning sees no answer that it is judged by; a split in which it does gives numbers that mean nothing.
pub(crate) fn audited(split: &Split) -> Result<()> {
    let leaks = Audit::of(split).leaks();
    if let Some(first) = leaks.first() {
        bail!(
            "the audit of the split finds {} leaks, the first of them {first:?}: take such records or users out of the data",
            leaks.len()
        );
    }
    eprintln!("the audit of the split finds no leak");
    Ok(())
}

pub(crate) fn movielens_files(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    vec![("ratings", folder.join("ml-100k.inter")), ("films", folder.join("ml-100k.item"))]
}

/// The users whose answers the cassette in the repository holds.
pub(crate) fn movielens_as_recorded(folder: &Path) -> Result<Split> {
    movielens(folder, &SplitPlan { train_users: TRAIN_USERS, test_users: TEST_USERS, targets: TARGETS, seed: 0 })
}

fn movielens(folder: &Path, plan: &SplitPlan) -> Result<Split> {
    let mut raters = load_movielens(folder)?;
    raters.retain(|rater| !PROMPT_USERS.contains(&rater.user.get()));
    let history = |mut rater: hydra_eval::Rater| {
        // Some films are listed under two numbers: who rated both would be asked what their history answers.
        let mut seen = BTreeSet::new();
        rater.records.retain(|record| seen.insert(record.input().to_owned()));
        History::new(Scope::acting_for(rater.user), Generation::FIRST, rater.records)
    };
    let histories = raters.into_iter().map(history).collect::<Result<Vec<_>, _>>()?;
    let mut split = Splitter::new(plan.test_users, plan.targets, plan.seed).split(histories)?;
    split.train.truncate(plan.train_users);
    Ok(split)
}

const MOVIELENS: &str = ".hydra/movielens";
/// The prompt's wording was chosen on these users; they are neither trained on nor asked.
const PROMPT_USERS: std::ops::RangeInclusive<u128> = 301..=340;

#[cfg(test)]
mod tests {
    use hydra_types::{Record, RecordId, Time, UserId};

    use super::*;

    #[test]
    fn a_task_is_a_name_or_a_file() {
        assert_eq!(choice("movielens"), Ok(TaskChoice::MovieLens));
        assert_eq!(choice("lamp-2n"), Ok(TaskChoice::Lamp(LampTask::NewsCategory)));
        assert_eq!(choice("LaMP-7"), Ok(TaskChoice::Lamp(LampTask::Tweet)));
        assert_eq!(choice("my/meals.json"), Ok(TaskChoice::Own("my/meals.json".into())));
        for text in ["", "lamp-8", "lamp-2", "meals"] {
            assert!(choice(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_user_on_both_sides_ends_the_run() {
        let record = |at: u64| Record::new(RecordId::new(at), Time::from_unix_millis(at.cast_signed()), "film", "4");
        let history = |user| {
            History::new(Scope::acting_for(UserId::new(user)), Generation::FIRST, (0..3).map(record).collect()).unwrap()
        };
        let mut split = Splitter::new(1, 1, 0).split(vec![history(1), history(2)]).unwrap();
        let error = |split: &Split| audited(split).unwrap_err().to_string();
        // All films are one film here: the audit calls the older ones copies of what is asked.
        assert!(error(&split).contains("CopyOfTarget"), "{}", error(&split));
        split.train.push(split.test[0].fit.clone());
        assert!(error(&split).starts_with("the audit of the split finds 3 leaks, the first of them UserInBoth"));
    }
}
