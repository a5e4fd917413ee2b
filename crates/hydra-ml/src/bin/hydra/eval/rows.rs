//! What `hydra-train adapter` reads.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use hydra_ml::experiment::BodyRow;
use serde::Serialize;

#[derive(Serialize)]
struct Row<'a> {
    query: &'a str,
    text: &'a str,
    label: u8,
    group: usize,
    user: u128,
}

/// A row a line; candidates of one query are a group.
pub(super) fn write(rows: &[BodyRow], path: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?);
    let groups = rows.chunk_by(|one, next| (one.user, one.query) == (next.user, next.query));
    for (group, rows) in groups.enumerate() {
        for BodyRow { user, pair: (query, text), label, .. } in rows {
            let row = Row { query, text, label: u8::from(*label), group, user: user.get() };
            serde_json::to_writer(&mut file, &row)?;
            file.write_all(b"\n")?;
        }
    }
    file.flush()?;
    Ok(())
}
