//! The sentence encoder by itself: claims and abstracts are read apart, and near is relevant.

use std::collections::BTreeMap;

use anyhow::Result;
use hydra_onnx::Encoder;
use hydra_rerank::Ranking;
use hydra_types::ndarray::{Array1, Array2};
use hydra_types::{RecordId, Score, Scored};

use super::first_stage::FirstStage;
use super::found::{DEPTH, Found};

/// The vectors of all abstracts.
pub(super) struct BiEncoder {
    places: BTreeMap<RecordId, usize>,
    /// `[abstracts, hidden]`, of length 1.
    vectors: Array2<f32>,
}

impl BiEncoder {
    pub(super) fn new(encoder: &mut Encoder, first_stage: &FirstStage) -> Result<Self> {
        let texts: Vec<&str> = first_stage.records().map(hydra_types::Record::input).collect();
        let places = first_stage.records().enumerate().map(|(place, record)| (record.id(), place)).collect();
        Ok(Self { places, vectors: encoder.encode(&texts)?.features })
    }

    /// What was found, by cosine.
    pub(super) fn rank(&self, encoder: &mut Encoder, found: &Found<'_>) -> Result<Vec<Ranking>> {
        let claims = encoder.encode(&found.texts())?.features;
        let requests = found.requests();
        let rankings = requests.iter().zip(claims.rows()).map(|(request, claim)| {
            let claim = claim.to_owned();
            ranking(request.records.iter().map(|found| (found.record.id(), self.cosine(&claim, found.record.id()))))
        });
        rankings.collect()
    }

    /// The best of all abstracts, by cosine.
    pub(super) fn rank_all(&self, encoder: &mut Encoder, found: &Found<'_>) -> Result<Vec<Ranking>> {
        let claims = encoder.encode(&found.texts())?.features;
        let rankings = claims.rows().into_iter().map(|claim| {
            let claim = claim.to_owned();
            let mut ranking = ranking(self.places.keys().map(|&id| (id, self.cosine(&claim, id))))?;
            ranking.ranked.truncate(DEPTH);
            Ok(ranking)
        });
        rankings.collect()
    }

    fn cosine(&self, claim: &Array1<f32>, id: RecordId) -> f32 {
        claim.dot(&self.vectors.row(self.places[&id]))
    }
}

fn ranking(scores: impl Iterator<Item = (RecordId, f32)>) -> Result<Ranking> {
    let ranked = scores.map(|(id, score)| Ok(Scored::new(id, Score::new(score)?)));
    let mut ranked = ranked.collect::<Result<Vec<_>>>()?;
    ranked.sort_unstable();
    Ok(Ranking { ranked, cut: Vec::new() })
}
