//! The public face of hydra-export.

mod encoder;
mod families;
mod gate;
mod golden;
mod hostile;
mod reference;
