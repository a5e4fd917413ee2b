//! A client that never pays for the same answer twice.

use std::path::Path;

use hydra_llm::{
    BoxFuture, Cached, Capabilities, Cassette, CassetteError, CassetteMode, EventStream, KeyScope, Ledger, Ledgered,
    LlmClient, LlmError, Prices, Request, Response, Spend, SystemClock,
};

/// A client whose answers are written down before they are given out, so that a run that was cut off at any point goes on
/// where it stopped.
///
/// It is a [`Cassette`] that records, keyed by a hash of the request and of whose data is in it; below it a [`Ledger`] counts
/// what is paid, above it equal requests at the same moment are asked once. A call that fails is not written down: the next
/// run asks it again.
///
/// ```
/// use hydra_llm::{LlmClient, Message, Prices, Request, ScriptedClient, block_on};
/// use hydra_train::Journal;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("labels.journal");
/// let request = Request::new(vec![Message::user("a rainy day film?")]);
/// let journal = Journal::open(ScriptedClient::answering(["drama"]), &path, Prices::default())?;
/// block_on(journal.complete(request.clone()))?;
/// assert_eq!(journal.spent().calls, 1);
/// drop(journal);
///
/// // The next run. A script without answers would panic if it were asked.
/// let journal = Journal::open(ScriptedClient::answering::<&str>([]), &path, Prices::default())?;
/// assert_eq!(block_on(journal.complete(request))?.text(), "drama");
/// assert_eq!((journal.remembered(), journal.spent().calls), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Journal<C> {
    client: Cached<Cassette<Ledgered<C>>>,
    ledger: Ledger,
    remembered: usize,
    dropped_bytes: u64,
}

impl<C: LlmClient> Journal<C> {
    /// Opens the journal at `path`, or begins it. The file holds the model's answers: it is as confidential as they are.
    ///
    /// # Errors
    /// [`CassetteError`] if the file cannot be read, is no journal, was changed, or is in use by another process.
    pub fn open(client: C, path: &Path, prices: Prices) -> Result<Self, CassetteError> {
        let ledger = Ledger::new();
        let paid = Ledgered::new(client, ledger.clone(), prices);
        let cassette = Cassette::open(paid, path, CassetteMode::Record, KeyScope::User)?;
        let (remembered, dropped_bytes) = (cassette.recorded_at_open(), cassette.dropped_bytes());
        let client = Cached::new(cassette, CACHE_BYTES, KeyScope::User, SystemClock);
        Ok(Self { client, ledger, remembered, dropped_bytes })
    }

    /// What was paid since it was opened, failed calls included.
    #[must_use]
    pub fn spent(&self) -> Spend {
        self.ledger.total()
    }

    /// How many answers earlier runs had left.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.remembered
    }

    /// How many bytes of an unfinished answer a crash had left; that answer is asked for again.
    #[must_use]
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }
}

impl<C: LlmClient> LlmClient for Journal<C> {
    fn capabilities(&self) -> Capabilities {
        self.client.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        self.client.complete(request)
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        self.client.stream(request)
    }
}

/// Enough for the calls that are under way at once; what is older is read from the file.
const CACHE_BYTES: usize = 1 << 20;
