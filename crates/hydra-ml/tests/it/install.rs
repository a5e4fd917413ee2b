//! Heads that were fitted elsewhere.

use hydra_ml::heads::{BindError, Fit, HeadChoice, Precision, Shared, Stamp, Strength, Weights, pack};
use hydra_ml::llm::{
    BoxFuture, Capabilities, Choice, FenceKey, LlmClient, LlmError, Request, Response, Template, TemplateParts, Usage,
    block_on,
};
use hydra_ml::store::{Row, Scan, Store, Table};
use hydra_ml::train::{
    FeatureCache, FitView, HeadPlan, History, LabelPlan, LabelSet, Marking, PseudoQuery, fit_reranker, rerank_labels,
};
use hydra_ml::types::ndarray::Array2;
use hydra_ml::types::{Body, CandidateTemplate, Fingerprint, Generation, RecordId, RecordTemplate, Scope};
use hydra_ml::{Answer, Ask, Feedback, FitReport, PersonalizeError, Personalizer, Stage};

use crate::toy::{Place, WORDS, Words, answering, day, prompt, record, scope, shared};

/// Everything that is stored of a user.
fn stored(store: &Store, scope: &Scope) -> (Option<Generation>, Vec<Vec<Row>>) {
    let tables =
        ["history", "history-records", "history-vectors", "feedback", "heads", "head-generations"].map(Table::new);
    let scans = tables.map(|table| Scan::new(scope, table));
    (store.generation(scope).unwrap(), store.scan_many(&scans).unwrap())
}

/// Records about rain, sun and snow in turn.
fn learn(hydra: &Personalizer, scope: &Scope) {
    let records = (1..=24).map(|id| record(id, &format!("weather: {}", word_of(RecordId::new(id))))).collect();
    block_on(hydra.learn(scope, records)).unwrap();
}

fn word_of(record: RecordId) -> &'static str {
    WORDS[usize::try_from(record.get() % 3).unwrap()]
}

fn ask(hydra: &Personalizer, scope: &Scope) -> Answer {
    block_on(hydra.answer(Ask::new(scope, "weather", day(99)))).unwrap()
}

/// The reranker's head that likes one of the words, of this user on this generation of their data.
fn liking(word: usize, scope: &Scope, generation: u64) -> Vec<u8> {
    let mut weights = [0.0; WORDS.len()];
    weights[word] = 1.0;
    let shared = shared(RecordTemplate::input_only().features_of(Words.fingerprint()));
    packed(&shared, Weights::linear(&weights, 0.0).unwrap(), scope, generation)
}

fn packed(shared: &Shared, weights: Weights, scope: &Scope, generation: u64) -> Vec<u8> {
    let stamp = Stamp { user: scope.user(), generation: Generation::new(generation) };
    pack(&shared.head(weights).unwrap().to_precision(Precision::Int8), stamp)
}

/// A language model that is right if it is shown a record about snow.
struct HelpedBySnow;

impl LlmClient for HelpedBySnow {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new("helped by snow")
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        let prompt = prompt(&request);
        // The last line is the query.
        let is_right = prompt[..prompt.rfind('\n').unwrap()].contains("snow");
        let choice = Choice::new(if is_right { "noted" } else { "missed" });
        Box::pin(async move { Ok(Response::new(vec![choice], Usage::reported(7, 1))) })
    }
}

/// A head from what the language model makes of each of the user's past queries with each of a few older records.
fn from_labels(store: &Store, scope: &Scope) -> Vec<u8> {
    let generation = store.generation(scope).unwrap().unwrap();
    let records = (1..=24).map(|id| record(id, &format!("weather: {}", word_of(RecordId::new(id))))).collect();
    let view = FitView::of_all(History::new(scope.clone(), generation, records).unwrap());
    let parts = TemplateParts {
        system: "You tag weather.".into(),
        user: "{{history}}\n{{query}}".into(),
        input_name: "weather".into(),
        output_name: "tag".into(),
    };
    let plan = LabelPlan::paper(Template::new(parts).unwrap(), FenceKey::new([4; 32]));
    let labels = LabelSet::new(["noted", "missed"]).unwrap();
    let mut retrieve = |query: &PseudoQuery<'_>, most: usize| {
        Ok(query.earlier().iter().rev().take(most).map(hydra_ml::types::Record::id).collect())
    };
    let views = std::slice::from_ref(&view);
    let labels = rerank_labels(&HelpedBySnow, views, &mut retrieve, &plan, Marking::Classes(&labels));
    let (rows, template) = (block_on(labels).unwrap().rows, RecordTemplate::input_only());
    let shared = shared(template.features_of(Words.fingerprint()));
    // Only three different rows, of which none can be held out.
    let plan = HeadPlan { fit: Fit::linear().strength(Strength::Fixed(1.0)), ..HeadPlan::default() };
    let mut cache = FeatureCache::new();
    fit_reranker(&view, &rows, (&mut Words, &template), &shared, &mut cache, &plan).unwrap().bytes
}

#[test]
fn a_head_from_a_language_models_labels_serves_its_user_and_touches_nobody_else() {
    let (place, ada, bob) = (Place::new(), scope(1), scope(2));
    let hydra = place.personal(answering(4, &WORDS)).show(1).build().unwrap();
    for user in [&ada, &bob] {
        learn(&hydra, user);
        block_on(hydra.feedback(user, Feedback::record("weather", RecordId::new(1), true))).unwrap();
    }
    block_on(hydra.install(&bob, Stage::Rerank, liking(1, &bob, 1))).unwrap();
    let (bobs, bobs_rows) = (ask(&hydra, &bob), stored(&place.store, &bob));
    assert_eq!(ask(&hydra, &ada).trace.heads.reranker.unwrap().choice, HeadChoice::Prior);

    block_on(hydra.install(&ada, Stage::Rerank, from_labels(&place.store, &ada))).unwrap();
    let answer = ask(&hydra, &ada);
    assert_eq!(answer.trace.heads.reranker.unwrap().choice, HeadChoice::Own);
    assert_eq!(word_of(answer.trace.shown[0]), "snow");

    assert_eq!(stored(&place.store, &bob), bobs_rows);
    assert_eq!(ask(&hydra, &bob).trace.reranked, bobs.trace.reranked);
}

#[test]
fn an_installed_head_takes_the_place_of_one_in_memory_and_stays_where_there_is_no_feedback() {
    let (place, ada) = (Place::new(), scope(1));
    let hydra = place.personal(answering(4, &WORDS)).show(1).build().unwrap();
    learn(&hydra, &ada);
    let shows = || word_of(ask(&hydra, &ada).trace.shown[0]);
    for word in [2, 1] {
        block_on(hydra.install(&ada, Stage::Rerank, liking(word, &ada, 1))).unwrap();
        assert_eq!(shows(), WORDS[word]);
    }
    let template = CandidateTemplate::query_only();
    let head = Weights::linear(&[0.0, 1.0, 0.0], 0.0).unwrap();
    let head = packed(&shared(template.features_of(Words.fingerprint())), head, &ada, 1);
    block_on(hydra.install(&ada, Stage::Adapt, head)).unwrap();
    assert_eq!(block_on(hydra.fit(&ada)).unwrap(), FitReport::default());
    let answer = ask(&hydra, &ada);
    assert_eq!((word_of(answer.trace.shown[0]), answer.text.as_str()), (WORDS[1], WORDS[1]));

    // Where there is feedback, it is what counts.
    block_on(hydra.feedback(&ada, Feedback::record("weather", RecordId::new(1), true))).unwrap();
    block_on(hydra.fit(&ada)).unwrap();
    assert_eq!(shows(), word_of(RecordId::new(1)));
}

#[test]
fn a_head_that_is_damaged_or_belongs_elsewhere_is_refused_and_changes_nothing() {
    let (place, ada, bob) = (Place::new(), scope(1), scope(2));
    let hydra = place.personal(answering(2, &WORDS)).show(1).build().unwrap();
    learn(&hydra, &ada);
    block_on(hydra.install(&ada, Stage::Rerank, liking(2, &ada, 1))).unwrap();
    let (before, rows) = (ask(&hydra, &ada), stored(&place.store, &ada));
    let refused = |stage, bytes| block_on(hydra.install(&ada, stage, bytes)).unwrap_err();

    let good = liking(1, &ada, 1);
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        assert!(matches!(refused(Stage::Rerank, flipped), PersonalizeError::Packed(_)), "{at}");
        assert!(matches!(refused(Stage::Rerank, good[..at].to_vec()), PersonalizeError::Packed(_)), "{at}");
    }
    let foreign = refused(Stage::Rerank, liking(1, &bob, 1));
    assert!(
        matches!(foreign, PersonalizeError::ForeignHead { expected, got } if (expected, got) == (ada.user(), bob.user()))
    );
    let early = refused(Stage::Rerank, liking(1, &ada, 99));
    assert!(matches!(early, PersonalizeError::StaleHead { got, .. } if got == Generation::new(99)));

    let elsewhere = |bytes| match refused(Stage::Rerank, bytes) {
        PersonalizeError::HeadElsewhere(error) => error,
        other => panic!("{other}"),
    };
    let linear = |numbers: &[f32]| Weights::linear(numbers, 0.0).unwrap();
    let here = RecordTemplate::input_only().features_of(Words.fingerprint());
    let other_body = shared(RecordTemplate::input_only().features_of(Fingerprint::new([9; 32])));
    let other_stage = shared(CandidateTemplate::query_only().features_of(Words.fingerprint()));
    for shared in [&other_body, &other_stage] {
        let head = packed(shared, linear(&[0.0, 1.0, 0.0]), &ada, 1);
        assert!(matches!(elsewhere(head), BindError::Body { .. }));
    }
    let other_prior = Shared::new(here, linear(&[1.0, 0.0, 0.0])).unwrap();
    assert_eq!(elsewhere(packed(&other_prior, linear(&[0.0, 1.0, 0.0]), &ada, 1)), BindError::Base);
    // A head that adds to no prior head has no checksum of one.
    let wider = Shared::new(here, linear(&[0.0; 4])).unwrap();
    let alone = Weights::two_layer(&Array2::ones((1, 4)), &[0.0], &Array2::ones((2, 1)), &[0.0; 2]).unwrap();
    assert_eq!(elsewhere(packed(&wider, alone, &ada, 1)), BindError::Width { expected: 3, got: 4 });

    let plain = place.plain(answering(0, &[])).build().unwrap();
    let nowhere = block_on(plain.install(&ada, Stage::Rerank, good)).unwrap_err();
    assert!(matches!(nowhere, PersonalizeError::NoHeads { stage: Stage::Rerank }));

    assert_eq!(stored(&place.store, &ada), rows);
    assert_eq!(ask(&hydra, &ada).trace.reranked, before.trace.reranked);
}

#[test]
fn a_head_that_outlived_its_user_is_refused() {
    let (place, ada) = (Place::new(), scope(1));
    let hydra = place.personal(answering(0, &[])).build().unwrap();
    learn(&hydra, &ada);
    let head = liking(1, &ada, 1);
    block_on(hydra.forget(&ada)).unwrap();
    let refused = block_on(hydra.install(&ada, Stage::Rerank, head)).unwrap_err();
    assert!(matches!(refused, PersonalizeError::StaleHead { .. }));
    assert_eq!(place.store.users().unwrap(), []);
}
