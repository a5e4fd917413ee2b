//! Head maths: shapes, batch scoring across users, fitting, packing to bytes.
mod bank;
mod features;
mod fit;
mod head;
mod kernel;
mod matrix;
mod pack;
mod precision;
mod resident;
mod shared;
mod weights;

pub use bank::{HeadBank, ScoreError, Scratch, probability};
pub use features::{Features, FeaturesError};
pub use fit::{
    AdamW, ClassWeights, Fit, FitError, FitRows, Fitted, HeldOut, Outcome, Reason, RowsError, Strength,
    loss_and_gradient,
};
pub use head::{Head, HeadName};
pub use pack::{Stamp, UnpackError, pack, pack_shared, unpack, unpack_shared};
pub use precision::Precision;
pub use resident::{HeadSource, Resident, ResidentError, ResidentHeads, ResidentStats};
pub use shared::{BindError, Shared, SharedError};
pub use weights::{Kind, Weights, WeightsError};
