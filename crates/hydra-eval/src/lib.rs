//! Did it help? Metrics that agree with the reference implementations, and an interval for every comparison.
//!
//! A result without an interval is a rumour. This crate has the two halves of an honest one: **metrics** whose values
//! equal those of scikit-learn, trec_eval, rouge-score and sacreBLEU on thousands of generated cases, ties and empty
//! inputs among them; and **statistics** that compare two systems on the same queries, user by user, because queries of
//! one user are not independent of each other.
//!
//! ```
//! use hydra_eval::{Paired, accuracy};
//!
//! // Whether each query of each of three users was answered rightly, by the baseline and by the system.
//! let baseline = [vec![0.0, 1.0], vec![0.0], vec![0.0, 1.0, 0.0]];
//! let system = [vec![1.0, 1.0], vec![0.0], vec![1.0, 1.0, 1.0]];
//! let paired = Paired::by_user(&system, &baseline)?;
//! let gain = paired.bootstrap(0.95, 2000, 7);
//! assert!(gain.low >= 0.0 && gain.low <= gain.mean && gain.mean <= gain.high);
//! // Three users are too few to be sure, and the test says so.
//! assert!(paired.permutation_test(2000, 7) > 0.05);
//!
//! assert_eq!(accuracy(&["a", "b"], &["a", "c"])?, 0.5);
//! # Ok::<(), hydra_eval::EvalError>(())
//! ```
//!
//! # What is not here
//! Anything that needs a model or a store. Numbers and texts go in, numbers come out.
//!
//! # The contestable decision
//! Where reference implementations warn and return a number for a question without an answer (the area under the curve
//! of one class), this crate returns an error: a zero in a table looks like a result.

mod answer;
mod comparison;
mod dates;
mod error;
mod json_lines;
mod lamp;
mod metrics;
mod movielens;
mod statistics;
mod text_or_number;

pub use answer::{Answer, AnswerSpace};
pub use comparison::{
    Better, Cell, Comparison, ComparisonError, Curve, CurvePoint, Metric, Row, Standing, SystemRun, Table,
};
pub use error::EvalError;
pub use json_lines::{JsonLinesError, JsonLinesTask, UserRecords, load as load_json_lines};
pub use lamp::{LampError, LampQuestion, LampTask, load as load_lamp};
pub use metrics::bleu::{corpus_bleu, sentence_bleu};
pub use metrics::classification::{accuracy, macro_f1};
pub use metrics::probability::{auroc, average_precision, brier, expected_calibration_error, log_loss};
pub use metrics::ranking::{Judgements, Ranking};
pub use metrics::regression::{mae, rmse};
pub use metrics::rouge::{Overlap, rouge_l, rouge_n};
pub use movielens::{MovieLensError, Rater, load as load_movielens};
pub use statistics::{Interval, Paired, sign_test};
