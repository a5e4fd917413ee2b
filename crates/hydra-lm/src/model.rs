//! A language model that is ready to run.

use std::path::Path;

use hydra_llm::Message;
use hydra_onnx::{Bundle, Kind, Precision, Session, SessionOptions};
use tokenizers::Tokenizer;

use crate::LmError;
use crate::facts::{Facts, KEY};
use crate::prefix::PrefixCache;
use crate::shape::CacheShape;
use crate::template::{ChatTemplate, parts};

/// A language model that is ready to run.
///
/// Running takes `&mut self`: a model belongs to one thread at a time. [`LocalClient`](crate::LocalClient) gives it a
/// thread of its own and is shared.
pub struct LanguageModel {
    pub(crate) session: Session,
    pub(crate) shape: CacheShape,
    pub(crate) tokenizer: Tokenizer,
    /// The same tokenizer, to which no text is a special token.
    pub(crate) plain: Tokenizer,
    pub(crate) facts: Facts,
    template: Option<ChatTemplate>,
    pub(crate) prefixes: PrefixCache,
    pub(crate) vocabulary: usize,
}

/// How a model is run. [`LmOptions::default`] is the place where the defaults live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LmOptions {
    session: SessionOptions,
    prefix_tokens: usize,
}

impl Default for LmOptions {
    /// 4,096 tokens of beginnings: 190 MB for a model of 135 million parameters, some prompts of a few hundred tokens.
    fn default() -> Self {
        Self { session: SessionOptions::default(), prefix_tokens: 4_096 }
    }
}

impl LmOptions {
    /// Device, threads and memory of the session.
    #[must_use]
    pub const fn session(mut self, session: SessionOptions) -> Self {
        self.session = session;
        self
    }

    /// How many tokens of prompts stay in memory for requests that begin alike; 0 keeps none.
    #[must_use]
    pub const fn prefix_tokens(mut self, tokens: usize) -> Self {
        self.prefix_tokens = tokens;
        self
    }
}

impl LanguageModel {
    /// Opens the bundle in a folder.
    ///
    /// # Errors
    /// [`LmError`], with the first thing that does not hold.
    pub fn open(dir: &Path, options: &LmOptions) -> Result<Self, LmError> {
        Self::from_bundle(&Bundle::open(dir)?, options)
    }

    /// Opens a bundle that was read.
    ///
    /// # Errors
    /// [`LmError`], with the first thing that does not hold.
    pub fn from_bundle(bundle: &Bundle, options: &LmOptions) -> Result<Self, LmError> {
        if bundle.manifest().kind() != Kind::LanguageModel {
            return Err(LmError::Unfit { what: "it holds an encoder" });
        }
        let shape = CacheShape::new(bundle.manifest().inputs(), bundle.manifest().outputs())?;
        let tokenizer = Tokenizer::from_bytes(bundle.tokenizer())
            .map_err(|_| LmError::Tokenizer { what: "tokenizer.json cannot be read" })?;
        let vocabulary = bundle.manifest().output_width();
        let tokens = tokenizer.get_vocab_size(true);
        if tokens != vocabulary {
            return Err(LmError::Vocabulary { tokens, vocabulary });
        }
        let session = Session::open(bundle.model(), &options.session)?;
        let facts = session.metadata(KEY).ok_or(LmError::Unfit { what: "its graph does not describe itself" })?;
        let mut facts = Facts::parse(&facts)?;
        let precision = bundle.manifest().precision();
        if precision != Precision::Fp32 {
            facts.name = format!("{} {}", facts.name, precision.name());
        }
        let mut plain = tokenizer.clone();
        plain.set_encode_special_tokens(true);
        let template = ChatTemplate::new(&facts)?;
        let prefixes = PrefixCache::new(options.prefix_tokens);
        Ok(Self { session, shape, tokenizer, plain, facts, template, prefixes, vocabulary })
    }

    /// The model's name and, unless it computes in fp32, the precision: rounded weights give other answers, and what is kept
    /// by a model's name must not be taken for theirs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// The most tokens that prompt and answer may have together.
    #[must_use]
    pub fn context(&self) -> usize {
        self.facts.context
    }

    /// The tokens of a text that the model is to continue. No text in it becomes a special token.
    ///
    /// # Errors
    /// [`LmError::Tokenizer`].
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>, LmError> {
        let mut tokens: Vec<u32> = self.facts.begin.into_iter().collect();
        tokens.extend(encode(&self.plain, text)?);
        Ok(tokens)
    }

    /// The text of tokens, special ones left out.
    ///
    /// # Errors
    /// [`LmError::Tokenizer`] for a token that does not exist.
    pub fn text(&self, tokens: &[u32]) -> Result<String, LmError> {
        self.tokenizer.decode(tokens, true).map_err(|_| LmError::Tokenizer { what: "a token cannot be decoded" })
    }

    /// The tokens of a conversation, up to where the model answers.
    ///
    /// What the messages say never becomes a special token, whatever it looks like: nobody can end their message early
    /// and go on in another role.
    ///
    /// # Errors
    /// [`LmError::NoChatTemplate`], [`LmError::Template`], [`LmError::Tokenizer`].
    pub fn chat_tokens(&self, messages: &[Message]) -> Result<Vec<u32>, LmError> {
        let template = self.template.as_ref().ok_or(LmError::NoChatTemplate)?;
        let parts = parts(messages);
        let special = |text: &str| {
            self.tokenizer.get_added_tokens_decoder().values().any(|token| text.contains(token.content.as_str()))
        };
        if !parts.iter().any(|(_, text)| special(text)) {
            return encode(&self.tokenizer, &template.render(&parts)?);
        }
        // Marks stand for the messages while the template is rendered; its own text is read with special tokens, theirs
        // without.
        let mark = |at: usize| format!("{MARK}{at}{MARK}");
        if parts.iter().any(|(_, text)| text.contains(MARK)) {
            return Err(LmError::Template { reason: "a message holds special tokens and a private character" });
        }
        let marks: Vec<String> = (0..parts.len()).map(mark).collect();
        let marked: Vec<_> = parts.iter().zip(&marks).map(|((role, _), mark)| (*role, mark.as_str())).collect();
        let rendered = template.render(&marked)?;
        let mut tokens = Vec::new();
        for (at, piece) in rendered.split(MARK).enumerate() {
            // Between two marks stands the number of a message.
            let message = (at % 2 == 1).then(|| piece.parse::<usize>().ok().and_then(|at| parts.get(at)));
            tokens.extend(match message {
                Some(Some((_, text))) => encode(&self.plain, text)?,
                Some(None) => return Err(LmError::Template { reason: "it changes what messages say" }),
                None => encode(&self.tokenizer, piece)?,
            });
        }
        Ok(tokens)
    }
}

impl std::fmt::Debug for LanguageModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LanguageModel").field("name", &self.facts.name).finish_non_exhaustive()
    }
}

pub(crate) fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, LmError> {
    let encoding =
        tokenizer.encode(text, false).map_err(|_| LmError::Tokenizer { what: "a text cannot be encoded" })?;
    Ok(encoding.get_ids().to_vec())
}

/// A character that no text has a use for.
const MARK: char = '\u{F0000}';
