//! Why an ONNX file is refused.

/// The first reason why a file is refused.
///
/// Names are those of the file, cut to a bounded length when it was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A length reaches past the end.
    #[error("the onnx file ends early: a length in it reaches past its last byte; export or copy it again")]
    Truncated,
    /// More than 64 bits.
    #[error("the onnx file holds a number of more than 64 bits; export or copy it again")]
    Varint,
    /// Zero or above 2^29 - 1.
    #[error("the onnx file holds an impossible field number; export or copy it again")]
    FieldNumber,
    /// Not the wire type that ONNX gives to the field.
    #[error("field {field} of the onnx file has the wrong wire type; export or copy it again")]
    WireType {
        /// The number of the field in its message.
        field: u32,
    },
    /// A field that may stand once stands twice. Parsers disagree about what that means.
    #[error("the onnx file gives {what} twice; write it once")]
    Repeated {
        /// The field.
        what: &'static str,
    },
    /// A field that must be there is not.
    #[error("the onnx file has no {what}; export it again")]
    Missing {
        /// The field.
        what: &'static str,
    },
    /// A name that is not text.
    #[error("a name in the onnx file is not utf-8; export it again")]
    Name,
    /// More than a model can need.
    #[error("the onnx file has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// A name longer than a name can need.
    #[error("a name in the onnx file has more than {limit} bytes")]
    NameTooLong {
        /// How many are read.
        limit: usize,
    },
    /// Subgraphs too deep in subgraphs.
    #[error("the onnx file nests subgraphs deeper than {limit}")]
    TooDeep {
        /// How deep is read.
        limit: usize,
    },
    /// A format version that is not read.
    #[error("the onnx file has ir version {found}, and {min} to {max} are read; export it again")]
    IrVersion {
        /// In the file.
        found: i64,
        /// Oldest.
        min: i64,
        /// Newest.
        max: i64,
    },
    /// An operator set that is not read.
    #[error("the onnx file uses opset {found}, and {min} to {max} are read; export it with `--opset 17`")]
    Opset {
        /// In the file.
        found: i64,
        /// Oldest.
        min: i64,
        /// Newest.
        max: i64,
    },
    /// Operators that ONNX Runtime does not have by itself.
    #[error("the onnx file uses operators of the domain `{domain}`; only standard operators are run")]
    Domain {
        /// The operators' domain.
        domain: String,
    },
    /// Something that ONNX has and no bundle needs.
    #[error("the onnx file uses {what}, which bundles may not; export it without")]
    Unsupported {
        /// What.
        what: &'static str,
    },
    /// Two tensors, or two inputs, of one name.
    #[error("the onnx file uses the name `{name}` twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// An input or output that is not a tensor of a supported type with a shape.
    #[error("`{name}` has type code {code}; inputs and outputs are f32, i64 or i32 tensors: cast inside the graph")]
    EdgeType {
        /// The input or output.
        name: String,
        /// ONNX's code for the type; 0 for none.
        code: u64,
    },
    /// A type of numbers that no bundle uses.
    #[error("the tensor `{tensor}` has type code {code}, which bundles may not use")]
    TensorType {
        /// The tensor.
        tensor: String,
        /// ONNX's code for the type.
        code: u64,
    },
    /// Axes whose product is no size: negative, or more than 64 bits.
    #[error("the shape of the tensor `{tensor}` is no size")]
    TensorShape {
        /// The tensor.
        tensor: String,
    },
    /// Its numbers are not as many as its shape says.
    #[error("the tensor `{tensor}` needs {expected} bytes for its shape and has {found}")]
    TensorLength {
        /// The tensor.
        tensor: String,
        /// Shape times size of a number.
        expected: u64,
        /// In the file.
        found: u64,
    },
    /// Numbers in two places, or in the field of another type.
    #[error("the tensor `{tensor}` keeps its numbers where its type does not allow them")]
    TensorStorage {
        /// The tensor.
        tensor: String,
    },
    /// External data outside the bundle: an absolute path, `..`, a drive, a backslash.
    #[error("the tensor `{tensor}` lies at a path that leaves the bundle; external data is a file name in it")]
    ExternalPath {
        /// The tensor.
        tensor: String,
    },
    /// External data in a file that the bundle does not have.
    #[error("the tensor `{tensor}` lies in a file that is not part of the bundle: {location}")]
    ExternalFile {
        /// The tensor.
        tensor: String,
        /// The name that it gives.
        location: String,
    },
    /// External data past the end of its file.
    #[error("the tensor `{tensor}` lies at bytes {offset} to {offset} + {length} of a file of {file} bytes")]
    ExternalRange {
        /// The tensor.
        tensor: String,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
        /// Bytes that the file has.
        file: u64,
    },
    /// An external entry that is unknown, given twice, or no number.
    #[error("the tensor `{tensor}` describes its external data in a way that is not read")]
    ExternalEntry {
        /// The tensor.
        tensor: String,
    },
}
