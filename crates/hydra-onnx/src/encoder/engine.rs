//! What encoders and cross-encoders share: tokenize, form batches, run, hand back.

use std::sync::Arc;
use std::time::Instant;

use hydra_types::Fingerprint;
use hydra_types::ndarray::Array2;

use super::batches::{self, Batch};
use super::tokens::{Row, RowTokenizer};
use super::{EncoderError, EncoderOptions, Rows, Work};
use crate::bundle::{ATTENTION_MASK, Bundle, INPUT_IDS, POSITION_IDS, TOKEN_TYPE_IDS};
use crate::device::Device;
use crate::session::{Outputs, Session};

/// A session with the tokenizer that belongs to it.
#[derive(Debug)]
pub(super) struct Engine {
    session: Session,
    tokenizer: Arc<RowTokenizer>,
    fingerprint: Fingerprint,
    width: usize,
    max_tokens: usize,
    max_rows: usize,
    batch_tokens: usize,
    rows_interact: bool,
}

impl Engine {
    /// `width` is that of the output that will be read.
    pub(super) fn open(bundle: &Bundle, width: usize, options: &EncoderOptions) -> Result<Self, EncoderError> {
        let tokenizer = tokenizer(bundle, options)?;
        Ok(Self::new(Session::open(bundle.model(), &options.session)?, tokenizer, bundle, width, options))
    }

    pub(super) fn open_many(
        bundle: &Bundle,
        width: usize,
        options: &EncoderOptions,
        count: usize,
    ) -> Result<Vec<Self>, EncoderError> {
        let tokenizer = tokenizer(bundle, options)?;
        let sessions = Session::open_many(bundle.model(), &options.session, count)?;
        let new = |session| Self::new(session, Arc::clone(&tokenizer), bundle, width, options);
        Ok(sessions.into_iter().map(new).collect())
    }

    fn new(
        session: Session,
        tokenizer: Arc<RowTokenizer>,
        bundle: &Bundle,
        width: usize,
        options: &EncoderOptions,
    ) -> Self {
        let manifest = bundle.manifest();
        Self {
            session,
            tokenizer,
            fingerprint: manifest.fingerprint(),
            width,
            max_tokens: max_tokens(bundle, options),
            max_rows: match options.rows {
                Rows::Together => options.max_rows.get(),
                Rows::Alone => 1,
            },
            batch_tokens: options.batch_tokens.get(),
            rows_interact: manifest.precision().rows_interact() && options.rows == Rows::Together,
        }
    }

    pub(super) fn tokenize(&self, texts: &[impl AsRef<str> + Sync]) -> Result<Vec<Row>, EncoderError> {
        self.tokenizer.texts(texts)
    }

    pub(super) fn tokenize_pairs(
        &self,
        pairs: &[(impl AsRef<str> + Sync, impl AsRef<str> + Sync)],
    ) -> Result<Vec<Row>, EncoderError> {
        self.tokenizer.pairs(pairs)
    }

    /// Runs all rows and hands the outputs of each batch to `each`, with the places of its rows.
    pub(super) fn run(
        &mut self,
        rows: &[Row],
        mut each: impl FnMut(&[usize], &Outputs<'_>) -> Result<(), EncoderError>,
    ) -> Result<Work, EncoderError> {
        let lengths: Vec<usize> = rows.iter().map(Row::len).collect();
        let mut work = Work::default();
        for batch in batches::plan(&lengths, self.max_rows, self.batch_tokens) {
            let inputs = self.inputs(&batch, rows);
            let views: Vec<_> = inputs.iter().map(|(name, array)| (*name, array.view().into())).collect();
            let started = Instant::now();
            let outputs = self.session.run(&views)?;
            work.running += started.elapsed();
            work.batches += 1;
            let tokens: usize = batch.rows.iter().map(|&row| lengths[row]).sum();
            work.tokens += tokens;
            work.padding += batch.rows.len() * batch.len - tokens;
            each(&batch.rows, &outputs)?;
        }
        tracing::debug!(
            rows = rows.len(),
            batches = work.batches,
            tokens = work.tokens,
            padding = work.padding,
            "encoded"
        );
        Ok(work)
    }

    /// The arrays that the graph declares, `[batch, seq]` each, filled up on the right.
    fn inputs(&self, batch: &Batch, rows: &[Row]) -> Vec<(&'static str, Array2<i64>)> {
        let pad = i64::from(self.tokenizer.pad_id());
        let array = |fill: i64, value: &dyn Fn(&Row, usize) -> i64| {
            let mut array = Array2::from_elem((batch.rows.len(), batch.len), fill);
            for (mut into, &row) in array.rows_mut().into_iter().zip(&batch.rows) {
                let row = &rows[row];
                for (at, into) in into.iter_mut().enumerate().take(row.len()) {
                    *into = value(row, at);
                }
            }
            array
        };
        let make = |name: &str| match name {
            INPUT_IDS => Some((INPUT_IDS, array(pad, &|row, at| row.ids[at].into()))),
            ATTENTION_MASK => Some((ATTENTION_MASK, array(0, &|_, _| 1))),
            TOKEN_TYPE_IDS => Some((TOKEN_TYPE_IDS, array(0, &|row, at| row.types[at].into()))),
            POSITION_IDS => Some((POSITION_IDS, array(0, &|_, at| i64::try_from(at).expect("rows are short")))),
            _ => None,
        };
        self.session.inputs().iter().filter_map(|spec| make(&spec.name)).collect()
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Whether what comes out for a row depends on the other rows of a call.
    pub(super) fn rows_interact(&self) -> bool {
        self.rows_interact
    }

    pub(super) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(super) fn device(&self) -> Device {
        self.session.device()
    }
}

fn tokenizer(bundle: &Bundle, options: &EncoderOptions) -> Result<Arc<RowTokenizer>, EncoderError> {
    RowTokenizer::new(bundle, max_tokens(bundle, options), options).map(Arc::new)
}

fn max_tokens(bundle: &Bundle, options: &EncoderOptions) -> usize {
    let most = bundle.manifest().max_tokens();
    options.max_tokens.map_or(most, |tokens| tokens.get().min(most))
}
