//! Metrics, by what they look at.

pub(crate) mod bleu;
pub(crate) mod classification;
pub(crate) mod probability;
pub(crate) mod ranking;
pub(crate) mod regression;
pub(crate) mod rouge;
