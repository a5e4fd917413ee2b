//! Public behaviour.
