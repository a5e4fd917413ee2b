//! A history under random changes, beside one that is only lists.

use std::collections::BTreeMap;

use hydra_retrieval::*;
use hydra_types::{Record, RecordId, Scope, Time, UserId};
use proptest::prelude::*;

pub(super) const DIMENSIONS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Append(u64, i8),
    Update(u64, i8),
    Delete(Vec<u64>),
    Maintain,
    Search(i8),
}

fn steps() -> impl Strategy<Value = Vec<(u8, Step)>> {
    let id = 0u64..25;
    let step = prop_oneof![
        4 => (id.clone(), any::<i8>()).prop_map(|(id, v)| Step::Append(id, v)),
        2 => (id.clone(), any::<i8>()).prop_map(|(id, v)| Step::Update(id, v)),
        2 => prop::collection::vec(id, 0..4).prop_map(Step::Delete),
        1 => Just(Step::Maintain),
        3 => any::<i8>().prop_map(Step::Search),
    ];
    prop::collection::vec((0u8..4, step), 1..80)
}

pub(super) fn vector(v: i8) -> Vec<f32> {
    vec![f32::from(v), 1.0, f32::from(v / 3), -0.5]
}

pub(super) fn text(user: u8, v: i8) -> String {
    format!("canary{user} shared{}", v % 5)
}

pub(super) fn entry(user: u8, id: u64, v: i8) -> Entry {
    let time = Time::from_unix_millis(i64::from(v));
    Entry::new(Record::new(RecordId::new(id), time, text(user, v), ""), vector(v))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn random_changes_never_mix_users_or_lose_a_record(
        steps in steps(),
        search in prop::sample::select(vec![SearchMode::Exact, SearchMode::Graph]),
    ) {
        let mut params = HistoryParams::default();
        params.search = search;
        let scopes: Vec<Scope> = (0..4).map(|user| Scope::acting_for(UserId::new(user))).collect();
        let mut histories: Vec<History> = scopes.iter().map(|s| History::new(s, DIMENSIONS, params).unwrap()).collect();
        let mut models: Vec<BTreeMap<u64, i8>> = vec![BTreeMap::new(); 4];
        let mut scratch = Scratch::new();
        for (user, step) in steps {
            let (scope, model) = (&scopes[usize::from(user)], &mut models[usize::from(user)]);
            let history = &mut histories[usize::from(user)];
            let stranger = &scopes[usize::from(user + 1) % 4];
            match step {
                Step::Append(id, v) => {
                    prop_assert_eq!(history.append(stranger, vec![entry(user, id, v)]), Err(HistoryError::ForeignScope));
                    let appended = history.append(scope, vec![entry(user, id, v)]);
                    prop_assert_eq!(appended.is_ok(), !model.contains_key(&id));
                    model.entry(id).or_insert(v);
                }
                Step::Update(id, v) => {
                    let updated = history.update(scope, entry(user, id, v));
                    prop_assert_eq!(updated.is_ok(), model.contains_key(&id));
                    model.entry(id).and_modify(|old| *old = v);
                }
                Step::Delete(ids) => {
                    let there: std::collections::BTreeSet<u64> = ids.iter().copied().filter(|id| model.contains_key(id)).collect();
                    let ids: Vec<RecordId> = ids.into_iter().map(RecordId::new).collect();
                    prop_assert_eq!(history.delete(scope, &ids).unwrap(), there.len());
                    there.iter().for_each(|id| { model.remove(id); });
                }
                Step::Maintain => { history.maintain(scope).unwrap(); }
                Step::Search(v) => {
                    prop_assert!(history.view(stranger).is_err());
                    let view = history.view(scope).unwrap();
                    let query = vector(v);
                    let text = (0..4).map(|user| format!("canary{user} ")).collect::<String>();
                    let query = Query::new().vector(&query).text(&text);
                    let retrievers: [&dyn Retriever; 3] = [&view.nearest(), view.lexical(), &view.recent()];
                    for retriever in retrievers {
                        let found = retriever.search(&query, 100, &Filter::all(), &mut scratch).unwrap();
                        let mut ids: Vec<u64> = found.iter().map(|scored| scored.id.get()).collect();
                        ids.sort_unstable();
                        prop_assert_eq!(ids, model.keys().copied().collect::<Vec<_>>());
                        for scored in found {
                            let own = format!("canary{user} ");
                            prop_assert!(view.record(scored.id).unwrap().input().starts_with(&own));
                        }
                    }
                    // The best by vector is the best by brute force among what is there now.
                    let best = view.nearest().search(&query, 1, &Filter::all(), &mut scratch).unwrap();
                    let cosine = |a: &[f32], b: &[f32]| {
                        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
                        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
                    };
                    let truth = model.values().map(|&w| cosine(&vector(v), &vector(w))).fold(f64::NEG_INFINITY, f64::max);
                    if let Some(best) = best.first() {
                        prop_assert!((f64::from(best.score.get()) - truth).abs() < 1e-5);
                    }
                    let times: Vec<i64> = view.records().map(|record| record.time().unix_millis()).collect();
                    prop_assert!(times.is_sorted_by(|a, b| a >= b));
                    prop_assert_eq!(view.len(), model.len());
                }
            }
        }
    }
}

#[test]
fn nothing_private_is_in_debug_or_errors() {
    let scope = Scope::acting_for(UserId::new(0));
    let mut history = History::new(&scope, DIMENSIONS, HistoryParams::default()).unwrap();
    history.append(&scope, vec![entry(0, 1, 77)]).unwrap();
    let error = history.append(&scope, vec![entry(0, 1, 77)]).unwrap_err();
    let view = history.view(&scope).unwrap();
    let query = vector(77);
    let query = Query::new().vector(&query).text("canary0");
    let item = vector(77);
    let item = Item::new(RecordId::new(1), &item);
    let shown = format!(
        "{history:?} {view:?} {:?} {error:?} {error} {query:?} {:?} {item:?} {:?}",
        entry(0, 1, 77),
        view.lexical(),
        view.nearest()
    );
    assert!(!shown.contains("canary") && !shown.contains("77.0"), "{shown}");
}

#[test]
fn a_graph_for_dot_products_is_refused() {
    let mut params = HistoryParams::default();
    (params.metric, params.search) = (Metric::Dot, SearchMode::Graph);
    let scope = Scope::acting_for(UserId::new(0));
    assert!(matches!(History::new(&scope, 3, params), Err(HistoryError::NoGraphForDot)));
}
