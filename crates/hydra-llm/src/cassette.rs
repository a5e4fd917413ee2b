//! Recorded answers: a run that cost money once is repeated for nothing, byte for byte.
//!
//! # File format, version 1
//! All numbers are little-endian. The file begins with 16 bytes: `hydracas`, the version as 4 bytes, 4 zero bytes. Then
//! come records, only ever appended, each of
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the body, at most 64 MiB |
//! | 4 | the same, every bit flipped |
//! | 32 | [`RequestKey`] |
//! | length | body: the [`Response`] as JSON, zlib-compressed, at most 64 MiB uncompressed |
//! | 16 | the first half of SHA-256 over all of the record before it |
//!
//! If a key comes twice, the first record holds. The file holds no prompt and no key to an endpoint. It does hold the
//! model's answers: it is as confidential as they are.
//!
//! A record is written in one piece and synced before the caller gets the answer. What a crash leaves at the end of
//! the file, fewer bytes than the record has or zeros in the place of its last 16, is dropped when the file is next
//! opened: one call is lost. Anything else that does not add up is [`CassetteError::Corrupt`], never guessed at.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    Assembler, BoxFuture, Capabilities, EventStream, KeyScope, LlmClient, LlmError, Request, RequestKey, Response,
    StreamEvent,
};

mod format;
mod tape;

use tape::Tape;

/// What to do about a request that was not recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CassetteMode {
    /// It is an error: nothing is ever asked. The file must exist.
    Replay,
    /// It is asked, and not recorded.
    PassThrough,
    /// It is asked and recorded. The file is made if it does not exist; no other process may use it.
    Record,
}

/// A client that answers from a file of recorded answers.
///
/// One request has one recorded answer, so that a run that was cut off goes on where it stopped. Who wants several
/// draws of the same request gives them different [`draw`](Request::draw)s, or uses [`Repeat`](crate::Repeat) above.
///
/// In [`CassetteMode::Replay`] the inner client only lends its capabilities; a [`DryRun`](crate::DryRun) will do.
/// File work is done on a thread of its own: opening blocks, answering does not.
///
/// ```
/// use hydra_llm::{Cassette, CassetteMode, KeyScope, LlmClient, Message, Request, ScriptedClient, block_on};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("labels.cassette");
/// let request = Request::new(vec![Message::user("a rainy day film?")]);
///
/// let model = ScriptedClient::answering(["drama"]);
/// let recorder = Cassette::open(model, &path, CassetteMode::Record, KeyScope::User)?;
/// block_on(recorder.complete(request.clone()))?;
/// drop(recorder);
///
/// let silent = ScriptedClient::answering::<&str>([]);
/// let player = Cassette::open(silent, &path, CassetteMode::Replay, KeyScope::User)?;
/// assert_eq!(block_on(player.complete(request))?.text(), "drama");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cassette<C> {
    inner: C,
    mode: CassetteMode,
    scope: KeyScope,
    tape: Tape,
}

impl<C: LlmClient> Cassette<C> {
    /// Opens the cassette at `path` and checks every record of it.
    ///
    /// # Errors
    /// [`CassetteError`] if the file cannot be read, is no cassette, is corrupt, or is in use by another process.
    pub fn open(inner: C, path: &Path, mode: CassetteMode, scope: KeyScope) -> Result<Self, CassetteError> {
        let tape = Tape::open(path, mode)?;
        Ok(Self { inner, mode, scope, tape })
    }

    /// How many answers were recorded when it was opened.
    pub fn recorded_at_open(&self) -> usize {
        self.tape.recorded_at_open
    }

    /// How many bytes of an unfinished record a crash had left at the end of the file; they are not used.
    pub fn dropped_bytes(&self) -> u64 {
        self.tape.dropped_bytes
    }

    fn key(&self, request: &Request) -> RequestKey {
        RequestKey::of(&self.inner.capabilities().model, request, self.scope)
    }

    /// The recorded answer; none if it has to be asked for.
    async fn find(&self, key: RequestKey) -> Result<Option<Response>, LlmError> {
        match self.tape.get(key).await? {
            None if self.mode == CassetteMode::Replay => Err(CassetteError::NotRecorded { key }.into()),
            found => Ok(found),
        }
    }

    /// Records an answer if that is the mode; gives back the one that holds.
    async fn keep(&self, key: RequestKey, response: Response) -> Result<Response, LlmError> {
        match self.mode {
            CassetteMode::Record => Ok(self.tape.put(key, response).await?),
            CassetteMode::Replay | CassetteMode::PassThrough => Ok(response),
        }
    }
}

impl<C: LlmClient> LlmClient for Cassette<C> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            let key = self.key(&request);
            match self.find(key).await? {
                Some(response) => Ok(response),
                None => {
                    let response = self.inner.complete(request).await?;
                    self.keep(key, response).await
                }
            }
        })
    }

    /// A recorded answer comes in one piece for each choice. One that is asked for is recorded when it is whole,
    /// before its last event.
    fn stream(&self, request: Request) -> EventStream<'_> {
        let key = self.key(&request);
        let events = async move {
            Ok::<_, LlmError>(match self.find(key).await? {
                Some(response) => stream::iter(response.into_events().into_iter().map(Ok)).boxed(),
                None => stream::try_unfold(
                    (self.inner.stream(request), Some(Assembler::default())),
                    move |(mut events, assembler)| async move {
                        let Some(event) = events.try_next().await? else { return Ok(None) };
                        let Some(mut so_far) = assembler else { return Ok(Some((event, (events, None)))) };
                        so_far.push(event.clone())?;
                        let rest = if matches!(event, StreamEvent::End(_)) {
                            self.keep(key, so_far.finish()?).await?;
                            None
                        } else {
                            Some(so_far)
                        };
                        Ok(Some((event, (events, rest))))
                    },
                )
                .boxed(),
            })
        };
        stream::once(events).try_flatten().boxed()
    }
}

/// Why a cassette cannot answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CassetteError {
    /// Strict replay came to a request that was not recorded.
    #[error("no answer is recorded for request {key}: record it, or replay with pass-through")]
    NotRecorded {
        /// The key of the request.
        key: RequestKey,
    },
    /// The file cannot be read or written.
    #[error("the cassette cannot be read or written: check the folder and the disk: {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system reports.
        source: Arc<std::io::Error>,
    },
    /// Another process records on it.
    #[error("the cassette is in use: wait for the other process, or record on another file: {path}")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// It is some other file.
    #[error("the file is not a cassette: give another path: {path}")]
    NotACassette {
        /// Which.
        path: PathBuf,
    },
    /// It was written by a later version.
    #[error("the cassette has format version {found}, known is {known}: update, or record it again: {path}", known = format::VERSION)]
    Version {
        /// Which it has.
        found: u32,
        /// Which file.
        path: PathBuf,
    },
    /// It was changed after it was written.
    #[error(
        "the cassette is damaged at byte {offset}: take a copy of it, or cut it there to keep what comes before: {path}"
    )]
    Corrupt {
        /// Where the first damaged record begins.
        offset: u64,
        /// Which file.
        path: PathBuf,
    },
    /// An answer is too large to be recorded.
    #[error("an answer of {bytes} bytes is too large for a cassette: the most is {most}", most = format::MAX_BODY)]
    TooLarge {
        /// How large.
        bytes: usize,
    },
}
