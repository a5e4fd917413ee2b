//! Everything of one user, in an open format.

use std::fmt::Write as _;
use std::io::Write;
use std::ops::ControlFlow;

use hydra_types::Scope;
use serde_json::json;

use super::Store;
use super::read::read_ledger;
use crate::ledger::Ledger;
use crate::{StoreError, table};

impl Store {
    /// Writes everything that the store has of the user of `scope`, as JSON lines.
    ///
    /// The first line is `{"format": "hydra-store export", "version": 1, "user", "generation", "rows"}`; then there is
    /// one line for each value, in the order of tables and slots: `{"table", "slot", "text"}`, or `"hex"` in the place
    /// of `"text"` for a value that is not UTF-8. Slots are hexadecimal. A user without data has generation 0.
    ///
    /// The data are proved whole before the first byte is written.
    ///
    /// # Errors
    /// [`StoreError::NotWhole`] or [`StoreError::DoesNotOpen`] if they are not, [`StoreError::Export`] if `to` failed.
    pub fn export(&self, scope: &Scope, to: &mut dyn Write) -> Result<(), StoreError> {
        let (ledger, lines) = self.export_lines(scope)?;
        let header = json!({
            "format": "hydra-store export",
            "version": 1,
            "user": scope.user().to_string(),
            "generation": ledger.generation.get(),
            "rows": ledger.rows,
        });
        writeln!(to, "{header}").map_err(StoreError::Export)?;
        lines.iter().try_for_each(|line| writeln!(to, "{line}")).and_then(|()| to.flush()).map_err(StoreError::Export)
    }

    fn export_lines(&self, scope: &Scope) -> Result<(Ledger, Vec<serde_json::Value>), StoreError> {
        let user = scope.user();
        let vaults = self.vaults();
        let Some(&vault) = vaults.get(&user) else {
            return Ok((Ledger::EMPTY, Vec::new()));
        };
        let keys = self.unlock(user, vault)?;
        let view = self.backend.view()?;
        let ledger = read_ledger(&*view, &keys, vault)?.unwrap_or(Ledger::EMPTY);
        let mut found = Ledger::EMPTY;
        let mut lines = Vec::new();
        let mut whole = true;
        let (from, to) = table::vault_rows(vault);
        view.scan(&from, &to, &mut |row, sealed| {
            let value = keys.open(row, sealed.to_vec());
            let line = value.and_then(|value| line(row, &value));
            match (line, keys.mark(sealed)) {
                (Some(line), Some(mark)) => {
                    found.add(mark);
                    lines.push(line);
                    ControlFlow::Continue(())
                }
                _ => {
                    whole = false;
                    ControlFlow::Break(())
                }
            }
        })?;
        if whole && found.same_rows(&ledger) { Ok((ledger, lines)) } else { Err(StoreError::NotWhole { user }) }
    }
}

fn line(row: &[u8], value: &[u8]) -> Option<serde_json::Value> {
    let (table, slot) = table::table_and_slot(row)?;
    let slot = hex(slot);
    Some(match std::str::from_utf8(value) {
        Ok(text) => json!({"table": table, "slot": slot, "text": text}),
        Err(_) => json!({"table": table, "slot": slot, "hex": hex(value)}),
    })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    text
}
