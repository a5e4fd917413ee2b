//! Links from `.hydra/` in the checkout to where files really lie.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What `link` points at; none if it is no link or points at nothing.
pub(super) fn target(link: &Path) -> Option<PathBuf> {
    std::fs::read_link(link).ok().filter(|target| target.exists())
}

/// Makes `link` point at `target`, whatever it was before. Copies where the system has no symbolic links.
pub(super) fn point(link: &Path, target: &Path) -> Result<()> {
    if std::fs::read_link(link).is_ok_and(|old| old == target) {
        return Ok(());
    }
    let parent = link.parent().expect("links lie below the root of the checkout");
    std::fs::create_dir_all(parent)?;
    // Made beside and renamed, so that a test that runs meanwhile finds the old or the new one.
    let staging = tempfile::tempdir_in(parent)?;
    let fresh = staging.path().join("link");
    place(target, &fresh).with_context(|| format!("could not link to {}", target.display()))?;
    if link.is_dir() && !link.is_symlink() {
        std::fs::remove_dir_all(link)?;
    }
    std::fs::rename(&fresh, link).with_context(|| format!("could not replace {}", link.display()))
}

#[cfg(unix)]
fn place(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn place(target: &Path, copy: &Path) -> std::io::Result<()> {
    if target.is_file() {
        return std::fs::copy(target, copy).map(drop);
    }
    std::fs::create_dir(copy)?;
    for entry in std::fs::read_dir(target)? {
        let entry = entry?;
        std::fs::copy(entry.path(), copy.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_replaced_and_one_to_nothing_has_no_target() {
        let folder = tempfile::tempdir().unwrap();
        let (link, first, second) = (folder.path().join("a/link"), folder.path().join("1"), folder.path().join("2"));
        std::fs::write(&first, "1").unwrap();
        point(&link, &first).unwrap();
        assert_eq!(target(&link), Some(first));
        point(&link, &second).unwrap();
        assert_eq!(target(&link), None);
        std::fs::write(&second, "2").unwrap();
        assert_eq!(std::fs::read_to_string(&link).unwrap(), "2");
        assert_eq!(std::fs::read_dir(link.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_in_the_way_gives_way() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::fs::create_dir_all(link.join("inside")).unwrap();
        point(&link, folder.path()).unwrap();
        assert_eq!(target(&link).as_deref(), Some(folder.path()));
    }
}
