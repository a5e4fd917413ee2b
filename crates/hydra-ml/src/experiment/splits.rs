//! From what a task's files hold to who is trained on and who is asked.

use std::collections::BTreeSet;

use hydra_eval::{AnswerSpace, LampQuestion, LampTask, UserRecords};
use hydra_llm::LengthLimits;
use hydra_train::{History, Question, Split, SplitError, Splitter};
use hydra_types::{Generation, Record, Scope, UserId};

/// How many users there are on each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitPlan {
    /// Users whose whole history may be learned from, at most.
    pub train_users: usize,
    /// Users who are asked.
    pub test_users: usize,
    /// What each of them is asked: their newest records. Of LaMP, always one question.
    pub targets: usize,
    /// Picks the users who are asked.
    pub seed: u64,
}

/// A split, and what was left out of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TaskSplit {
    /// The users.
    pub split: Split,
    /// Questions that are blank, too long for a prompt, or without an answer or a record beside them.
    pub left_out_questions: usize,
    /// Records that are copies of older ones, or whose output is no answer.
    pub left_out_records: usize,
}

impl TaskSplit {
    /// Users of the LaMP benchmark, each of whom is one question: a question's id is no person, one person may have asked
    /// several, and the files do not tell. The benchmark's own split says who is on which side.
    ///
    /// # Errors
    /// [`SplitError::TooFewUsers`] if fewer questions are usable than users are to be asked.
    pub fn of_lamp(
        task: LampTask,
        train: Vec<LampQuestion>,
        test: Vec<LampQuestion>,
        plan: &SplitPlan,
    ) -> Result<Self, SplitError> {
        let mut usable = Usable::new(task.records_are_answers().then(|| task.answers()));
        let train = usable.questions(train, 0, plan.train_users);
        let test = usable.questions(test, FIRST_TEST_USER, usize::MAX);
        let split = Split::of_questions(train, test, plan.test_users, plan.seed)?;
        Ok(Self { split, left_out_questions: usable.left_out_questions, left_out_records: usable.left_out_records })
    }

    /// Users with records, of whom some are asked their newest.
    ///
    /// # Errors
    /// [`SplitError`] if too few users have records enough to be asked.
    pub fn of_users(users: Vec<UserRecords>, plan: &SplitPlan) -> Result<Self, SplitError> {
        let mut usable = Usable::new(None);
        let histories = users.into_iter().map(|UserRecords { user, records }| usable.history(user, records));
        let histories = histories.collect::<Result<Vec<_>, _>>()?;
        let mut split = Splitter::new(plan.test_users, plan.targets, plan.seed).split(histories)?;
        split.train.truncate(plan.train_users);
        Ok(Self { split, left_out_questions: 0, left_out_records: usable.left_out_records })
    }
}

/// What can be used, and a count of the rest.
struct Usable {
    /// What the outputs of records must be.
    outputs: Option<AnswerSpace>,
    left_out_questions: usize,
    left_out_records: usize,
}

impl Usable {
    fn new(outputs: Option<AnswerSpace>) -> Self {
        Self { outputs, left_out_questions: 0, left_out_records: 0 }
    }

    /// The first `most` usable questions, each of a user of its own.
    fn questions(&mut self, questions: Vec<LampQuestion>, first_user: u128, most: usize) -> Vec<Question> {
        let mut all = Vec::new();
        for (user, question) in (first_user..).map(UserId::new).zip(questions) {
            if all.len() == most {
                break;
            }
            match self.question(user, question) {
                Some(question) => all.push(question),
                None => self.left_out_questions += 1,
            }
        }
        all
    }

    fn question(&mut self, user: UserId, LampQuestion { query, gold, history, .. }: LampQuestion) -> Option<Question> {
        let gold = gold?;
        if query.is_empty() || query.len() > LengthLimits::default().query_bytes {
            return None;
        }
        let question = Question::new(self.history(user, history).ok()?, &query, &gold).ok()?;
        self.left_out_records += question.left_out();
        Some(question)
    }

    /// Whoever is asked for a copy of a record would be asked what their history answers: the oldest of equals stays.
    fn history(&mut self, user: UserId, mut records: Vec<Record>) -> Result<History, SplitError> {
        let before = records.len();
        let mut seen = BTreeSet::new();
        records.retain(|record| {
            let is_answer = self.outputs.as_ref().is_none_or(|outputs| outputs.has(record.output()));
            is_answer && seen.insert((record.input().to_owned(), record.output().to_owned()))
        });
        self.left_out_records += before - records.len();
        History::new(Scope::acting_for(user), Generation::FIRST, records)
    }
}

/// Questions of the training split are users from 0.
const FIRST_TEST_USER: u128 = 1 << 64;
