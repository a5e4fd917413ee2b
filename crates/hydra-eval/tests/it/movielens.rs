//! Files of the same shape as MovieLens's, written here.

use std::fs;
use std::path::Path;

use hydra_eval::{MovieLensError, Rater, load_movielens};
use hydra_types::UserId;

const ITEMS: &str = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n\
    1\tThe Quiet Test\t1990\tDrama Children's\n2\tUntitled\t\tunknown\n3\tNo Genre\t2001\t\n";
const HEADER: &str = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n";

fn load(items: &str, ratings: &str) -> Result<Vec<Rater>, MovieLensError> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), items, ratings);
    load_movielens(folder.path())
}

fn write(folder: &Path, items: &str, ratings: &str) {
    fs::write(folder.join("ml-100k.item"), items).unwrap();
    fs::write(folder.join("ml-100k.inter"), ratings).unwrap();
}

#[test]
fn every_user_has_their_ratings_in_time_order() {
    let raters = load(ITEMS, &format!("{HEADER}7\t3\t5\t20\n2\t2\t3\t11\n7\t2\t1\t10\n7\t1\t4\t10\n")).unwrap();
    assert_eq!(raters.iter().map(|rater| rater.user).collect::<Vec<_>>(), [2, 7].map(UserId::new));
    let of_seven: Vec<_> = raters[1]
        .records
        .iter()
        .map(|record| (record.id().get(), record.time().unix_millis(), record.input(), record.output()))
        .collect();
    let expected = [
        (1, 10_000, "The Quiet Test (1990): Drama, Children's", "4"),
        (2, 10_000, "Untitled: unknown", "1"),
        (3, 20_000, "No Genre (2001): ", "5"),
    ];
    assert_eq!(of_seven, expected);
}

#[test]
fn what_is_not_of_that_shape_is_refused_with_its_line() {
    let line_of = |items: &str, ratings: &str| match load(items, ratings) {
        Err(MovieLensError::Shape { line, .. }) => line,
        other => panic!("{other:?}"),
    };
    assert_eq!(line_of(ITEMS, ""), 1);
    assert_eq!(line_of("1\tx\t1990\tDrama\n", HEADER), 1);
    assert_eq!(line_of(ITEMS, &format!("{HEADER}7\t3\t5\t20\n7\t2\t5\n")), 3);
    for bad in ["x\t1\t5\t1", "1\tx\t5\t1", "1\t1\t6\t1", "1\t1\t4.5\t1", "1\t1\t5\tx", "1\t1\t5\t9223372036854775807"]
    {
        assert_eq!(line_of(ITEMS, &format!("{HEADER}{bad}\n")), 2, "{bad}");
    }
    assert_eq!(line_of(&format!("{ITEMS}1\tAgain\t1990\tDrama\n"), HEADER), 5);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let unlisted = load(ITEMS, &format!("{HEADER}1\t9\t5\t1\n")).unwrap_err();
    assert!(matches!(unlisted, MovieLensError::NoFilm { film, .. } if film.get() == 9));
    let twice = load(ITEMS, &format!("{HEADER}1\t2\t5\t1\n1\t2\t4\t2\n")).unwrap_err();
    assert!(matches!(twice, MovieLensError::Twice { .. }));
    let missing = load_movielens(Path::new("nowhere")).unwrap_err();
    assert!(matches!(&missing, MovieLensError::Read { .. }) && missing.to_string().contains("setup --movielens"));
}

#[test]
fn a_file_that_is_far_too_long_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), ITEMS, HEADER);
    fs::File::create(folder.path().join("ml-100k.inter")).unwrap().set_len((64 << 20) + 1).unwrap();
    assert!(matches!(load_movielens(folder.path()), Err(MovieLensError::Long { .. })));
}
