//! The classifier on the first token.

use hydra_types::ndarray::{Array1, ArrayView1, Axis};

use super::layer::Linear;
use crate::folder::{Family, Folder, FolderError, Module, Task};

/// Two linear maps with a function between them.
pub(super) struct Classifier {
    hidden: Linear,
    between: fn(f64) -> f64,
    output: Linear,
}

impl Classifier {
    /// # Panics
    /// If the model is not a classifier.
    pub(super) fn read(folder: &Folder) -> Result<Self, FolderError> {
        let Task::Classify { classes } = folder.task() else {
            unreachable!("only a classifier has these weights");
        };
        let hidden = folder.config().hidden;
        Ok(Self {
            hidden: Linear::read(folder, Module::ClassifierHidden, hidden, hidden)?,
            between: if folder.config().family == Family::DistilBert { |x| x.max(0.0) } else { f64::tanh },
            output: Linear::read(folder, Module::Classifier, classes, hidden)?,
        })
    }

    /// `[hidden]` to `[classes]`.
    ///
    /// # Source
    /// Devlin et al. 2018, section 4.1, on the pooled first token (`tanh`, google-research/bert modeling.py); RoBERTa's
    /// and MPNet's head is the same function under other names. **Differs:** DistilBERT's head has `max(x, 0)` there
    /// (transformers, modeling_distilbert.py).
    pub(super) fn logits(&self, first: &ArrayView1<'_, f64>) -> Array1<f64> {
        let between = self.hidden.apply(&first.insert_axis(Axis(0))).mapv(self.between);
        self.output.apply(&between.view()).remove_axis(Axis(0))
    }
}
