//! A new user's head, end to end: label rows in, packed head out.
//!
//! The body is frozen, so that features are made once and kept by content; then a fit takes milliseconds. Nothing of any other
//! user is read or changed.

mod cache;

use hydra_heads::{
    ClassWeights, Features, FeaturesError, Fit, FitError, FitRows, Fitted, Precision, RowsError, Shared, Stamp, pack,
};
use hydra_types::{Body, CandidateTemplate, PairFeaturesError, Record, RecordId, RecordTemplate, UserId};

pub use cache::FeatureCache;

use crate::labels::{AdaptRow, RerankRow};
use crate::split::FitView;

/// How heads are fitted. The default is what hydra-heads chooses: linear, strength by held-out rows, `int8`.
#[derive(Clone, Debug)]
pub struct HeadPlan {
    /// The kind of head and its strength.
    pub fit: Fit,
    /// How much a row of each class counts.
    pub class_weights: ClassWeights,
    /// What the packed head's numbers are stored in.
    pub precision: Precision,
}

impl Default for HeadPlan {
    fn default() -> Self {
        Self { fit: Fit::linear(), class_weights: ClassWeights::Equal, precision: Precision::Int8 }
    }
}

/// Which of a user's heads it is: the name of its place in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeadSlot {
    /// Orders records.
    Reranker,
    /// Picks candidates.
    Adapter,
}

impl HeadSlot {
    /// Its name: a short word of the program, nothing of a user.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reranker => "reranker",
            Self::Adapter => "adapter",
        }
    }
}

/// A head that is ready to be stored.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PackedHead {
    /// Whose, and of which generation of their data.
    pub stamp: Stamp,
    /// Where it belongs.
    pub slot: HeadSlot,
    /// The head as [`hydra_heads::pack`] writes it. To be sealed in the user's own scope by whoever stores it, as
    /// `install` of hydra-ml's `Personalizer` does.
    pub bytes: Vec<u8>,
    /// What is known about the fit. If nothing could be learned the head is exactly the prior head, and
    /// [`Fitted::outcome`] says why. Its head is in the precision of `bytes`.
    pub fitted: Fitted,
}

/// Fits the head that orders a user's records.
///
/// `shared` must be bound to what `template` and `body` make: see [`RecordTemplate::features_of`]. The same arguments
/// give the same bytes.
///
/// # Errors
/// [`FittingError`] if a row is another user's or names a record that is not in the view or not older than its query, if the
/// body fails, or if heads and body do not fit.
pub fn fit_reranker<B: Body>(
    view: &FitView,
    rows: &[RerankRow],
    (body, template): (&mut B, &RecordTemplate),
    shared: &Shared,
    cache: &mut FeatureCache,
    plan: &HeadPlan,
) -> Result<PackedHead, FittingError> {
    let pair = |row: &RerankRow| {
        let query = asked(view, row.user, row.query)?;
        Ok(template.pair(query.input(), older(view, query, row.record)?))
    };
    let pairs: Vec<_> = rows.iter().map(pair).collect::<Result<_, FittingError>>()?;
    let labels: Vec<bool> = rows.iter().map(|row| row.label).collect();
    let features_of = template.features_of(body.fingerprint());
    let rows = cache.features(body, features_of, &pairs)?;
    fit(view, HeadSlot::Reranker, &Features::new(features_of, &rows)?, &labels, shared, plan)
}

/// Fits the head that picks a user's candidates; otherwise as [`fit_reranker`].
///
/// # Errors
/// As [`fit_reranker`].
pub fn fit_adapter<B: Body>(
    view: &FitView,
    rows: &[AdaptRow],
    (body, template): (&mut B, &CandidateTemplate),
    shared: &Shared,
    cache: &mut FeatureCache,
    plan: &HeadPlan,
) -> Result<PackedHead, FittingError> {
    let pair = |row: &AdaptRow| {
        let query = asked(view, row.user, row.query)?;
        let history: Vec<&Record> =
            row.history.iter().map(|&id| older(view, query, id)).collect::<Result<_, FittingError>>()?;
        Ok(template.pair(query.input(), &history, &row.candidate))
    };
    let pairs: Vec<_> = rows.iter().map(pair).collect::<Result<_, FittingError>>()?;
    let labels: Vec<bool> = rows.iter().map(|row| row.label).collect();
    let features_of = template.features_of(body.fingerprint());
    let rows = cache.features(body, features_of, &pairs)?;
    fit(view, HeadSlot::Adapter, &Features::new(features_of, &rows)?, &labels, shared, plan)
}

/// The record that a row asks as a query.
fn asked(view: &FitView, user: UserId, query: RecordId) -> Result<&Record, FittingError> {
    if user != view.user() {
        return Err(FittingError::Foreign { expected: view.user(), got: user });
    }
    view.record(query).ok_or(FittingError::UnknownRecord { user, record: query })
}

/// A record that a row shows beside its query.
fn older<'v>(view: &'v FitView, query: &Record, record: RecordId) -> Result<&'v Record, FittingError> {
    let user = view.user();
    let shown = view.record(record).ok_or(FittingError::UnknownRecord { user, record })?;
    if shown.time() < query.time() {
        Ok(shown)
    } else {
        Err(FittingError::NotOlder { user, query: query.id(), record })
    }
}

fn fit(
    view: &FitView,
    slot: HeadSlot,
    features: &Features<'_>,
    labels: &[bool],
    shared: &Shared,
    plan: &HeadPlan,
) -> Result<PackedHead, FittingError> {
    let rows = FitRows::new(*features, labels, plan.class_weights)?;
    let mut fitted = plan.fit.run(shared, &rows)?;
    fitted.head = fitted.head.to_precision(plan.precision);
    let stamp = Stamp { user: view.user(), generation: view.generation() };
    tracing::debug!(user = %stamp.user, slot = slot.name(), rows = labels.len(), "fitted");
    Ok(PackedHead { stamp, slot, bytes: pack(&fitted.head, stamp), fitted })
}

/// Why a head cannot be fitted. Shows no text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FittingError {
    /// A row of somebody else.
    #[error("a row is of user {got}, the view is of user {expected}: fit every user on their own rows")]
    Foreign {
        /// Whose view it is.
        expected: UserId,
        /// Whose row it is.
        got: UserId,
    },
    /// A row names a record that may not be learned from.
    #[error("a row of user {user} names record {record}, which is not in the view: make labels from the same view")]
    UnknownRecord {
        /// Whose.
        user: UserId,
        /// Which.
        record: RecordId,
    },
    /// A row shows a query a record that came later.
    #[error(
        "a row of user {user} shows query {query} record {record}, which is not older: make labels from pseudo-queries"
    )]
    NotOlder {
        /// Whose.
        user: UserId,
        /// The query.
        query: RecordId,
        /// What it was shown.
        record: RecordId,
    },
    /// The body cannot encode the pairs.
    #[error("the body cannot encode the pairs")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What the body made is not one row for each pair.
    #[error("the body made no features of the pairs that it was given")]
    Shape(#[from] PairFeaturesError),
    /// What the body made are no features.
    #[error("the body made no usable features")]
    Features(#[from] FeaturesError),
    /// Rows and labels that do not go together.
    #[error("the rows cannot be fitted on")]
    Rows(#[from] RowsError),
    /// Heads and body do not fit, or the settings make no sense.
    #[error("the head cannot be fitted")]
    Fit(#[from] FitError),
}
