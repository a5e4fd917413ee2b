//! The file, and the thread that works on it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use futures_channel::oneshot;

use super::format::{self, Contents, Fault, HEADER, Span};
use super::{CassetteError, CassetteMode};
use crate::{LlmError, RequestKey, Response};

/// A door to the thread that owns the file. Dropped, it waits until the thread has closed the file.
pub(super) struct Tape {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    pub(super) recorded_at_open: usize,
    pub(super) dropped_bytes: u64,
}

impl Tape {
    pub(super) fn open(path: &Path, mode: CassetteMode) -> Result<Self, CassetteError> {
        let (recorder, dropped_bytes) = Recorder::open(path, mode)?;
        let recorded_at_open = recorder.bodies.len();
        let (orders, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("hydra-llm-cassette".into())
            .spawn(move || recorder.run(&inbox))
            .map_err(|source| io_error(path, source))?;
        Ok(Self { orders: Some(orders), thread: Some(thread), recorded_at_open, dropped_bytes })
    }

    /// The recorded answer to `key`.
    pub(super) async fn get(&self, key: RequestKey) -> Result<Option<Response>, LlmError> {
        self.order(|reply| Order::Get { key, reply }).await
    }

    /// Records an answer, synced; gives back the one that holds.
    pub(super) async fn put(&self, key: RequestKey, response: Response) -> Result<Response, LlmError> {
        self.order(|reply| Order::Put { key, response, reply }).await
    }

    async fn order<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, CassetteError>>) -> Order,
    ) -> Result<T, LlmError> {
        let (reply, answer) = oneshot::channel();
        let orders = self.orders.as_ref().ok_or(LlmError::ShutDown)?;
        orders.send(make(reply)).map_err(|_| LlmError::ShutDown)?;
        Ok(answer.await.map_err(|_| LlmError::ShutDown)??)
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has already been reported, by the thread itself.
            let _ = thread.join();
        }
    }
}

enum Order {
    Get { key: RequestKey, reply: oneshot::Sender<Result<Option<Response>, CassetteError>> },
    Put { key: RequestKey, response: Response, reply: oneshot::Sender<Result<Response, CassetteError>> },
}

/// An answer that waits for the sync which makes it safe.
type Unsynced = (oneshot::Sender<Result<Response, CassetteError>>, Response);

/// Owns the file and the index. One thread, so that no two records mix.
struct Recorder {
    path: PathBuf,
    file: File,
    bodies: BTreeMap<RequestKey, Span>,
    end: u64,
}

impl Recorder {
    fn open(path: &Path, mode: CassetteMode) -> Result<(Self, u64), CassetteError> {
        let record = mode == CassetteMode::Record;
        let mut file = OpenOptions::new()
            .read(true)
            .write(record)
            .create(record)
            .truncate(false)
            .open(path)
            .map_err(|source| io_error(path, source))?;
        let locked = if record { file.try_lock() } else { file.try_lock_shared() };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CassetteError::InUse { path: path.into() }),
            Err(TryLockError::Error(source)) => return Err(io_error(path, source)),
        }
        let Contents { bodies, end, dropped } = read_contents(&file).map_err(|fault| explain(path, fault))?;
        if dropped > 0 {
            tracing::warn!(dropped, "a cassette ends in an unfinished record, which is dropped");
        }
        let mut end = end;
        if record {
            prepare(&mut file, path, &mut end, dropped).map_err(|source| io_error(path, source))?;
        }
        let recorder = Self { path: path.into(), file, bodies, end };
        Ok((recorder, dropped))
    }

    fn run(mut self, inbox: &mpsc::Receiver<Order>) {
        while let Ok(order) = inbox.recv() {
            let mut unsynced = Vec::new();
            self.obey(order, &mut unsynced);
            // One sync for all that came in the meantime.
            while unsynced.len() < MOST_AT_ONCE
                && let Ok(order) = inbox.try_recv()
            {
                self.obey(order, &mut unsynced);
            }
            self.sync(unsynced);
        }
    }

    fn obey(&mut self, order: Order, unsynced: &mut Vec<Unsynced>) {
        match order {
            // Who gave the order may have gone: then nobody wants to know.
            Order::Get { key, reply } => drop(reply.send(self.read(&key))),
            Order::Put { key, response, reply } => match self.read(&key) {
                Ok(None) => match self.append(key, &response) {
                    Ok(()) => unsynced.push((reply, response)),
                    Err(error) => drop(reply.send(Err(error))),
                },
                Ok(Some(earlier)) => unsynced.push((reply, earlier)),
                Err(error) => drop(reply.send(Err(error))),
            },
        }
    }

    fn read(&mut self, key: &RequestKey) -> Result<Option<Response>, CassetteError> {
        let Some(&Span { offset, len }) = self.bodies.get(key) else {
            return Ok(None);
        };
        let mut body = vec![0; len];
        self.file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| self.file.read_exact(&mut body))
            .map_err(|source| io_error(&self.path, source))?;
        match format::decode_body(&body) {
            Some(response) => Ok(Some(response)),
            None => Err(explain(&self.path, Fault::Corrupt(offset))),
        }
    }

    fn append(&mut self, key: RequestKey, response: &Response) -> Result<(), CassetteError> {
        let body = format::encode_body(response).map_err(|bytes| CassetteError::TooLarge { bytes })?;
        let record = format::encode_record(&key, &body);
        let written = self.file.seek(SeekFrom::Start(self.end)).and_then(|_| self.file.write_all(&record));
        if let Err(source) = written {
            // Half a record in the middle would be damage. If cutting fails too, the next append overwrites it, and a
            // crash before that leaves a torn end.
            let _ = self.file.set_len(self.end);
            return Err(io_error(&self.path, source));
        }
        self.bodies.insert(key, format::span_of(self.end, &body));
        self.end += record.len() as u64;
        Ok(())
    }

    fn sync(&mut self, unsynced: Vec<Unsynced>) {
        if unsynced.is_empty() {
            return;
        }
        let synced = self.file.sync_data().map_err(Arc::new);
        for (reply, response) in unsynced {
            let path = self.path.clone();
            let result = match &synced {
                Ok(()) => Ok(response),
                Err(source) => Err(CassetteError::Io { path, source: Arc::clone(source) }),
            };
            drop(reply.send(result));
        }
    }
}

fn read_contents(file: &File) -> Result<Contents, Fault> {
    let len = file.metadata()?.len();
    format::scan(BufReader::with_capacity(1 << 16, file), len)
}

/// Cuts off what a crash left and sees to it that the header is there.
fn prepare(file: &mut File, path: &Path, end: &mut u64, dropped: u64) -> io::Result<()> {
    if dropped > 0 {
        file.set_len(*end)?;
    }
    if *end == 0 {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&HEADER)?;
        *end = HEADER.len() as u64;
        file.sync_all()?;
        sync_folder_of(path);
    } else if dropped > 0 {
        file.sync_all()?;
    }
    Ok(())
}

/// So that the name of a new file survives a crash, too. Not every system can; then the file system's order holds.
fn sync_folder_of(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

fn explain(path: &Path, fault: Fault) -> CassetteError {
    let path = path.into();
    match fault {
        Fault::NotACassette => CassetteError::NotACassette { path },
        Fault::Version(found) => CassetteError::Version { found, path },
        Fault::Corrupt(offset) => CassetteError::Corrupt { offset, path },
        Fault::Io(source) => CassetteError::Io { path, source: Arc::new(source) },
    }
}

fn io_error(path: &Path, source: io::Error) -> CassetteError {
    explain(path, Fault::Io(source))
}

/// Orders that share one sync.
const MOST_AT_ONCE: usize = 64;
