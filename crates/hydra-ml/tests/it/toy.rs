//! A body that looks for words, and what the tests put together from it. It shows nothing about any model.

use std::convert::Infallible;
use std::sync::Arc;

use hydra_ml::heads::{Shared, Weights};
use hydra_ml::llm::{Choice, FenceKey, LlmClient, Request, Response, ScriptedClient, Template, TemplateParts, Usage};
use hydra_ml::store::{Store, StoreKey};
use hydra_ml::types::ndarray::Array2;
use hydra_ml::types::{
    Body, CandidateTemplate, Fingerprint, PairFeatures, Record, RecordId, RecordTemplate, Scope, Time, UserId,
};
use hydra_ml::{Builder, Personalizer, TextEncoder};

/// Features of a pair: which of the words stand in its second text.
#[derive(Clone, Copy)]
pub(crate) struct Words;

pub(crate) const WORDS: [&str; 3] = ["rain", "sun", "snow"];

#[derive(Debug, thiserror::Error)]
#[error("this body breaks on purpose")]
pub(crate) struct Broken;

impl Body for Words {
    type Error = Broken;

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new([3; 32])
    }

    fn hidden(&self) -> usize {
        WORDS.len()
    }

    fn rows_interact(&self) -> bool {
        false
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Broken> {
        if pairs.iter().any(|(query, _)| query.contains("break")) {
            return Err(Broken);
        }
        let says = |row: usize, word| f32::from(u8::from(pairs[row].1.contains(word)));
        let features = Array2::from_shape_fn((pairs.len(), WORDS.len()), |(row, word)| says(row, WORDS[word]));
        Ok(PairFeatures { features, cut: vec![0; pairs.len()], tokens: 0 })
    }
}

impl TextEncoder for Words {
    type Error = Infallible;

    fn dimensions(&self) -> usize {
        WORDS.len() + 1
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Array2<f32>, Infallible> {
        let says = |text: &str, word: Option<&&str>| f32::from(u8::from(word.is_none_or(|word| text.contains(word))));
        Ok(Array2::from_shape_fn((texts.len(), WORDS.len() + 1), |(row, at)| says(texts[row], WORDS.get(at))))
    }
}

/// [`Words`], with something done to each call of it.
pub(crate) struct Watched<W>(pub(crate) W);

impl<W: FnMut(&[(String, String)], &mut PairFeatures)> Body for Watched<W> {
    type Error = Broken;

    fn fingerprint(&self) -> Fingerprint {
        Body::fingerprint(&Words)
    }

    fn hidden(&self) -> usize {
        Words.hidden()
    }

    fn rows_interact(&self) -> bool {
        Body::rows_interact(&Words)
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Broken> {
        let mut made = Words.pair_features(pairs)?;
        (self.0)(pairs, &mut made);
        Ok(made)
    }
}

/// A prior head that cares for nothing.
pub(crate) fn shared(features: Fingerprint) -> Arc<Shared> {
    Arc::new(Shared::new(features, Weights::linear(&[0.0; WORDS.len()], 0.0).unwrap()).unwrap())
}

/// A store in a folder that is removed with it.
pub(crate) struct Place {
    pub(crate) store: Arc<Store>,
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("store"), &StoreKey::from_bytes([1; 32])).unwrap();
        Self { store: Arc::new(store), folder }
    }

    /// Closes the store and opens it again at once, which nobody else may have open.
    pub(crate) fn open_again(self) -> Self {
        let Self { store, folder } = self;
        drop(store);
        let store = Store::open(&folder.path().join("store"), &StoreKey::from_bytes([1; 32])).unwrap();
        Self { store: Arc::new(store), folder }
    }

    /// Answered by this client, with four candidates and nothing personal.
    pub(crate) fn plain(&self, client: Arc<ScriptedClient>) -> Builder {
        self.plain_with(client)
    }

    /// The same with any client.
    pub(crate) fn plain_with(&self, client: impl LlmClient + 'static) -> Builder {
        let parts = TemplateParts {
            system: "You tag weather.".into(),
            user: "{{history}}\n{{query}}".into(),
            input_name: "weather".into(),
            output_name: "tag".into(),
        };
        let fence = FenceKey::new([2; 32]);
        Personalizer::builder(Arc::clone(&self.store), client, Template::new(parts).unwrap(), fence).candidates(1, 0.0)
    }

    /// With a personal reranker and a personal adapter.
    pub(crate) fn personal(&self, client: Arc<ScriptedClient>) -> Builder {
        self.personal_with(client)
    }

    /// The same with any client.
    pub(crate) fn personal_with(&self, client: impl LlmClient + 'static) -> Builder {
        self.personal_on(client, Words, Words)
    }

    /// The same on any bodies that make three numbers.
    pub(crate) fn personal_on(
        &self,
        client: impl LlmClient + 'static,
        reranker: impl Body + Send + 'static,
        adapter: impl Body + Send + 'static,
    ) -> Builder {
        let (records, candidates) = (RecordTemplate::input_only(), CandidateTemplate::query_only());
        let for_records = shared(records.features_of(reranker.fingerprint()));
        let for_candidates = shared(candidates.features_of(adapter.fingerprint()));
        self.plain_with(client)
            .personal_reranker(reranker, for_records, records)
            .unwrap()
            .personal_adapter(adapter, for_candidates, candidates)
            .unwrap()
    }
}

/// A client that answers each call with all of `texts`.
pub(crate) fn answering(calls: usize, texts: &[&str]) -> Arc<ScriptedClient> {
    let choices = || texts.iter().map(|text| Choice::new(*text)).collect();
    Arc::new(ScriptedClient::replying((0..calls).map(|_| Ok(Response::new(choices(), Usage::reported(7, 1))))))
}

pub(crate) fn scope(user: u128) -> Scope {
    Scope::acting_for(UserId::new(user))
}

pub(crate) fn day(number: i64) -> Time {
    Time::from_unix_millis(number * 86_400_000)
}

pub(crate) fn record(id: u64, text: &str) -> Record {
    Record::new(RecordId::new(id), day(i64::try_from(id).unwrap()), text, "noted")
}

/// What the language model was shown, all messages of a request together.
pub(crate) fn prompt(request: &Request) -> String {
    request.messages.iter().map(|message| message.text.as_str()).collect()
}
