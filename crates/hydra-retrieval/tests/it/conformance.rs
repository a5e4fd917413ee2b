//! One suite for every [`Retriever`].

use std::cmp::Reverse;
use std::collections::BTreeMap;

use hydra_retrieval::*;
use hydra_types::{Record, RecordId, Scope, Scored, Time, UserId};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIMENSIONS: usize = 12;

/// Records with few distinct times, tags, words and vectors, so that ties are everywhere.
struct World {
    scope: Scope,
    entries: Vec<Entry>,
    facts: Vec<(RecordId, Time, Tags)>,
    vectors: Vec<Vec<f32>>,
    texts: Vec<String>,
}

impl World {
    fn new(n: u64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut world = Self {
            scope: Scope::acting_for(UserId::new(1)),
            entries: Vec::new(),
            facts: Vec::new(),
            vectors: Vec::new(),
            texts: Vec::new(),
        };
        for place in 0..n {
            let id = RecordId::new((place * 7919) % 100_003);
            let time = Time::from_unix_millis(rng.random_range(0..6));
            let tags = Tags::from_bits(rng.random_range(0..8));
            let vector: Vec<f32> = (0..DIMENSIONS).map(|_| f32::from(rng.random_range(-1i8..=1)) + 0.01).collect();
            let text: String = (0..rng.random_range(0..5)).map(|_| format!("w{} ", rng.random_range(0..6))).collect();
            world.facts.push((id, time, tags));
            world.entries.push(Entry::new(Record::new(id, time, &text, ""), vector.clone()).tagged(tags));
            world.vectors.push(vector);
            world.texts.push(text);
        }
        world
    }

    fn history(&self, search: SearchMode, metric: Metric) -> History {
        let mut params = HistoryParams::default();
        (params.search, params.metric) = (search, metric);
        let mut history = History::new(&self.scope, DIMENSIONS, params).unwrap();
        let half = self.entries.len() / 2;
        history.append(&self.scope, self.entries[..half].to_vec()).unwrap();
        history.maintain(&self.scope).unwrap();
        history.append(&self.scope, self.entries[half..].to_vec()).unwrap();
        history
    }

    /// Calls `check` with every implementation over the same records.
    fn each(&self, mut check: impl FnMut(&str, &dyn Retriever)) {
        let exact = self.history(SearchMode::Exact, Metric::Cosine);
        let dot = self.history(SearchMode::Automatic, Metric::Dot);
        let graph = self.history(SearchMode::Graph, Metric::Cosine);
        let (exact, dot, graph) = [&exact, &dot, &graph].map(|history| history.view(&self.scope).unwrap()).into();
        let items: Vec<Item<'_>> = self
            .facts
            .iter()
            .zip(&self.vectors)
            .map(|(&(id, time, tags), vector)| Item::new(id, vector).at(time).tagged(tags))
            .collect();
        let index = HnswIndex::build(DIMENSIONS, &items, HnswParams::default().ef_search(1).unwrap()).unwrap();
        let mut okapi = Bm25::new(Bm25Params::okapi());
        for (&(id, time, tags), text) in self.facts.iter().zip(&self.texts) {
            okapi.add(id, time, tags, text).unwrap();
        }
        let (nearest, recent) = (exact.nearest(), exact.recent());
        check("nearest, exact", &nearest);
        check("nearest, dot", &dot.nearest());
        check("nearest, graph", &graph.nearest());
        check("index", &index);
        check("words", exact.lexical());
        check("words, okapi", &okapi);
        check("recency", &recent);
        check("diverse", &exact.diverse(0.5, 20).unwrap());
        check("relevance alone", &graph.diverse(1.0, 0).unwrap());
        for fusion in [Fusion::ReciprocalRank, Fusion::Weighted] {
            let fused = Fused::new(fusion, &nearest).and(exact.lexical(), 2.0).unwrap().and(&recent, 0.5).unwrap();
            check("fused", &fused);
            check("fused, shallow", &fused.depth(0));
        }
        check("boxed", &Box::new(nearest));
        #[cfg(feature = "store")]
        {
            let place = tempfile::tempdir().unwrap();
            let stored = super::stored::opened_again(place.path(), &self.scope, DIMENSIONS, &self.entries);
            let view = stored.view(&self.scope).unwrap();
            check("nearest, stored", &view.nearest());
            check("words, stored", view.lexical());
            check("recency, stored", &view.recent());
            check("diverse, stored", &view.diverse(0.5, 20).unwrap());
        }
    }
}

fn filters(world: &World) -> Vec<Filter> {
    let ids = || world.facts.iter().map(|fact| fact.0);
    let before = |time| Filter::all().before(Time::from_unix_millis(time));
    vec![
        Filter::all(),
        before(3),
        before(0),
        Filter::all().without(ids().step_by(3)),
        Filter::all().without(ids()),
        Filter::all().with_any_tag(Tags::NONE.with(0).with(2)),
        Filter::all().with_any_tag(Tags::NONE),
        before(5).with_all_tags(Tags::NONE.with(1)).without(ids().take(2)),
    ]
}

fn keeps_the_promises(name: &str, world: &World, retriever: &dyn Retriever, query: &Query<'_>, scratch: &mut Scratch) {
    for (place, filter) in filters(world).iter().enumerate() {
        let admitted: Vec<RecordId> =
            world.facts.iter().filter(|(id, time, tags)| filter.admits(*id, *time, *tags)).map(|fact| fact.0).collect();
        let whole = retriever.search(query, usize::MAX, filter, scratch).unwrap();
        for k in [0, 1, 3, 10, 1000] {
            let found = retriever.search(query, k, filter, scratch).unwrap();
            let case = format!("{name}, filter {place}, k {k} of {}", admitted.len());
            assert_eq!(found.len(), k.min(admitted.len()), "{case}");
            assert!(found.is_sorted(), "{case}");
            assert!(found.iter().all(|scored| admitted.contains(&scored.id)), "{case}");
            let mut ids: Vec<RecordId> = found.iter().map(|scored| scored.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), found.len(), "{case}");
            let again = retriever.search(query, k, filter, &mut Scratch::new()).unwrap();
            assert_eq!(again, found, "{case}");
        }
        assert_eq!(whole.len(), admitted.len());
    }
}

#[test]
fn every_retriever_keeps_the_promises() {
    // One scratch for all, so that what one search leaves behind meets the next.
    let mut scratch = Scratch::new();
    for (n, seed) in [(0, 1), (1, 2), (9, 3), (150, 4), (400, 5)] {
        let world = World::new(n, seed);
        let vector: Vec<f32> = (0u8..12).map(|i| f32::from(i % 3) - 0.8).collect();
        let query = Query::new().vector(&vector).text("w1 W3 w1 nothing");
        world.each(|name, retriever| keeps_the_promises(name, &world, retriever, &query, &mut scratch));
    }
}

#[test]
fn a_query_without_what_is_compared_is_an_error() {
    let world = World::new(5, 1);
    world.each(|name, retriever| {
        let found = retriever.search(&Query::new(), 3, &Filter::all(), &mut Scratch::new());
        match name {
            "recency" | "recency, stored" => assert_eq!(found.unwrap().len(), 3),
            "words" | "words, okapi" | "words, stored" => assert_eq!(found, Err(SearchError::NoText)),
            _ => assert_eq!(found, Err(SearchError::NoVector), "{name}"),
        }
    });
}

/// Scores by a loop in double precision, ranked.
fn brute_force(world: &World, query: &[f32], metric: Metric, filter: &Filter) -> Vec<(f64, RecordId)> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    let mut ranked: Vec<(f64, RecordId)> = world
        .facts
        .iter()
        .zip(&world.vectors)
        .filter(|((id, time, tags), _)| filter.admits(*id, *time, *tags))
        .map(|(fact, vector)| {
            let lengths = (dot(query, query) * dot(vector, vector)).sqrt();
            (if metric == Metric::Cosine { dot(query, vector) / lengths } else { dot(query, vector) }, fact.0)
        })
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_exact_search_is_brute_force(
        n in 0u64..700,
        seed: u64,
        k in 1usize..40,
        query in prop::collection::vec(-1f32..1.0, DIMENSIONS),
        metric in prop::sample::select(vec![Metric::Cosine, Metric::Dot]),
        before in 0i64..8,
    ) {
        prop_assume!(query.iter().any(|&q| q.abs() > 1e-3));
        let world = World::new(n, seed);
        let history = world.history(SearchMode::Exact, metric);
        let filter = Filter::all().before(Time::from_unix_millis(before));
        let nearest = history.view(&world.scope).unwrap().nearest();
        let found = nearest.search(&Query::new().vector(&query), k, &filter, &mut Scratch::new()).unwrap();
        let truth = brute_force(&world, &query, metric, &filter);
        prop_assert_eq!(found.len(), k.min(truth.len()));
        for (scored, &(expected, _)) in found.iter().zip(&truth) {
            prop_assert!((f64::from(scored.score.get()) - expected).abs() < 1e-5);
        }
        // Not only the scores: each record has its own.
        for Scored { id, score } in found {
            let own = truth.iter().find(|(_, other)| *other == id).unwrap().0;
            prop_assert!((f64::from(score.get()) - own).abs() < 1e-5);
        }
    }
}

#[test]
fn reciprocal_ranks_are_added() {
    let world = World::new(40, 9);
    let history = world.history(SearchMode::Exact, Metric::Cosine);
    let view = history.view(&world.scope).unwrap();
    let query = Query::new().vector(&world.vectors[3]).text("w2 w4");
    let search = |retriever: &dyn Retriever| retriever.search(&query, 40, &Filter::all(), &mut Scratch::new()).unwrap();
    let (recent, words) = (view.recent(), view.lexical());
    let fused = search(&Fused::new(Fusion::ReciprocalRank, &recent).and(words, 3.0).unwrap());
    let rank = |ranking: &[Scored<RecordId>], id| ranking.iter().position(|scored| scored.id == id).unwrap() + 1;
    for Scored { id, score } in fused {
        let share = |retriever| 1.0 / f64::from(60 + u32::try_from(rank(&search(retriever), id)).unwrap());
        let expected = share(&recent) + 3.0 * share(words);
        assert!((f64::from(score.get()) - expected).abs() < 1e-7);
    }
    assert!(Fused::new(Fusion::Weighted, &recent).and(words, f64::NAN).is_err());
}

#[test]
fn weighted_scores_are_stretched_to_one_range_and_added() {
    let world = World::new(40, 10);
    let history = world.history(SearchMode::Exact, Metric::Cosine);
    let view = history.view(&world.scope).unwrap();
    let query = Query::new().vector(&world.vectors[3]).text("w2 w4");
    let search = |retriever: &dyn Retriever| -> BTreeMap<RecordId, f64> {
        let found = retriever.search(&query, 40, &Filter::all(), &mut Scratch::new()).unwrap();
        found.into_iter().map(|scored| (scored.id, f64::from(scored.score.get()))).collect()
    };
    let (nearest, words) = (view.nearest(), view.lexical());
    let fused = search(&Fused::new(Fusion::Weighted, &nearest).and(words, 3.0).unwrap());
    let stretched = |retriever| {
        let scores = search(retriever);
        let (low, high) = scores.values().fold((f64::MAX, f64::MIN), |(low, high), &s| (low.min(s), high.max(s)));
        scores.into_iter().map(|(id, score)| (id, (score - low) / (high - low))).collect::<BTreeMap<_, _>>()
    };
    let (by_vector, by_words) = (stretched(&nearest), stretched(words));
    assert_eq!(fused.len(), 40);
    for (id, score) in fused {
        assert!((score - (by_vector[&id] + 3.0 * by_words[&id])).abs() < 1e-6);
    }
    // Where a ranking tells nothing apart, each of its records gets the whole weight.
    let nothing = Query::new().vector(&world.vectors[3]).text("nothing in common");
    let fused = Fused::new(Fusion::Weighted, words).and(words, 0.5).unwrap();
    let found = fused.search(&nothing, 40, &Filter::all(), &mut Scratch::new()).unwrap();
    assert!(found.len() == 40 && found.iter().all(|scored| (scored.score.get() - 1.5).abs() < 1e-6));
}

#[test]
fn the_newest_come_first() {
    let world = World::new(60, 11);
    let history = world.history(SearchMode::Exact, Metric::Cosine);
    let filter = Filter::all().before(Time::from_unix_millis(4));
    let recent = history.view(&world.scope).unwrap().recent();
    let found = recent.search(&Query::new(), 60, &filter, &mut Scratch::new()).unwrap();
    let mut expected: Vec<_> = world.facts.iter().map(|&(id, time, _)| (Reverse(time), id)).collect();
    expected.retain(|(time, _)| time.0 < Time::from_unix_millis(4));
    expected.sort();
    let ids = |pairs: Vec<(Reverse<Time>, RecordId)>| pairs.into_iter().map(|(_, id)| id).collect::<Vec<_>>();
    assert_eq!(found.iter().map(|scored| scored.id).collect::<Vec<_>>(), ids(expected));
}

#[test]
fn diversity_passes_over_what_repeats_the_best() {
    let scope = Scope::acting_for(UserId::new(1));
    let mut history = History::new(&scope, 2, HistoryParams::default()).unwrap();
    let entry = |id, vector: [f32; 2]| {
        Entry::new(Record::new(RecordId::new(id), Time::from_unix_millis(0), "", ""), vector.to_vec())
    };
    history.append(&scope, vec![entry(1, [1.0, 0.0]), entry(2, [1.0, 0.001]), entry(3, [0.6, -0.8])]).unwrap();
    let view = history.view(&scope).unwrap();
    let best = |balance| {
        let found = view.diverse(balance, 3).unwrap();
        let found = found.search(&Query::new().vector(&[1.0, 0.0]), 2, &Filter::all(), &mut Scratch::new()).unwrap();
        found.into_iter().map(|scored| (scored.id.get(), scored.score.get())).collect::<Vec<_>>()
    };
    // By hand: 0.5 · 0.6 - 0.5 · 0.6 = 0 for the third against 0.5 · 1 - 0.5 · 1 < 0 for the second, with a little for
    // its angle; at 1 nothing is subtracted.
    assert_eq!(best(1.0).iter().map(|b| b.0).collect::<Vec<_>>(), [1, 2]);
    let picked = best(0.45);
    assert_eq!(picked.iter().map(|b| b.0).collect::<Vec<_>>(), [1, 3]);
    assert!((picked[1].1 - (0.45 * 0.6 - 0.55 * 0.6)).abs() < 1e-6);
    assert!(view.diverse(1.5, 3).is_err());
}
