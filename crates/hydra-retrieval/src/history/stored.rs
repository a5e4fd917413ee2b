//! A history that is kept in a store.

mod rows;

use std::sync::Arc;

use hydra_store::{Batch, Scan, Store, StoreError, Vault};
use hydra_types::{Fingerprint, Generation, RecordId, Scope};

use self::rows::{HISTORY, Header, RECORDS, VECTORS};
use super::{Entry, History, HistoryError, HistoryParams, View};

/// One user's records with their vectors, in time order, kept in a [`Store`] and searched in memory.
///
/// Every change is durable when the call returns, record and vector together in one transaction: a crash leaves both or
/// neither. What a store promises holds here too: the values are sealed with the user's own key, and once the user is
/// forgotten there, [`view`](Self::view) shows an empty history, whatever was in memory before.
///
/// Several values may serve one user. Each change is made on top of what the others have stored; a value that only reads
/// sees their changes after [`refresh`](Self::refresh).
///
/// A graph is not stored: after opening, searches are exact until [`maintain`](Self::maintain) links one.
///
/// ```
/// use std::sync::Arc;
///
/// use hydra_retrieval::{Entry, HistoryParams, StoredHistory};
/// use hydra_store::{Store, StoreKey};
/// use hydra_types::{Record, RecordId, Scope, Time, UserId};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let key = StoreKey::create_file(&folder.join("store.key"))?;
/// let store = Arc::new(Store::create(&folder.join("store"), &key)?);
/// let scope = Scope::acting_for(UserId::new(7));
/// let open = || StoredHistory::open(Arc::clone(&store), &scope, 2, HistoryParams::default());
///
/// let record = Record::new(RecordId::new(1), Time::from_unix_millis(0), "a quiet drama", "liked");
/// open()?.append(&scope, vec![Entry::new(record, vec![1.0, 0.0])])?;
///
/// let history = open()?;
/// assert_eq!(history.view(&scope)?.record(RecordId::new(1)).map(Record::output), Some("liked"));
/// store.forget(&scope)?;
/// assert!(history.view(&scope)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StoredHistory {
    store: Arc<Store>,
    history: History,
    /// What is shown of a user who was forgotten since.
    nothing: History,
    seen: Seen,
    /// Which encoder the vectors are of: as stored, or as asked for where none are.
    encoder: Option<Fingerprint>,
}

/// Which stored history lies in memory. No two that differ are equal: a vault is never used for two lives of a user, and
/// within one the changes are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    vault: Option<Vault>,
    changes: u64,
}

/// A stored history that cannot be opened or changed. Nothing has changed then, unless the store says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredHistoryError {
    /// The change is refused, or the scope is another user's.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The store failed.
    #[error("the history cannot be read from or written to its store")]
    Store(#[from] StoreError),
    /// The history was stored with vectors of another encoder.
    #[error("the stored vectors have {stored} dimensions, not {asked}: use their encoder, or encode the records again")]
    Dimensions {
        /// Dimensions of what is stored.
        stored: usize,
        /// Dimensions that were asked for.
        asked: usize,
    },
    /// The history was stored with vectors of another encoder that has as many dimensions.
    #[error(
        "the stored vectors are of encoder {stored}, not {asked}: use their encoder, or delete the records and append them with vectors of the other"
    )]
    Encoder {
        /// The encoder of what is stored.
        stored: Fingerprint,
        /// The encoder that was asked for.
        asked: Fingerprint,
    },
    /// A later version of this crate wrote the history.
    #[error("the stored history has format {got} and this version reads up to {known}: update hydra-retrieval")]
    Newer {
        /// The format of what is stored.
        got: u32,
        /// The newest format that is read here.
        known: u32,
    },
    /// What lies in the tables of the history is none: something else wrote there.
    #[error("the stored history has an impossible {part}: leave its tables to it, and restore a snapshot of the store")]
    Damaged {
        /// Which part.
        part: &'static str,
    },
}

impl StoredHistory {
    /// Reads the history of the user whose scope it is; it is empty if nothing was stored. Opening writes nothing.
    ///
    /// It lies in the tables `history`, `history-records` and `history-vectors` of the store.
    ///
    /// # Errors
    /// [`StoredHistoryError`], among it what [`History::new`] says about the parameters.
    pub fn open(
        store: Arc<Store>,
        scope: &Scope,
        dimensions: usize,
        params: HistoryParams,
    ) -> Result<Self, StoredHistoryError> {
        let nothing = History::new(scope, dimensions, params)?;
        let seen = Seen { vault: None, changes: 0 };
        let mut opened = Self { store, history: nothing.clone(), nothing, seen, encoder: None };
        opened.load(scope)?;
        Ok(opened)
    }

    /// Appends the entries, all or none, and returns when they are on disk. They may come in any order of time.
    ///
    /// # Errors
    /// As [`History::append`], or what the store said.
    pub fn append(&mut self, scope: &Scope, entries: Vec<Entry>) -> Result<(), StoredHistoryError> {
        let in_memory = self.commit(scope, |history, batch| {
            let items: Vec<_> = entries.iter().map(Entry::item).collect();
            history.space.table.check(&items)?;
            Ok((!entries.is_empty()).then(|| entries.iter().fold(batch, rows::put)))
        })?;
        if !in_memory {
            self.history.append(scope, entries)?;
        }
        Ok(())
    }

    /// Puts the entry in the place of the record of the same id, and returns when it is on disk.
    ///
    /// # Errors
    /// As [`History::update`], or what the store said.
    pub fn update(&mut self, scope: &Scope, entry: Entry) -> Result<(), StoredHistoryError> {
        let in_memory = self.commit(scope, |history, batch| {
            history.space.check_update(&entry.item())?;
            Ok(Some(rows::put(batch, &entry)))
        })?;
        if !in_memory {
            self.history.update(scope, entry)?;
        }
        Ok(())
    }

    /// Deletes the records, and returns, when that is on disk, how many of them were there.
    ///
    /// # Errors
    /// As [`History::delete`], or what the store said.
    pub fn delete(&mut self, scope: &Scope, ids: &[RecordId]) -> Result<usize, StoredHistoryError> {
        let mut there = Vec::new();
        let in_memory = self.commit(scope, |history, batch| {
            there = ids.iter().copied().filter(|id| history.records.contains_key(id)).collect();
            there.sort_unstable();
            there.dedup();
            Ok((!there.is_empty()).then(|| there.iter().copied().fold(batch, rows::delete)))
        })?;
        if !in_memory {
            self.history.delete(scope, &there)?;
        }
        Ok(there.len())
    }

    /// The history, to be read and searched; empty from the moment on at which its user is forgotten in the store.
    ///
    /// Take one for each request: a view that was taken earlier goes on showing what it showed.
    ///
    /// # Errors
    /// [`HistoryError::ForeignScope`].
    pub fn view(&self, scope: &Scope) -> Result<View<'_>, HistoryError> {
        self.history.check(scope)?;
        let shown = if self.store.vault(scope) == self.seen.vault { &self.history } else { &self.nothing };
        shown.view(scope)
    }

    /// Reads the history again if it was changed by somebody else, or its user was forgotten. Whether it was.
    ///
    /// # Errors
    /// [`HistoryError::ForeignScope`], or as [`open`](Self::open).
    pub fn refresh(&mut self, scope: &Scope) -> Result<bool, StoredHistoryError> {
        self.history.check(scope)?;
        let vault = self.store.vault(scope);
        if vault == self.seen.vault {
            let header = self.store.get(scope, HISTORY, rows::HEADER_SLOT)?;
            let changes = header.map(|header| Header::read(&header)).transpose()?.map_or(0, |header| header.changes);
            if changes == self.seen.changes {
                return Ok(false);
            }
        }
        self.load(scope)?;
        Ok(true)
    }

    /// Links the graph where one is called for, as [`History::maintain`] does, over what is stored now.
    ///
    /// # Errors
    /// As [`History::maintain`] and [`refresh`](Self::refresh).
    pub fn maintain(&mut self, scope: &Scope) -> Result<bool, StoredHistoryError> {
        self.refresh(scope)?;
        Ok(self.history.maintain(scope)?)
    }

    /// Commits what `make` puts into a batch, if anything, on top of what is stored now. Whether that is in memory too.
    ///
    /// `make` is asked again if somebody else changed the user's data meanwhile.
    fn commit(
        &mut self,
        scope: &Scope,
        mut make: impl FnMut(&History, Batch) -> Result<Option<Batch>, HistoryError>,
    ) -> Result<bool, StoredHistoryError> {
        loop {
            // In this order: whatever happens after the generation was read, the commit is refused or the vault differs.
            let vault = self.store.vault(scope);
            let generation = self.store.generation(scope)?.unwrap_or(Generation::new(0));
            self.refresh(scope)?;
            if vault != self.seen.vault {
                continue;
            }
            let mut batch = Batch::new(scope).expecting(generation);
            if let Some(vault) = vault {
                batch = batch.within(vault);
            }
            let Some(batch) = make(&self.history, batch)? else { return Ok(true) };
            let dimensions = self.history.space.table.rows.dimensions();
            let header = Header { dimensions, encoder: self.encoder, changes: self.seen.changes + 1 };
            match self.store.commit(&batch.put(HISTORY, rows::HEADER_SLOT, header.write())) {
                Err(StoreError::Conflict { .. } | StoreError::Forgotten { .. }) => {}
                Err(error) => return Err(error.into()),
                // Which vault a first write went to is read with what lies there, for the user may be gone already.
                Ok(_) if vault.is_none() => {
                    self.load(scope)?;
                    return Ok(true);
                }
                Ok(_) => {
                    self.seen.changes += 1;
                    return Ok(false);
                }
            }
        }
    }

    /// Reads everything, as of one moment.
    fn load(&mut self, scope: &Scope) -> Result<(), StoredHistoryError> {
        let (vault, scanned) = loop {
            let vault = self.store.vault(scope);
            let scans = [HISTORY, RECORDS, VECTORS].map(|table| Scan::new(scope, table));
            let scanned = self.store.scan_many(&scans)?;
            // No vault comes back, so these are the rows of this one.
            if self.store.vault(scope) == vault {
                break (vault, scanned);
            }
        };
        let mut history = self.nothing.clone();
        let asked = history.params.encoder;
        let (changes, encoder) = match rows::read(scanned, history.space.table.rows.dimensions(), asked)? {
            Some((header, entries)) => {
                let encoder = if entries.is_empty() { asked } else { header.encoder.or(asked) };
                history.append(scope, entries)?;
                (header.changes, encoder)
            }
            None => (0, asked),
        };
        (self.history, self.seen, self.encoder) = (history, Seen { vault, changes }, encoder);
        Ok(())
    }
}

impl std::fmt::Debug for StoredHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredHistory").field("history", &self.history).finish_non_exhaustive()
    }
}
