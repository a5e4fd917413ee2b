//! Arrays that stay in ONNX Runtime's memory from one run to the next.

use hydra_types::ndarray::{ArrayView, ArrayViewMut, Ix4};
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::IoBinding;
use ort::value::Tensor;

use super::values::{Outputs, TensorView};
use super::{Session, SessionError};

/// Arrays of one shape that a graph reads and writes in place: the cache of a language model.
///
/// Each is bound to an input and to an output of the graph at once. That is right only for operators that are made for
/// it, such as `GroupQueryAttention`, which writes new keys and values behind the old ones: then nothing is copied from
/// run to run. Other operators would read what they have already overwritten.
///
/// On the processor only: on another device every run would carry the arrays there and back.
pub struct State {
    binding: IoBinding,
    tensors: Vec<Tensor<f32>>,
    shape: [usize; 4],
}

impl State {
    /// The shape of each array.
    #[must_use]
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// How many arrays there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// One of the arrays, read in place.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    pub fn array(&self, index: usize) -> ArrayView<'_, f32, Ix4> {
        let (_, numbers) = self.tensors[index].extract_tensor();
        ArrayView::from_shape(self.shape, numbers).expect("made with this shape")
    }

    /// One of the arrays, to be written in place.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    pub fn array_mut(&mut self, index: usize) -> ArrayViewMut<'_, f32, Ix4> {
        let (_, numbers) = self.tensors[index].extract_tensor_mut();
        ArrayViewMut::from_shape(self.shape, numbers).expect("made with this shape")
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("arrays", &self.len()).field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl Session {
    /// Makes arrays of zeros for this session, each for an input and an output of the graph.
    ///
    /// # Errors
    /// [`SessionError::UnknownInput`] or [`SessionError::NoOutput`] for a name that the graph does not have,
    /// [`SessionError::Run`] if ONNX Runtime has no memory for them.
    pub fn state(&self, names: &[(String, String)], shape: [usize; 4]) -> Result<State, SessionError> {
        let mut binding = self.inner.create_binding().map_err(SessionError::run)?;
        let mut tensors = Vec::new();
        for (input, output) in names {
            if !self.inputs.iter().any(|spec| spec.name == *input) {
                return Err(SessionError::UnknownInput { name: input.clone(), known: self.input_names() });
            }
            if !self.outputs.iter().any(|spec| spec.name == *output) {
                return Err(SessionError::NoOutput { name: output.clone(), axes: shape.len() });
            }
            let mut tensor = Tensor::<f32>::new(&Allocator::default(), shape).map_err(SessionError::run)?;
            // The memory comes as it is.
            tensor.extract_tensor_mut().1.fill(0.0);
            binding.bind_input(input, &tensor).map_err(SessionError::run)?;
            binding.bind_output(output, &mut tensor).map_err(SessionError::run)?;
            tensors.push(tensor);
        }
        Ok(State { binding, tensors, shape })
    }

    /// Runs the graph once, `state` read and written in place, and gives the `outputs` that are named.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_in_place<'s>(
        &'s mut self,
        inputs: &[(&str, TensorView<'_>)],
        state: &'s mut State,
        outputs: &[&str],
    ) -> Result<Outputs<'s>, SessionError> {
        for (name, view) in inputs {
            self.fits(name, view)?;
            state.binding.bind_input(*name, &view.owned().map_err(SessionError::run)?).map_err(SessionError::run)?;
        }
        let memory = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput);
        let memory = memory.map_err(SessionError::run)?;
        for name in outputs {
            state.binding.bind_output_to_device(*name, &memory).map_err(SessionError::run)?;
        }
        self.inner.run_binding(&state.binding).map(Outputs::new).map_err(SessionError::run)
    }

    /// A text that whoever made the graph left in its metadata.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.inner.metadata().ok()?.custom(key)
    }
}
