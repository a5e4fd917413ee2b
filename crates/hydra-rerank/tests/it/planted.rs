//! Three people who like different things, made up here, on features of the real encoder: their heads find what they like in
//! texts that nobody was asked about. It tests that body, fit and ranking go together; it is no result about any person.

use std::sync::Arc;

use hydra_heads::{ClassWeights, Features, Fit, FitRows, HeadBank, HeadChoice, Outcome, Shared, Weights};
use hydra_onnx::Encoder;
use hydra_rerank::{PersonalReranker, RerankRequest, Reranker, Retrieved};
use hydra_types::{Body, Record, RecordId, RecordTemplate, Scope, Score, Time, UserId};

use crate::real_body::encoder;

/// Six texts of each kind to learn from, and three to be ordered.
const TEXTS: [[&str; 9]; 3] = [
    [
        "Simmer the lentils with bay leaves until soft",
        "Knead the dough for ten minutes and let it rise",
        "Roast the peppers and peel off the skin",
        "Whisk the egg whites and fold in the sugar",
        "Marinate the chicken in yoghurt overnight",
        "A pinch of saffron gives the rice its colour",
        "Fry the onions slowly in butter",
        "Bake the bread in a hot oven",
        "Season the soup with salt and thyme",
    ],
    [
        "The striker scored twice in the second half",
        "The referee showed a red card after the foul",
        "Our goalkeeper saved a penalty in the final",
        "The league title was decided on the last match day",
        "The coach changed the formation at half time",
        "Fans filled the stadium for the derby",
        "The midfielder passed the ball through the defence",
        "They won the cup after extra time",
        "A free kick hit the crossbar",
    ],
    [
        "The telescope observed a distant galaxy",
        "Jupiter's moons can be seen with binoculars",
        "The probe sent pictures of the rings of Saturn",
        "A supernova outshone its whole galaxy",
        "Astronomers measured the mass of a black hole",
        "The comet's tail points away from the sun",
        "A lunar eclipse turned the moon red",
        "The rover found traces of water on Mars",
        "Starlight bends as it passes the sun",
    ],
];

const LEARNED: usize = 6;

fn records(places: std::ops::Range<usize>) -> Vec<(usize, Record)> {
    let record = |kind: usize, place: usize| {
        let id = RecordId::new((place * TEXTS.len() + kind) as u64);
        (kind, Record::new(id, Time::from_unix_millis(0), TEXTS[kind][place], ""))
    };
    places.flat_map(|place| (0..TEXTS.len()).map(move |kind| record(kind, place))).collect()
}

/// User `kind` likes texts of that kind.
fn user(kind: usize) -> UserId {
    UserId::new(kind as u128)
}

const QUERY: &str = "What would I like to read?";

/// Heads of all three users, fitted on what they like of the older texts.
fn fitted(encoder: &mut Encoder, template: &RecordTemplate) -> HeadBank {
    let of = template.features_of(encoder.fingerprint());
    let prior = Weights::linear(&vec![0.0; encoder.hidden()], 0.0).unwrap();
    let shared = Arc::new(Shared::new(of, prior).unwrap());
    let mut bank = HeadBank::new(Arc::clone(&shared));
    let older = records(0..LEARNED);
    let pairs: Vec<_> = older.iter().map(|(_, record)| template.pair(QUERY, record)).collect();
    let features = encoder.pair_features(&pairs).unwrap().features;
    for kind in 0..TEXTS.len() {
        let likes: Vec<bool> = older.iter().map(|(of_kind, _)| *of_kind == kind).collect();
        let rows = FitRows::new(Features::new(of, &features).unwrap(), &likes, ClassWeights::Equal).unwrap();
        let fitted = Fit::linear().run(&shared, &rows).unwrap();
        assert_eq!(fitted.outcome, Outcome::Fitted);
        bank.insert(user(kind), fitted.head).unwrap();
    }
    bank
}

#[test]
fn everybody_gets_what_they_like_and_a_stranger_the_prior_order() {
    let template = RecordTemplate::input_only();
    let mut encoder = encoder();
    let bank = fitted(&mut encoder, &template);
    let mut reranker = PersonalReranker::new(encoder, bank, template).unwrap();

    let newer = records(LEARNED..TEXTS[0].len());
    let found: Vec<_> = newer.iter().map(|(_, record)| Retrieved { record, score: Score::new(0.0).unwrap() }).collect();
    let scopes: Vec<_> = (0..TEXTS.len()).map(|kind| Scope::acting_for(user(kind))).collect();
    let request = |scope, head| RerankRequest { scope, head, query: QUERY, records: &found, keep: 3 };
    let own: Vec<_> = scopes.iter().map(|scope| request(scope, HeadChoice::Own)).collect();
    let rankings = reranker.rerank(&own).unwrap();
    let kind_of = |id: RecordId| usize::try_from(id.get()).unwrap() % TEXTS.len();
    for (kind, ranking) in rankings.iter().enumerate() {
        let kinds: Vec<usize> = ranking.ranked.iter().map(|scored| kind_of(scored.id)).collect();
        assert_eq!(kinds, [kind; 3], "all three that user {kind} likes, and so none of another's");
    }
    let stranger = reranker.rerank(&[request(&scopes[0], HeadChoice::Prior)]).unwrap();
    let ids: Vec<u64> = stranger[0].ranked.iter().map(|scored| scored.id.get()).collect();
    assert_eq!(ids, [18, 19, 20], "a prior head that knows nothing leaves the order of ids");
}
