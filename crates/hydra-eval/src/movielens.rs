//! MovieLens 100K as a rating task in the form of LaMP-3: what would this user give this film, from 1 to 5?
//!
//! The files may be used for research and not be passed on; `cargo xtask setup --movielens` fetches them where that is agreed
//! to. What is here reads them. An answer is judged as [`LampTask::ProductRating`](crate::LampTask::ProductRating)'s.
//!
//! # Source
//! Harper and Konstan 2015, "The MovieLens Datasets: History and Context", doi 10.1145/2827872, in the atomic file format of
//! RecBole.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use hydra_types::{Record, RecordId, Time, UserId};

/// A user of MovieLens with all their ratings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rater {
    /// The user's number in the files.
    pub user: UserId,
    /// Each film that they rated, once, oldest first, those of one second by id: the id is the film's number, the input its
    /// title, year and genres, the output `1` to `5`.
    pub records: Vec<Record>,
}

/// Reads `ml-100k.inter` and `ml-100k.item` of `folder`: all users, by number.
///
/// Some films are listed under two numbers (246 and 268, for one), and a few users rate both alike: what looks for leaks
/// finds the answer to one in the record of the other.
///
/// # Errors
/// [`MovieLensError`], which names file and line and never quotes it.
pub fn load(folder: &Path) -> Result<Vec<Rater>, MovieLensError> {
    let films = films(&folder.join("ml-100k.item"))?;
    let path = folder.join("ml-100k.inter");
    let mut raters: BTreeMap<UserId, BTreeMap<RecordId, Record>> = BTreeMap::new();
    for (line, [user, film, rating, seconds]) in
        rows(&path, "user_id:token\titem_id:token\trating:float\ttimestamp:float")?
    {
        let shape = || MovieLensError::Shape { line, path: path.clone() };
        let user = UserId::new(user.parse().map_err(|_| shape())?);
        let id = RecordId::new(film.parse().map_err(|_| shape())?);
        let seconds: i64 = seconds.parse().map_err(|_| shape())?;
        let time = Time::from_unix_millis(seconds.checked_mul(1000).ok_or_else(shape)?);
        if !matches!(rating.as_str(), "1" | "2" | "3" | "4" | "5") {
            return Err(shape());
        }
        let text = films.get(&id).ok_or_else(|| MovieLensError::NoFilm { film: id, path: path.clone() })?;
        if raters.entry(user).or_default().insert(id, Record::new(id, time, text, rating)).is_some() {
            return Err(MovieLensError::Twice { user, film: id, path });
        }
    }
    let rater = |(user, records): (UserId, BTreeMap<RecordId, Record>)| {
        let mut records: Vec<Record> = records.into_values().collect();
        records.sort_by_key(|record| (record.time(), record.id()));
        Rater { user, records }
    };
    Ok(raters.into_iter().map(rater).collect())
}

/// Why a file of MovieLens could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MovieLensError {
    /// The file cannot be read.
    #[error("cannot read a file of MovieLens, `cargo xtask setup --movielens` fetches it: {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is longer than any of MovieLens 100K.
    #[error("more than 64 MiB, which no file of MovieLens 100K has: {}", path.display())]
    Long {
        /// Which.
        path: PathBuf,
    },
    /// The file is not of the shape that RecBole's have.
    #[error("line {line} is not of a file of MovieLens in RecBole's format: {}", path.display())]
    Shape {
        /// Which line, from 1.
        line: usize,
        /// Which file.
        path: PathBuf,
    },
    /// A rating of a film without a title.
    #[error("film {film} is rated but not listed, take both files from one download: {}", path.display())]
    NoFilm {
        /// Which film.
        film: RecordId,
        /// The file that rates it.
        path: PathBuf,
    },
    /// Two ratings of one film by one user.
    #[error("user {user} rates film {film} twice, take the files as published: {}", path.display())]
    Twice {
        /// Who.
        user: UserId,
        /// Which film.
        film: RecordId,
        /// Which file.
        path: PathBuf,
    },
}

/// Title, year and genres of every film: `Toy Story (1995): Animation, Children's, Comedy`.
fn films(path: &Path) -> Result<BTreeMap<RecordId, String>, MovieLensError> {
    let mut films = BTreeMap::new();
    for (line, [id, title, year, genres]) in
        rows(path, "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq")?
    {
        let shape = || MovieLensError::Shape { line, path: path.to_owned() };
        let id = RecordId::new(id.parse().map_err(|_| shape())?);
        let genres = genres.split(' ').filter(|genre| !genre.is_empty()).collect::<Vec<_>>().join(", ");
        let year = if year.is_empty() { String::new() } else { format!(" ({year})") };
        if films.insert(id, format!("{title}{year}: {genres}")).is_some() {
            return Err(shape());
        }
    }
    Ok(films)
}

/// The lines below `header`, each with its number and its four fields.
fn rows(path: &Path, header: &str) -> Result<Vec<(usize, [String; 4])>, MovieLensError> {
    let unreadable = |source| MovieLensError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let read = File::open(path).map_err(unreadable)?.take(MOST_BYTES + 1).read_to_string(&mut text);
    read.map_err(unreadable)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(MovieLensError::Long { path: path.to_owned() });
    }
    let shape = |line| MovieLensError::Shape { line, path: path.to_owned() };
    let mut lines = (1..).zip(text.lines());
    if lines.next().is_none_or(|(_, first)| first != header) {
        return Err(shape(1));
    }
    let row = |(line, text): (usize, &str)| {
        let fields: Vec<String> = text.split('\t').map(str::to_owned).collect();
        fields.try_into().map(|fields| (line, fields)).map_err(|_| shape(line))
    };
    lines.map(row).collect()
}

/// Thirty times the longest of MovieLens 100K.
const MOST_BYTES: u64 = 64 << 20;
