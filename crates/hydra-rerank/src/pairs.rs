//! The pairs of all requests of a call, and their way back.

use hydra_types::{Body, PairFeatures, RecordTemplate, Score, UserId};

use crate::{Ranking, RerankError, RerankRequest, request};

/// Every query with every of its records, request after request.
pub(crate) struct Pairs {
    pub(crate) owners: Vec<UserId>,
    pub(crate) texts: Vec<(String, String)>,
}

impl Pairs {
    pub(crate) fn of(requests: &[RerankRequest<'_>], template: &RecordTemplate) -> Result<Self, RerankError> {
        request::check(requests)?;
        let mut pairs = Self { owners: Vec::new(), texts: Vec::new() };
        for request in requests {
            for retrieved in request.records {
                pairs.owners.push(request.scope.user());
                pairs.texts.push(template.pair(request.query, retrieved.record));
            }
        }
        Ok(pairs)
    }

    /// What the body makes of them; users never share a batch in which rows interact.
    pub(crate) fn features<B: Body>(&self, body: &mut B) -> Result<PairFeatures, RerankError> {
        let made = body.pair_features_of(&self.owners, &self.texts);
        checked(made, self.texts.len(), body.hidden())
    }
}

/// Features, if there is one row for each pair.
pub(crate) fn checked<E: std::error::Error + Send + Sync + 'static>(
    made: Result<PairFeatures, E>,
    pairs: usize,
    hidden: usize,
) -> Result<PairFeatures, RerankError> {
    let made = made.map_err(|error| RerankError::Body(Box::new(error)))?;
    made.check(pairs, hidden)?;
    Ok(made)
}

/// The rankings of all requests from the scores of all pairs.
pub(crate) fn rankings(
    requests: &[RerankRequest<'_>],
    scores: &[f32],
    cut: &[usize],
) -> Result<Vec<Ranking>, RerankError> {
    let mut from = 0;
    let mut rankings = Vec::with_capacity(requests.len());
    for (number, request) in requests.iter().enumerate() {
        let places = from..from + request.records.len();
        from = places.end;
        let own: Result<Vec<Score>, _> = scores[places.clone()].iter().map(|&score| Score::new(score)).collect();
        let own = own.map_err(|_| RerankError::NotFinite { request: number })?;
        rankings.push(Ranking::new(request, &own, &cut[places]));
    }
    Ok(rankings)
}
