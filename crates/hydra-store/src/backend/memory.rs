//! Rows in a map: what every other backend is compared with.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::{Backend, BackendError, BackendView, Change, OnRow};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Default)]
pub(crate) struct MemoryBackend(Mutex<Rows>);

impl Backend for MemoryBackend {
    fn view(&self) -> Result<Box<dyn BackendView + '_>, BackendError> {
        Ok(Box::new(MemoryView(self.0.lock().unwrap().clone())))
    }

    fn apply(&self, changes: &[Change]) -> Result<(), BackendError> {
        let mut rows = self.0.lock().unwrap();
        for change in changes {
            match change {
                Change::Put { key, value } => drop(rows.insert(key.clone(), value.clone())),
                Change::Delete { key } => drop(rows.remove(key)),
                Change::DeleteRange { from, to } => rows.retain(|key, _| key < from || key >= to),
            }
        }
        Ok(())
    }

    fn compact(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

struct MemoryView(Rows);

impl BackendView for MemoryView {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        Ok(keys.iter().map(|&key| self.0.get(key).cloned()).collect())
    }

    fn scan(&self, from: &[u8], to: &[u8], row: OnRow<'_>) -> Result<(), BackendError> {
        for (key, value) in self.0.range(from.to_vec()..to.to_vec()) {
            if row(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}
