//! Files that appear whole or not at all.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// The bytes in a file beside `path`, synced, still without its name: `persist(path)` gives it.
pub(crate) fn beside(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    // Beside its final place, so that the rename is within one file system and therefore one step.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What a file made in the ordinary way would have; the process's mask still takes its part away.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}
