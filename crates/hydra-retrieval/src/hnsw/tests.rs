use hydra_types::Time;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const DIMENSIONS: usize = 24;

/// Vectors in clusters, which is where graphs fall apart; every seed has the same clusters.
fn vectors(n: usize, seed: u64) -> Vec<Vec<f32>> {
    let draw = |rng: &mut ChaCha8Rng, scale: f32| -> Vec<f32> {
        (0..DIMENSIONS).map(|_| rng.random_range(-scale..scale)).collect()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let centres: Vec<Vec<f32>> = (0..20).map(|_| draw(&mut rng, 1.0)).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Sorted by cluster, so that a sample of the first ones would miss most.
    (0..n).map(|i| centres[i * 20 / n].iter().zip(draw(&mut rng, 0.3)).map(|(c, noise)| c + noise).collect()).collect()
}

fn items(vectors: &[Vec<f32>]) -> Vec<Item<'_>> {
    (0..)
        .zip(vectors)
        .map(|(id, vector)| {
            let time = Time::from_unix_millis(i64::try_from(id).unwrap());
            Item::new(RecordId::new(id), vector).at(time).tagged(crate::Tags::from_bits(1 << (id % 50)))
        })
        .collect()
}

fn index(vectors: &[Vec<f32>]) -> HnswIndex {
    HnswIndex::build(DIMENSIONS, &items(vectors), HnswParams::default().ef_construction(60).unwrap()).unwrap()
}

/// The share of the true ten that the graph finds, over held-out queries. The graph is asked, never the fallback.
fn recall(index: &HnswIndex, width: usize) -> f64 {
    let mut scratch = Scratch::new();
    let (mut hits, mut all) = (0usize, 0usize);
    for query in vectors(40, 99) {
        let vector = index.space.table.vector(&query).unwrap();
        let truth = index.search_exactly(&query, 10, &Filter::all(), &mut scratch).unwrap();
        index.space.graph.as_ref().unwrap().walk(&index.space.table.rows, &vector, width, &mut scratch);
        let found: Vec<RecordId> =
            scratch.pool.iter().map(|found| index.space.table.ids[found.row() as usize]).collect();
        hits += truth.iter().filter(|scored| found.contains(&scored.id)).count();
        all += truth.len();
    }
    f64::from(u32::try_from(hits).unwrap()) / f64::from(u32::try_from(all).unwrap())
}

#[test]
fn the_graph_finds_nearly_all_neighbours() {
    let index = index(&vectors(3000, 1));
    let recall = recall(&index, 48);
    assert!(recall >= 0.98, "{recall}");
}

/// Replaces every record three times over, a tenth at a time, and returns the index, and one built of what it then holds.
fn replaced_three_times() -> (HnswIndex, HnswIndex) {
    let all: Vec<Vec<Vec<f32>>> = (1..=4).map(|seed| vectors(3000, seed)).collect();
    let mut edited = index(&all[0]);
    for new in &all[1..] {
        for round in 0..10 {
            let gone: Vec<RecordId> = (0..3000).filter(|id| id % 10 == round).map(RecordId::new).collect();
            assert_eq!(edited.remove(&gone), gone.len());
            assert_eq!(edited.remove(&gone), 0);
            let new: Vec<Item<'_>> = items(new).into_iter().filter(|item| item.id.get() % 10 == round).collect();
            edited.add(&new).unwrap();
        }
    }
    (edited, index(&all[3]))
}

#[test]
fn recall_survives_replacing_everything_three_times() {
    let (edited, fresh) = replaced_three_times();
    assert_eq!(edited.len(), 3000);
    for width in [16, 32, 48] {
        let (edited, fresh) = (recall(&edited, width), recall(&fresh, width));
        assert!(edited >= fresh - 0.01, "width {width}: {edited} after editing, {fresh} built at once");
    }
    for (id, vector) in (0..).zip(&vectors(3000, 4)).step_by(7) {
        let found = edited.search(vector, 1, &Filter::all(), &mut Scratch::new()).unwrap();
        assert_eq!(found[0].id.get(), id);
    }
    // Neither layers nor links pile up.
    let graph = |index: &HnswIndex| index.space.graph.clone().unwrap();
    let towers = graph(&edited).towers;
    assert!((100..300).contains(&towers.len()), "{} towers", towers.len());
    assert!(towers.values().flatten().all(|list| list.len() <= 16));
    let links = |index: &HnswIndex| (0..3000).map(|row| graph(index).links(row).len()).sum::<usize>();
    assert!(links(&edited) <= links(&fresh));
}

#[test]
fn deleted_records_cost_no_recall() {
    let all = vectors(3000, 2);
    let mut edited = index(&all);
    // One by one, and many at once.
    for id in (0..3000).filter(|id| id % 10 < 4) {
        edited.remove(&[RecordId::new(id)]);
    }
    edited.remove(&(0..3000).filter(|id| id % 10 < 8).map(RecordId::new).collect::<Vec<_>>());
    assert_eq!(edited.len(), 600);
    let kept: Vec<Item<'_>> = items(&all).into_iter().filter(|item| item.id.get() % 10 >= 8).collect();
    let params = HnswParams::default().ef_construction(60).unwrap();
    let fresh = HnswIndex::build(DIMENSIONS, &kept, params).unwrap();
    for width in [16, 32, 48] {
        let (edited, fresh) = (recall(&edited, width), recall(&fresh, width));
        assert!(edited >= fresh - 0.01, "width {width}: {edited} after deleting, {fresh} built at once");
    }
}

#[test]
fn records_of_new_topics_are_found() {
    let all = vectors(3000, 3);
    let all = items(&all);
    for built in [1500, 0] {
        let params = HnswParams::default().ef_construction(60).unwrap();
        let mut index = HnswIndex::build(DIMENSIONS, &all[..built], params).unwrap();
        index.add(&all[built..2990]).unwrap();
        all[2990..].iter().for_each(|&item| index.add(&[item]).unwrap());
        let recall = recall(&index, 48);
        assert!(recall >= 0.98, "{recall} after building with {built}");
    }
}

#[test]
fn an_index_can_be_emptied_and_filled_again() {
    let all = vectors(300, 3);
    let mut index = index(&all);
    let ids: Vec<RecordId> = (0..300).map(RecordId::new).collect();
    assert_eq!(index.remove(&ids), 300);
    assert!(index.search(&all[0], 5, &Filter::all(), &mut Scratch::new()).unwrap().is_empty());
    for item in items(&all) {
        index.add(&[item]).unwrap();
    }
    let recall = recall(&index, 48);
    assert!(recall >= 0.95, "{recall}");
}

#[test]
fn every_row_can_be_reached() {
    let mut index = index(&vectors(2000, 4));
    let gone: Vec<RecordId> = (0..1500).map(RecordId::new).collect();
    index.remove(&gone);
    let graph = index.space.graph.as_ref().unwrap();
    assert_eq!(graph.len(), 500);
    assert!(graph.reached(&[false; 500]).into_iter().all(|reached| reached));
}

#[test]
fn filters_lose_nothing_and_let_nothing_through() {
    let index = index(&vectors(4000, 5));
    let mut scratch = Scratch::new();
    let before = |time| Filter::all().before(Time::from_unix_millis(time));
    let tag = Filter::all().with_any_tag(crate::Tags::NONE.with(7));
    for filter in [
        before(3900),
        before(2000),
        before(30),
        before(0),
        tag.clone(),
        before(5).with_all_tags(crate::Tags::NONE.with(7)),
    ] {
        for query in vectors(5, 6) {
            let found = index.search(&query, 10, &filter, &mut scratch).unwrap();
            let truth = index.search_exactly(&query, 10, &filter, &mut scratch).unwrap();
            assert_eq!(found.len(), truth.len());
            let space = &index.space.table;
            assert!(found.iter().all(|scored| space.admits(&filter, space.place(scored.id).unwrap())));
            let missed = truth.iter().filter(|scored| !found.contains(scored)).count();
            assert!(missed <= 1, "{missed} of {} missed", truth.len());
        }
    }
}

#[test]
fn the_same_items_give_the_same_bytes_on_any_number_of_threads() {
    let vectors = vectors(3000, 7);
    let bytes = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| file::encode(&index(&vectors).space))
    };
    assert_eq!(bytes(1), bytes(3));
}

#[test]
fn a_loaded_index_is_the_saved_one() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(&vectors(1500, 8));
    assert_eq!(index.save(folder.path()).unwrap(), Generation::FIRST);
    assert_eq!(index.save(folder.path()).unwrap(), Generation::new(2));
    let loaded = HnswIndex::load(folder.path()).unwrap();
    assert_eq!(file::encode(&loaded.space), file::encode(&index.space));
    for query in vectors(5, 9) {
        let search = |index: &HnswIndex| index.search(&query, 7, &Filter::all(), &mut Scratch::new()).unwrap();
        assert_eq!(search(&loaded), search(&index));
    }
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let mut index = index(&vectors(30, 10));
    let before = file::encode(&index.space);
    let (zero, short, good) = (vec![0.0; DIMENSIONS], vec![1.0; 3], vec![1.0; DIMENSIONS]);
    let id = RecordId::new(1000);
    assert!(matches!(
        index.add(&[Item::new(id, &good), Item::new(RecordId::new(1001), &zero)]),
        Err(AddError::Vector { .. })
    ));
    assert!(matches!(index.add(&[Item::new(id, &short)]), Err(AddError::Vector { .. })));
    assert_eq!(index.add(&[Item::new(id, &good), Item::new(id, &good)]), Err(AddError::Duplicate { id }));
    assert_eq!(index.add(&[Item::new(RecordId::new(3), &good)]), Err(AddError::Duplicate { id: RecordId::new(3) }));
    assert!(index.search(&[f32::NAN; DIMENSIONS], 1, &Filter::all(), &mut Scratch::new()).is_err());
    assert_eq!(file::encode(&index.space), before);
    assert!(HnswParams::default().links(257).is_err());
    assert!(matches!(
        HnswIndex::build(0, &[], HnswParams::default()),
        Err(BuildError::Item(AddError::Dimensions { got: 0 }))
    ));
}

#[test]
fn a_build_tells_its_progress_and_stops_when_told() {
    let vectors = vectors(1500, 11);
    let mut seen = Vec::new();
    let params = HnswParams::default().ef_construction(20).unwrap();
    HnswIndex::build_with_progress(DIMENSIONS, &items(&vectors), params, &mut |progress| {
        seen.push(progress.done);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(seen.is_sorted() && seen.last() == Some(&1500), "{seen:?}");
    let stopped = HnswIndex::build_with_progress(DIMENSIONS, &items(&vectors), params, &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(BuildError::Stopped { all: 1500, .. })));
}

#[test]
fn equal_vectors_neither_break_the_graph_nor_hide_each_other() {
    let same = vec![vec![1.0; DIMENSIONS]; 400];
    let index = index(&same);
    let found = index.search(&same[0], 400, &Filter::all(), &mut Scratch::new()).unwrap();
    assert_eq!(found.iter().map(|scored| scored.id.get()).collect::<Vec<_>>(), (0..400).collect::<Vec<_>>());
    assert!(index.space.graph.as_ref().unwrap().reached(&[false; 400]).into_iter().all(|reached| reached));
}
