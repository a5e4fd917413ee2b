//! One model through three crates: what `hydra-train` computes is what `hydra-export` writes and what is served from it. Tiny
//! models on ONNX Runtime; nothing is learned here that would be worth anything.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hydra_export::{ExportOptions, Folder, build, export};
use hydra_heads::{HeadBank, HeadChoice, Shared, Weights};
use hydra_onnx::{Bundle, CrossEncoder, Encoder, EncoderOptions};
use hydra_rerank::{PersonalReranker, RerankRequest, Reranker, Retrieved};
use hydra_testkit::{Tolerance, fixture};
use hydra_train::{Example, Examples, Loss, Model, Sequence, Tokens, TrainOptions, Trainer, UserHeads};
use hydra_types::ndarray::{Array2, s};
use hydra_types::{Record, RecordId, RecordTemplate, Scope, Score, Time, UserId};
use serde_json::Value;

const FAMILIES: [&str; 4] = ["bert", "distilbert", "mpnet", "xlm-roberta"];
/// DistilBERT's classifier has another function between its maps, and is no prior head.
const WITH_PRIOR: [&str; 3] = ["bert", "mpnet", "xlm-roberta"];
const LINEAR: UserHeads = UserHeads::Linear { learning_rate: 0.05, weight_decay: 0.01 };
const USERS: [u128; 2] = [1, 2];
const QUERY: &str = "the old teacher sold a clock";
/// Of several lengths, so that batches are padded.
const TEXTS: [&str; 6] = [
    "every young dog found a song",
    "a red engine crossed the river",
    "no word",
    "one famous painter opened the window near the harbour before winter",
    "the cold market without a friend",
    "a farmer praised the boat because the storm followed",
];

/// An encoder's folder. XLM-R's has RoBERTa's tensors and another name.
fn encoder(family: &str, place: &Path) -> PathBuf {
    if family != "xlm-roberta" {
        return fixture(&format!("models/{family}"));
    }
    let folder = place.join("encoder");
    fs::create_dir(&folder).unwrap();
    for name in ["model.safetensors", "tokenizer.json"] {
        fs::copy(fixture("models/roberta").join(name), folder.join(name)).unwrap();
    }
    let config = fs::read_to_string(fixture("models/roberta/config.json")).unwrap();
    let config = config.replace("\"roberta\"", "\"xlm-roberta\"").replace("RobertaModel", "XLMRobertaModel");
    fs::write(folder.join("config.json"), config).unwrap();
    folder
}

/// The tokens of a pair, from the words of the tokenizer's file and its template for pairs.
fn sequence(tokenizer: &Value, (first, second): (&str, &str)) -> Sequence {
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    let vocabulary = &tokenizer["model"]["vocab"];
    let id = |word: &str| {
        number(vocabulary.get(word).unwrap_or(&vocabulary[tokenizer["model"]["unk_token"].as_str().unwrap()]))
    };
    let (mut ids, mut types) = (Vec::new(), Vec::new());
    for piece in tokenizer["post_processor"]["pair"].as_array().unwrap() {
        let (kind, piece) = piece.as_object().unwrap().iter().next().unwrap();
        let name = piece["id"].as_str().unwrap();
        let words = match (kind.as_str(), name) {
            ("SpecialToken", token) => token,
            (_, "A") => first,
            _ => second,
        };
        ids.extend(words.split(' ').map(id));
        types.resize(ids.len(), number(&piece["type_id"]));
    }
    Sequence { ids, types }
}

/// A trained classifier, its users' heads, and the tokens of the query with every text.
struct Trained {
    model: Model,
    heads: Vec<(UserId, Weights)>,
    tokens: Tokens,
}

impl Trained {
    fn new(family: &str, user_heads: UserHeads) -> Self {
        let place = tempfile::tempdir().unwrap();
        let folder = encoder(family, place.path());
        let tokenizer: Value = serde_json::from_slice(&fs::read(folder.join("tokenizer.json")).unwrap()).unwrap();
        let model = Model::open(&folder).unwrap().with_classifier(2, 7).unwrap();
        let sequences = TEXTS.map(|text| sequence(&tokenizer, (QUERY, text)));
        let tokens = Tokens::pad(&sequences.each_ref(), model.config()).unwrap();
        // What one user likes, the other does not.
        let row = |(at, user): (usize, u128)| Example {
            sequence: sequences[at].clone(),
            label: if at % 2 == usize::try_from(user).unwrap() % 2 { 1.0 } else { 0.0 },
            group: 0,
            user: Some(UserId::new(user)),
        };
        let rows = (0..TEXTS.len()).flat_map(|at| USERS.map(|user| row((at, user)))).collect();
        let options = TrainOptions::new(Loss::two_classes()).learning_rate(1e-3).batch(4).epochs(3).dropout(0.5);
        let options = options.user_heads(user_heads).build().unwrap();
        let mut trainer = Trainer::new(model, Examples::new(rows), options).unwrap();
        while trainer.step().unwrap().is_some() {}
        let (model, heads) = trainer.into_model_and_heads();
        Self { model, heads, tokens }
    }

    /// The last layer's vector of each row's first token.
    fn features(&self) -> Array2<f32> {
        self.model.hidden_states(&self.tokens).unwrap().slice(s![.., 0, ..]).to_owned()
    }
}

/// The model as a bundle, through a folder on the disk.
fn exported(model: &Model) -> Bundle {
    let place = tempfile::tempdir().unwrap();
    let (folder, out) = (place.path().join("folder"), place.path().join("bundle"));
    model.save(&folder).unwrap();
    let folder = Folder::open(&folder).unwrap();
    assert!(build(&folder, 17).unwrap().nodes.iter().all(|node| node.op != "Dropout"), "nothing to turn off");
    export(&folder, &ExportOptions::default(), &out, |_| {}).unwrap();
    Bundle::open(&out).unwrap()
}

fn pairs() -> [(&'static str, &'static str); TEXTS.len()] {
    TEXTS.map(|text| (QUERY, text))
}

#[track_caller]
fn assert_near(family: &str, got: &Array2<f32>, expected: &Array2<f32>) {
    assert_eq!(got.dim(), expected.dim(), "{family}");
    if let Err(worst) = Tolerance::absolute(1e-5).compare(got.as_slice().unwrap(), expected.as_slice().unwrap()) {
        panic!("{family}: {worst}");
    }
}

#[test]
fn the_exported_classifier_gives_the_trained_ones_logits() {
    for family in FAMILIES {
        for user_heads in [UserHeads::None, LINEAR] {
            let trained = Trained::new(family, user_heads);
            let mut cross = CrossEncoder::open(&exported(&trained.model), &EncoderOptions::default()).unwrap();
            let logits = cross.logits(&pairs()).unwrap().logits;
            assert_near(family, &logits, &trained.model.logits(&trained.tokens).unwrap());
        }
    }
}

#[test]
fn the_exported_body_gives_the_vectors_that_heads_were_trained_on() {
    for family in WITH_PRIOR {
        let trained = Trained::new(family, LINEAR);
        let (body, _) = trained.model.clone().into_body_and_prior().unwrap();
        let mut encoder = Encoder::open(&exported(&body), &EncoderOptions::default()).unwrap();
        assert_near(family, &encoder.encode_pairs(&pairs()).unwrap().features, &trained.features());
    }
}

#[test]
fn users_are_served_in_the_order_of_the_trainers_own_scores() {
    let template = RecordTemplate::input_only();
    let record = |(id, text): (u64, &&str)| Record::new(RecordId::new(id), Time::from_unix_millis(0), *text, "");
    let records: Vec<Record> = (0..).zip(&TEXTS).map(record).collect();
    let found: Vec<_> = records.iter().map(|record| Retrieved { record, score: Score::new(0.0).unwrap() }).collect();
    for family in WITH_PRIOR {
        let trained = Trained::new(family, LINEAR);
        let (body, prior) = trained.model.clone().into_body_and_prior().unwrap();
        let encoder = Encoder::open(&exported(&body), &EncoderOptions::default()).unwrap();
        let shared = Arc::new(Shared::new(template.features_of(encoder.fingerprint()), prior).unwrap());
        let mut bank = HeadBank::new(Arc::clone(&shared));
        for (user, weights) in &trained.heads {
            bank.insert(*user, shared.head(weights.clone()).unwrap()).unwrap();
        }
        let mut reranker = PersonalReranker::new(encoder, bank, template.clone()).unwrap();

        let (logits, features) = (trained.model.logits(&trained.tokens).unwrap(), trained.features());
        let mut orders = Vec::new();
        for (user, weights) in &trained.heads {
            let parameters = weights.parameters();
            let (bias, weights) = parameters.split_last().unwrap();
            let own = |row: usize| features.row(row).iter().zip(weights).map(|(z, w)| z * w).sum::<f32>() + bias;
            let expected: Vec<f32> =
                (0..TEXTS.len()).map(|row| logits[[row, 1]] - logits[[row, 0]] + own(row)).collect();
            let mut order: Vec<usize> = (0..TEXTS.len()).collect();
            order.sort_by(|a, b| expected[*b].total_cmp(&expected[*a]));

            let scope = Scope::acting_for(*user);
            let request = RerankRequest {
                scope: &scope,
                head: HeadChoice::Own,
                query: QUERY,
                records: &found,
                keep: TEXTS.len(),
            };
            let ranking = reranker.rerank(&[request]).unwrap().remove(0);
            let served: Vec<usize> = ranking.ranked.iter().map(|one| usize::try_from(one.id.get()).unwrap()).collect();
            assert_eq!(served, order, "{family} {user}: {expected:?}");
            for one in &ranking.ranked {
                let expected = expected[usize::try_from(one.id.get()).unwrap()];
                Tolerance::absolute(1e-4).assert_close(&[one.score.get()], &[expected]);
            }
            orders.push(served);
        }
        assert_ne!(orders[0], orders[1], "{family}: two tastes, two orders");
    }
}
