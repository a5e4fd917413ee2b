//! Reading prompts and writing answers.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use hydra_llm::FinishReason;
use hydra_types::ndarray::{Array0, Array1, Array2, Array4, Ix2};
use tokenizers::Tokenizer;

use crate::choices::{Next, common_beginning};
use crate::rows::Rows;
use crate::sampler::{Sampler, log_probabilities};
use crate::text::{Added, TextStream};
use crate::{LanguageModel, LmError, Sampling};

/// One prompt and how it is to be answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Prompt {
    /// The tokens to continue: from [`LanguageModel::chat_tokens`] or [`LanguageModel::tokens`].
    pub tokens: Vec<u32>,
    /// How many answers. The prompt is read once for all of them; answer `i` is drawn with the seed `seed + i`.
    pub n: NonZeroUsize,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// An answer ends before the first of these.
    pub stop: Vec<String>,
    /// The most tokens of one answer.
    pub max_tokens: usize,
    /// Whether log-probabilities are given, and of how many tokens in each place besides the one drawn.
    pub logprobs: Option<usize>,
    /// The answer is one of these, as [`LanguageModel::choice_tokens`] gives them, drawn among themselves alone; none for
    /// any text. Log-probabilities stay those that the model gives without them.
    pub choices: Option<Vec<Vec<u32>>>,
}

impl Prompt {
    /// One greedy answer of up to 512 tokens.
    #[must_use]
    pub fn new(tokens: Vec<u32>) -> Self {
        Self {
            tokens,
            n: NonZeroUsize::MIN,
            sampling: Sampling::default(),
            stop: Vec::new(),
            max_tokens: 512,
            logprobs: None,
            choices: None,
        }
    }

    /// The beginning of the answer that need not be drawn, since all choices have it.
    fn given(&self) -> &[u32] {
        let given = self.choices.as_deref().map(common_beginning).unwrap_or_default();
        // Log-probabilities are of every token, and a stop string may end an answer at any.
        let may = self.logprobs.is_none() && self.stop.is_empty() && given.len() < self.max_tokens;
        if may { given } else { &[] }
    }
}

/// What was added to an answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Piece<'a> {
    /// Which prompt, from 0.
    pub prompt: usize,
    /// Which of its answers, from 0.
    pub answer: usize,
    /// The text; it may be empty while a character or a stop string is not whole.
    pub text: &'a str,
    /// The token, unless the answer ended without one.
    pub token: Option<&'a TokenChoice>,
    /// Why the answer ends, once it does.
    pub finish: Option<FinishReason>,
}

/// One token of an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TokenChoice {
    /// The token.
    pub id: u32,
    /// Natural logarithm of its probability at temperature 1, if it was asked for.
    pub logprob: Option<f32>,
    /// The most probable tokens in its place.
    pub top: Vec<(u32, f32)>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// What was written.
    pub text: String,
    /// Its tokens, the one that ended it left out.
    pub tokens: Vec<TokenChoice>,
    /// Why it ends.
    pub finish: FinishReason,
    /// How many tokens of the prompt were known from an earlier one.
    pub cached_tokens: usize,
}

impl LanguageModel {
    /// Answers prompts, all in one batch: `[prompt][answer]`. Each prompt is read alone, then all answers are written
    /// together, a token each at a time. `on_piece` sees every piece as it comes, and may break to give up.
    ///
    /// The same prompts give the same answers, whether their beginnings were known or not. Which prompts share a batch
    /// may change a rounding of the logits, and so, rarely, a word.
    ///
    /// # Errors
    /// [`LmError::ContextOverflow`], [`LmError::EmptyPrompt`], [`LmError::Sampling`] before anything runs;
    /// [`LmError::Cancelled`] if `on_piece` breaks.
    pub fn generate(
        &mut self,
        prompts: &[Prompt],
        mut on_piece: impl FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<Answer>>, LmError> {
        for prompt in prompts {
            self.check(prompt)?;
        }
        let mut writers = Vec::new();
        let mut rows: Option<Rows> = None;
        let count = prompts.iter().map(|prompt| prompt.n.get()).sum();
        let longest = prompts.iter().map(|prompt| prompt.tokens.len() + prompt.given().len()).max().unwrap_or(0);
        let whole =
            prompts.iter().map(|prompt| prompt.tokens.len().saturating_add(prompt.max_tokens)).max().unwrap_or(0);
        let capacity = whole.min(self.room(longest));
        for (index, prompt) in prompts.iter().enumerate() {
            let tokens = [&prompt.tokens, prompt.given()].concat();
            let (read, logits, cached) = self.read(&tokens, &mut on_piece)?;
            for answer in 0..prompt.n.get() {
                let mut writer = Writer::new(index, answer, prompt, cached);
                for id in prompt.given() {
                    writer.add(&self.tokenizer, TokenChoice { id: *id, logprob: None, top: Vec::new() });
                }
                self.write(&mut writer, &logits, &mut on_piece)?;
                // An answer that ends with its first token, as labels do, needs no memory.
                if writer.finish.is_none() {
                    if rows.is_none() {
                        rows = Some(Rows::new(&self.session, &self.shape, count, capacity)?);
                    }
                    if let Some(rows) = &mut rows {
                        rows.copy(writers.len(), &read, 0, tokens.len());
                    }
                }
                writers.push(writer);
            }
            self.prefixes.keep(tokens, read);
        }
        if let Some(rows) = rows {
            self.decode(&mut writers, rows, &mut on_piece)?;
        }
        let mut answers: Vec<Vec<Answer>> = prompts.iter().map(|_| Vec::new()).collect();
        for writer in writers {
            answers[writer.prompt].push(writer.into_answer());
        }
        Ok(answers)
    }

    fn check(&self, prompt: &Prompt) -> Result<(), LmError> {
        prompt.sampling.check()?;
        if prompt.tokens.is_empty() {
            return Err(LmError::EmptyPrompt);
        }
        let tokens = prompt.tokens.len() + prompt.given().len();
        if tokens >= self.context() {
            return Err(LmError::ContextOverflow { tokens, context: self.context() });
        }
        let mut choices = prompt.choices.iter().flatten();
        if prompt.choices.as_ref().is_some_and(Vec::is_empty) || choices.clone().any(Vec::is_empty) {
            return Err(LmError::Tokenizer { what: "there is nothing to choose from" });
        }
        let unknown = |id: &u32| *id as usize >= self.vocabulary;
        if prompt.tokens.iter().any(unknown) || choices.any(|choice| choice.iter().any(unknown)) {
            return Err(LmError::Tokenizer { what: "a token that the model does not have" });
        }
        Ok(())
    }

    /// Room for the tokens there are and some more; a longer answer gets more when it needs it.
    fn room(&self, tokens: usize) -> usize {
        (tokens + tokens / 2 + SPARE).min(self.context())
    }

    /// Reads a prompt: keys and values, the logits after it, and how many of its tokens were known.
    fn read(
        &mut self,
        tokens: &[u32],
        on_piece: &mut impl FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<(Rows, Vec<f32>, usize), LmError> {
        let mut rows = Rows::new(&self.session, &self.shape, 1, tokens.len())?;
        let mut known = 0;
        if let Some((kept, shared)) = self.prefixes.longest(tokens) {
            // The last token is always read, since its logits are needed.
            known = shared.min(tokens.len() - 1) / CHUNK * CHUNK;
            rows.copy(0, kept, 0, known);
        }
        let mut at = known;
        loop {
            let end = (at + CHUNK).min(tokens.len());
            let step = Step {
                ids: Array2::from_shape_fn((1, end - at), |(_, i)| i64::from(tokens[at + i])),
                positions: Array2::from_shape_fn((1, end - at), |(_, i)| signed(at + i)),
                lengths: vec![end],
                asked: vec![end - at - 1],
            };
            let logits = self.run(&step, &mut rows)?;
            if end == tokens.len() {
                return Ok((rows, logits.into_raw_vec_and_offset().0, known));
            }
            at = end;
            let nothing = Piece { prompt: 0, answer: 0, text: "", token: None, finish: None };
            if on_piece(nothing).is_break() {
                return Err(LmError::Cancelled);
            }
        }
    }

    /// Writes until every answer has ended.
    fn decode(
        &mut self,
        writers: &mut [Writer],
        mut rows: Rows,
        on_piece: &mut impl FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<(), LmError> {
        // Which writer has which row.
        let mut at_row: Vec<usize> = (0..writers.len()).collect();
        loop {
            let live: Vec<usize> = (0..rows.batch).filter(|row| writers[at_row[*row]].finish.is_none()).collect();
            if live.is_empty() {
                return Ok(());
            }
            let longest = at_row.iter().map(|writer| writers[*writer].length).max().unwrap_or(0);
            if longest > rows.capacity || live.len() * 2 <= rows.batch {
                // Answers that have ended leave the batch when they are half of it.
                let longest = live.iter().map(|row| writers[at_row[*row]].length).max().unwrap_or(longest);
                let capacity = if longest > rows.capacity { self.room(longest) } else { rows.capacity };
                let kept: Vec<_> = live.iter().map(|row| (*row, writers[at_row[*row]].length - 1)).collect();
                rows = rows.remade(&self.session, &self.shape, &kept, capacity)?;
                at_row = live.iter().map(|row| at_row[*row]).collect();
            }
            let of = |row: usize| &writers[at_row[row]];
            let step = Step {
                ids: Array2::from_shape_fn((rows.batch, 1), |(row, _)| i64::from(of(row).last)),
                positions: Array2::from_shape_fn((rows.batch, 1), |(row, _)| signed(of(row).length - 1)),
                lengths: (0..rows.batch).map(|row| of(row).length).collect(),
                asked: (0..rows.batch).collect(),
            };
            let logits = self.run(&step, &mut rows)?;
            for (row, logits) in logits.outer_iter().enumerate() {
                let writer = &mut writers[at_row[row]];
                if writer.finish.is_none() {
                    self.write(writer, logits.as_slice().expect("rows are contiguous"), on_piece)?;
                }
            }
        }
    }

    /// Draws the next token of an answer and hands out what it adds.
    fn write(
        &self,
        writer: &mut Writer,
        logits: &[f32],
        on_piece: &mut impl FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> Result<(), LmError> {
        let next = writer
            .choices
            .as_ref()
            .map(|choices| Next::after(choices, &writer.answer.tokens.iter().map(|token| token.id)));
        let id = match &next {
            Some(next) => writer.sampler.draw(&next.mask(logits, &self.facts.stops))?,
            None => writer.sampler.draw(logits)?,
        };
        let ended = self.facts.stops.contains(&id);
        if ended {
            writer.finish = Some(FinishReason::Stop);
        } else {
            let (logprob, top) = match writer.logprobs {
                Some(count) => {
                    let (logprob, top) = log_probabilities(logits, id, count);
                    (Some(logprob), top)
                }
                None => (None, Vec::new()),
            };
            writer.add(&self.tokenizer, TokenChoice { id, logprob, top });
            // The only choice that is still possible is the answer, and what is left of it need not be drawn.
            if let Some(rest) = writer.rest() {
                for id in rest {
                    writer.add(&self.tokenizer, TokenChoice { id, logprob: None, top: Vec::new() });
                }
                writer.finish = Some(FinishReason::Stop);
            }
            let full = writer.answer.tokens.len() >= writer.max_tokens || writer.length > self.context() - 1;
            if writer.finish.is_none() && full {
                writer.finish = Some(FinishReason::Length);
            }
        }
        if writer.finish.is_some() && !writer.stopped {
            match writer.stream.finish(&self.tokenizer) {
                Added::Text(rest) => writer.new_text.push_str(&rest),
                Added::Stopped(rest) => {
                    writer.new_text.push_str(&rest);
                    writer.finish = Some(FinishReason::Stop);
                }
            }
        }
        let text = std::mem::take(&mut writer.new_text);
        writer.answer.text.push_str(&text);
        let token = if ended { None } else { writer.answer.tokens.last() };
        let piece = Piece { prompt: writer.prompt, answer: writer.index, text: &text, token, finish: writer.finish };
        if on_piece(piece).is_break() { Err(LmError::Cancelled) } else { Ok(()) }
    }

    fn run(&mut self, step: &Step, rows: &mut Rows) -> Result<Array2<f32>, LmError> {
        let total = step.lengths.iter().copied().max().unwrap_or(1);
        let bias = Array4::<f32>::zeros((1, 1, step.ids.ncols(), total));
        let last: Array1<i32> = step.lengths.iter().map(|length| small(*length - 1)).collect();
        let asked: Array1<i64> = step.asked.iter().map(|row| signed(*row)).collect();
        let total = Array0::from_elem((), small(total));
        let inputs = [
            ("input_ids", step.ids.view().into()),
            ("position_ids", step.positions.view().into()),
            ("attention_bias", bias.view().into()),
            ("last_positions", last.view().into()),
            ("total_length", total.view().into()),
            ("logit_rows", asked.view().into()),
        ];
        let outputs = self.session.run_in_place(&inputs, &mut rows.state, &["logits"])?;
        Ok(outputs.f32::<Ix2>("logits")?.to_owned())
    }
}

/// Inputs of one run.
struct Step {
    ids: Array2<i64>,
    positions: Array2<i64>,
    /// Tokens of each row, the new ones included.
    lengths: Vec<usize>,
    /// Which of the tokens logits are asked for, over the whole batch.
    asked: Vec<usize>,
}

/// An answer that is being written.
struct Writer {
    prompt: usize,
    index: usize,
    sampler: Sampler,
    stream: TextStream,
    max_tokens: usize,
    logprobs: Option<usize>,
    choices: Option<Vec<Vec<u32>>>,
    answer: Answer,
    /// What was added to the text and not handed out.
    new_text: String,
    /// Whether a stop string was found.
    stopped: bool,
    finish: Option<FinishReason>,
    /// The last token, whose keys and values are not there yet.
    last: u32,
    /// Tokens of prompt and answer, that one included.
    length: usize,
}

impl Writer {
    fn new(prompt: usize, index: usize, of: &Prompt, cached_tokens: usize) -> Self {
        let seed = of.sampling.seed.wrapping_add(index as u64);
        Self {
            prompt,
            index,
            sampler: Sampler::new(Sampling { seed, ..of.sampling }),
            stream: TextStream::new(&of.stop),
            max_tokens: of.max_tokens.max(1),
            logprobs: of.logprobs,
            choices: of.choices.clone(),
            answer: Answer { text: String::new(), tokens: Vec::new(), finish: FinishReason::Unknown, cached_tokens },
            new_text: String::new(),
            stopped: false,
            finish: None,
            last: 0,
            length: of.tokens.len(),
        }
    }

    /// Appends a token to the answer.
    fn add(&mut self, tokenizer: &Tokenizer, token: TokenChoice) {
        if self.stopped {
            return;
        }
        self.last = token.id;
        self.length += 1;
        let added = self.stream.push(tokenizer, token.id);
        self.answer.tokens.push(token);
        match added {
            Added::Text(text) => self.new_text.push_str(&text),
            Added::Stopped(text) => {
                self.new_text.push_str(&text);
                self.stopped = true;
                self.finish = Some(FinishReason::Stop);
            }
        }
    }

    /// What is left of the only choice that is still possible, if it may be written without being drawn.
    fn rest(&self) -> Option<Vec<u32>> {
        let next = Next::after(self.choices.as_deref()?, &self.answer.tokens.iter().map(|token| token.id));
        let fits = |rest: &Vec<u32>| {
            let drawn = rest.is_empty() || self.logprobs.is_none();
            drawn && self.answer.tokens.len() + rest.len() <= self.max_tokens
        };
        next.rest.filter(fits).filter(|_| self.finish.is_none())
    }

    fn into_answer(mut self) -> Answer {
        self.answer.finish = self.finish.unwrap_or(FinishReason::Unknown);
        self.answer
    }
}

fn signed(at: usize) -> i64 {
    i64::try_from(at).expect("shorter than the context")
}

fn small(at: usize) -> i32 {
    i32::try_from(at).expect("shorter than the context")
}

/// Tokens that are read at once. A beginning is known in whole chunks, so smaller ones would lose less of it and larger
/// ones would read faster.
const CHUNK: usize = 64;
/// Room for an answer before the cache has to grow.
const SPARE: usize = 64;
