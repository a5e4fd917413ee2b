//! Sessions on ONNX Runtime: device, bundle, tokenizer, encoder, pooling.

mod bundle;
mod check;
#[cfg(feature = "runtime")]
mod device;
#[cfg(feature = "runtime")]
mod encoder;
#[cfg(feature = "runtime")]
mod runtime;
#[cfg(feature = "runtime")]
mod session;
mod spec;

pub use bundle::{
    Bound, Bundle, BundleError, Description, FileEntry, Kind, Manifest, Measure, Parity, Pooling, Precision,
};
pub use check::{CheckError, GraphFacts, Model};
#[cfg(feature = "runtime")]
pub use device::{CudaError, Device};
#[cfg(feature = "runtime")]
pub use encoder::{
    CrossEncoder, Encoded, Encoder, EncoderError, EncoderOptions, Logits, Rows, TokenFeatures, TokenUse, Work,
};
#[cfg(feature = "runtime")]
pub use runtime::{RuntimeError, load_runtime};
#[cfg(feature = "runtime")]
pub use session::{Arena, Outputs, Session, SessionError, SessionOptions, Spinning, TensorView};
pub use spec::{Dim, Element, TensorSpec};
