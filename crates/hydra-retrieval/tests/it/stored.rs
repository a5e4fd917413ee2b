//! A history in a store: as in memory, and on disk; for one user only, and gone when that user is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hydra_retrieval::*;
use hydra_store::{Batch, Store, StoreKey, Table};
use hydra_types::{Fingerprint, RecordId, Scope, Scored, UserId};
use proptest::prelude::*;

use super::history::{DIMENSIONS, entry, text, vector};

const USERS: u8 = 4;

/// The history with these entries, half of them appended to what was stored before, read from the store again.
pub(super) fn opened_again(folder: &Path, scope: &Scope, dimensions: usize, entries: &[Entry]) -> StoredHistory {
    let path = folder.join("store");
    let open = |store: Arc<Store>| StoredHistory::open(store, scope, dimensions, HistoryParams::default()).unwrap();
    let mut history = open(Arc::new(Store::create(&path, &key()).unwrap()));
    for half in entries.chunks(entries.len().div_ceil(2).max(1)) {
        history.append(scope, half.to_vec()).unwrap();
    }
    drop(history);
    open(Arc::new(Store::open(&path, &key()).unwrap()))
}

fn key() -> StoreKey {
    StoreKey::from_bytes([7; 32])
}

fn scope(user: u8) -> Scope {
    Scope::acting_for(UserId::new(u128::from(user)))
}

fn open(store: &Arc<Store>, user: u8) -> StoredHistory {
    StoredHistory::open(Arc::clone(store), &scope(user), DIMENSIONS, HistoryParams::default()).unwrap()
}

/// Every answer of every retriever to a few queries, to the bit.
fn answers(history: &StoredHistory, user: u8) -> Vec<Vec<(RecordId, u32)>> {
    let view = history.view(&scope(user)).unwrap();
    let mut scratch = Scratch::new();
    let mut all = Vec::new();
    for v in [-100, 3, 77] {
        let vector = vector(v);
        let text = format!("canary0 canary1 canary2 canary3 shared{}", v % 5);
        let query = Query::new().vector(&vector).text(&text);
        let diverse = view.diverse(0.5, 10).unwrap();
        let retrievers: [&dyn Retriever; 4] = [&view.nearest(), view.lexical(), &view.recent(), &diverse];
        for retriever in retrievers {
            let found = retriever.search(&query, 100, &Filter::all(), &mut scratch).unwrap();
            let own = format!("canary{user} ");
            assert!(found.iter().all(|scored| view.record(scored.id).unwrap().input().starts_with(&own)));
            all.push(found.into_iter().map(|Scored { id, score }| (id, score.get().to_bits())).collect());
        }
    }
    all
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Whether any 12 bytes in a row of `needle` are in any of the files.
fn holds(files: &[Vec<u8>], needle: &[u8]) -> bool {
    let parts: BTreeSet<&[u8]> = needle.windows(12).collect();
    let mut begins = vec![false; 1 << 16];
    let begin = |part: &[u8]| usize::from(u16::from_le_bytes([part[0], part[1]]));
    parts.iter().for_each(|part| begins[begin(part)] = true);
    files.iter().any(|file| file.windows(12).any(|found| begins[begin(found)] && parts.contains(found)))
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u64>, i8),
    Update(u64, i8),
    Delete(Vec<u64>),
    /// Something else of the user's is stored, as a head would be.
    Head,
    Forget,
    Reopen,
    Read,
}

fn steps() -> impl Strategy<Value = Vec<(u8, usize, Step)>> {
    let id = 0u64..12;
    let step = prop_oneof![
        5 => (prop::collection::vec(id.clone(), 0..4), any::<i8>()).prop_map(|(ids, v)| Step::Append(ids, v)),
        2 => (id.clone(), any::<i8>()).prop_map(|(id, v)| Step::Update(id, v)),
        2 => prop::collection::vec(id, 0..4).prop_map(Step::Delete),
        1 => Just(Step::Head),
        2 => Just(Step::Forget),
        1 => Just(Step::Reopen),
        2 => Just(Step::Read),
    ];
    prop::collection::vec((0..USERS, 0usize..2, step), 1..40)
}

/// What should be stored: for each user the records by id.
type Model = BTreeMap<u8, BTreeMap<u64, i8>>;

/// Two histories a user, as two parts of one service would have them.
fn open_all(store: &Arc<Store>) -> Vec<[StoredHistory; 2]> {
    (0..USERS).map(|user| [open(store, user), open(store, user)]).collect()
}

fn run(steps: &[(u8, usize, Step)]) {
    const HEADS: Table = Table::new("heads");
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("store");
    let mut store = Arc::new(Store::create(&folder, &key()).unwrap());
    let mut histories = open_all(&store);
    let mut model = Model::new();
    for &(user, which, ref step) in steps {
        let own = scope(user);
        let stranger = scope((user + 1) % USERS);
        let records = model.entry(user).or_default();
        let history = &mut histories[usize::from(user)][which];
        match step {
            Step::Append(ids, v) => {
                let entries = || ids.iter().map(|&id| entry(user, id, *v)).collect::<Vec<_>>();
                let refused = history.append(&stranger, entries());
                assert!(matches!(refused, Err(StoredHistoryError::History(HistoryError::ForeignScope))));
                let distinct = ids.iter().collect::<BTreeSet<_>>().len() == ids.len();
                let fits = distinct && ids.iter().all(|id| !records.contains_key(id));
                let appended = history.append(&own, entries());
                assert_eq!(appended.is_ok(), fits, "{appended:?}");
                if fits {
                    records.extend(ids.iter().map(|&id| (id, *v)));
                }
            }
            &Step::Update(id, v) => {
                assert_eq!(history.update(&own, entry(user, id, v)).is_ok(), records.contains_key(&id));
                records.entry(id).and_modify(|old| *old = v);
            }
            Step::Delete(ids) => {
                let ids: BTreeSet<u64> = ids.iter().copied().filter(|id| records.contains_key(id)).collect();
                let asked: Vec<_> = ids.iter().chain(&ids).map(|&id| RecordId::new(id)).collect();
                assert_eq!(history.delete(&own, &asked).unwrap(), ids.len());
                records.retain(|id, _| !ids.contains(id));
            }
            Step::Head => drop(store.commit(&Batch::new(&own).put(HEADS, [1], [user; 40])).unwrap()),
            Step::Forget => {
                let answers = |histories: &[[StoredHistory; 2]]| -> Vec<_> {
                    let of = |other: u8| {
                        let [first, second] = &histories[usize::from(other)];
                        [first, second, &open(&store, other)].map(|history| answers(history, other))
                    };
                    (0..USERS).filter(|&other| other != user).flat_map(of).collect()
                };
                let before = answers(&histories);
                let had_data = store.vault(&own).is_some();
                let keys = std::fs::read(folder.join("keys")).unwrap();
                store.forget(&own).unwrap();
                assert!(histories[usize::from(user)].iter().all(|history| history.view(&own).unwrap().is_empty()));
                assert!(answers(&histories) == before, "forgetting user {user} changed an answer of another");

                let erased = std::fs::read(folder.join("keys")).unwrap();
                let gone: Vec<_> = keys.chunks(128).zip(erased.chunks(128)).filter(|(old, new)| old != new).collect();
                assert_eq!(gone.len(), usize::from(had_data), "one key is erased, and no other is touched");
                let files = files(&folder);
                for (key, _) in gone {
                    assert!(holds(std::slice::from_ref(&keys), &key[8..]), "the search finds what is there");
                    assert!(!holds(&files, &key[8..]), "the key is on disk");
                }
                for (id, v) in std::mem::take(records) {
                    assert!(!holds(&files, text(user, v).as_bytes()), "the text of record {id} is on disk");
                    let vector: Vec<u8> = vector(v).iter().flat_map(|number| number.to_le_bytes()).collect();
                    assert!(!holds(&files, &vector), "the vector of record {id} is on disk");
                }
            }
            Step::Reopen => {
                let before: Vec<_> = (0..USERS).map(|user| answers(&open(&store, user), user)).collect();
                drop(histories);
                drop(store);
                store = Arc::new(Store::open(&folder, &key()).unwrap());
                histories = open_all(&store);
                let after: Vec<_> = (0..USERS).map(|user| answers(&histories[usize::from(user)][0], user)).collect();
                assert!(after == before, "answers after opening are others");
            }
            Step::Read => {
                assert!(history.view(&stranger).is_err() && history.refresh(&stranger).is_err());
                history.refresh(&own).unwrap();
                assert!(!history.refresh(&own).unwrap());
            }
        }
        let shown = |history: &StoredHistory| -> BTreeMap<u64, i8> {
            let view = history.view(&own).unwrap();
            view.records()
                .map(|record| {
                    let v = i8::try_from(record.time().unix_millis()).unwrap();
                    // By hand: the text that was put there, of this user and no other.
                    assert_eq!(record.input(), text(user, v));
                    (record.id().get(), v)
                })
                .collect()
        };
        if !matches!(step, Step::Head | Step::Reopen) {
            assert_eq!(shown(&histories[usize::from(user)][which]), model[&user]);
        }
        assert_eq!(shown(&open(&store, user)), model[&user]);
        answers(&histories[usize::from(user)][which], user);
    }
    let files = files(&folder);
    for user in 0..USERS {
        assert!(!holds(&files, format!("canary{user} shared").as_bytes()), "a text of user {user} is on disk");
    }
    assert!(store.check().unwrap().is_whole());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..ProptestConfig::default() })]
    #[test]
    fn random_changes_are_stored_and_nobody_sees_anothers_records(steps in steps()) {
        run(&steps);
    }
}

#[test]
fn a_history_of_vectors_of_another_encoder_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::create(&place.path().join("store"), &key()).unwrap());
    open(&store, 1).append(&scope(1), vec![entry(1, 1, 5)]).unwrap();
    let other = StoredHistory::open(Arc::clone(&store), &scope(1), 384, HistoryParams::default());
    assert!(matches!(other, Err(StoredHistoryError::Dimensions { stored: DIMENSIONS, asked: 384 })));
    // Another user's is not in the way.
    StoredHistory::open(store, &scope(2), 384, HistoryParams::default()).unwrap();
}

#[test]
fn a_history_of_vectors_of_another_encoder_of_the_same_width_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::create(&place.path().join("store"), &key()).unwrap());
    let open_with = |encoder: Option<u8>| {
        let mut params = HistoryParams::default();
        params.encoder = encoder.map(|encoder| Fingerprint::new([encoder; 32]));
        StoredHistory::open(Arc::clone(&store), &scope(1), DIMENSIONS, params)
    };
    // Stored before encoders were named: it is read, and is the encoder's with which it is changed next.
    open(&store, 1).append(&scope(1), vec![entry(1, 1, 5)]).unwrap();
    let mut late = open_with(Some(2)).unwrap();
    open_with(Some(1)).unwrap().append(&scope(1), vec![entry(1, 2, 6)]).unwrap();
    let is_refused = |error: &StoredHistoryError| {
        let (expected, other) = (Fingerprint::new([1; 32]), Fingerprint::new([2; 32]));
        matches!(error, StoredHistoryError::Encoder { stored, asked } if (*stored, *asked) == (expected, other))
    };
    assert!(is_refused(&open_with(Some(2)).unwrap_err()));
    assert!(is_refused(&late.append(&scope(1), vec![entry(1, 3, 7)]).unwrap_err()));
    // Whoever names none changes nothing about it.
    open_with(None).unwrap().delete(&scope(1), &[RecordId::new(2)]).unwrap();
    assert!(is_refused(&open_with(Some(2)).unwrap_err()));
    assert_eq!(open_with(Some(1)).unwrap().view(&scope(1)).unwrap().len(), 1);

    // Where no vector is left, there is nothing to compare with.
    open_with(None).unwrap().delete(&scope(1), &[RecordId::new(1)]).unwrap();
    open_with(Some(2)).unwrap().append(&scope(1), vec![entry(1, 1, 5)]).unwrap();
    assert!(matches!(open_with(Some(1)), Err(StoredHistoryError::Encoder { .. })));
}

#[test]
fn what_is_opened_and_written_late_does_not_bring_anybody_back() {
    let place = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::create(&place.path().join("store"), &key()).unwrap());
    let (own, mut old) = (scope(1), open(&store, 1));
    old.append(&own, vec![entry(1, 1, 5), entry(1, 2, 6)]).unwrap();
    store.forget(&own).unwrap();
    assert!(old.update(&own, entry(1, 2, 7)).is_err());
    assert_eq!(old.delete(&own, &[RecordId::new(1)]).unwrap(), 0);
    assert!(store.users().unwrap().is_empty());
    // One who comes back has as many changes as the one who was forgotten had, and none of their records.
    let mut new = open(&store, 1);
    new.append(&own, vec![entry(1, 3, 8)]).unwrap();
    assert!(old.view(&own).unwrap().is_empty());
    assert!(old.refresh(&own).unwrap());
    assert_eq!(old.view(&own).unwrap().records().map(|record| record.id().get()).collect::<Vec<_>>(), [3]);
}

#[test]
fn writers_on_two_threads_lose_nothing_of_each_other() {
    let place = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::create(&place.path().join("store"), &key()).unwrap());
    let append = |from: u64| {
        let mut history = open(&store, 1);
        (from..from + 12).for_each(|id| history.append(&scope(1), vec![entry(1, id, 1)]).unwrap());
    };
    std::thread::scope(|threads| {
        threads.spawn(|| append(0));
        threads.spawn(|| append(100));
    });
    assert_eq!(open(&store, 1).view(&scope(1)).unwrap().len(), 24);
}

#[test]
fn a_graph_is_linked_over_what_is_stored() {
    let place = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::create(&place.path().join("store"), &key()).unwrap());
    let mut params = HistoryParams::default();
    params.search = SearchMode::Graph;
    let open = || StoredHistory::open(Arc::clone(&store), &scope(1), DIMENSIONS, params).unwrap();
    let (mut early, mut late) = (open(), open());
    early.append(&scope(1), (0..50).map(|id| entry(1, id, i8::try_from(id).unwrap())).collect()).unwrap();
    assert!(late.maintain(&scope(1)).unwrap());
    assert!(!late.maintain(&scope(1)).unwrap());
    assert_eq!(answers(&late, 1), answers(&early, 1));
    assert!(!format!("{late:?}").contains("canary"));
}
