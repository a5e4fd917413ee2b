//! What a bank and a resident set have in common.

use std::sync::Arc;

use crate::bank::{HeadBank, Scratch};
use crate::features::Features;
use crate::head::HeadName;
use crate::resident::{HeadSource, ResidentError, ResidentHeads};
use crate::shared::Shared;

/// Heads of many users that score rows of features: all in memory ([`HeadBank`]), or fetched as they are named
/// ([`ResidentHeads`]).
pub trait Heads {
    /// The body, prior head and facets that the heads stand on.
    fn shared(&self) -> &Arc<Shared>;

    /// Writes the log-odds of every row under the head that its name says; see [`HeadBank`] for what they mean.
    ///
    /// # Shapes
    /// - `names`, `out`: one for each row of `features`
    ///
    /// # Errors
    /// [`ResidentError`]; a user without a head is an error and never scored with the prior head in silence. `out` then
    /// holds nothing of meaning.
    fn log_odds_into(
        &mut self,
        names: &[HeadName],
        features: &Features<'_>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ResidentError>;
}

impl Heads for HeadBank {
    fn shared(&self) -> &Arc<Shared> {
        HeadBank::shared(self)
    }

    fn log_odds_into(
        &mut self,
        names: &[HeadName],
        features: &Features<'_>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ResidentError> {
        Ok(HeadBank::log_odds_into(self, names, features, scratch, out)?)
    }
}

impl<S: HeadSource> Heads for ResidentHeads<S> {
    fn shared(&self) -> &Arc<Shared> {
        ResidentHeads::shared(self)
    }

    fn log_odds_into(
        &mut self,
        names: &[HeadName],
        features: &Features<'_>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ResidentError> {
        ResidentHeads::log_odds_into(self, names, features, scratch, out)
    }
}

impl<H: Heads + ?Sized> Heads for &mut H {
    fn shared(&self) -> &Arc<Shared> {
        (**self).shared()
    }

    fn log_odds_into(
        &mut self,
        names: &[HeadName],
        features: &Features<'_>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ResidentError> {
        (**self).log_odds_into(names, features, scratch, out)
    }
}
