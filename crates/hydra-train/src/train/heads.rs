//! Users' heads, trained together with the body.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use hydra_heads::Weights;
use hydra_types::UserId;

use super::batch::Batch;
use super::examples::{Example, Examples};
use super::optimizer::{AdamWStep, Moments};
use crate::model::values;

/// Whether users have heads of their own while the body is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum UserHeads {
    /// Everybody is scored by the classifier alone.
    #[default]
    None,
    /// `w·z + b` is added to a row's score, where `z` is the last layer's vector of the first token: the classifier is the
    /// prior head, and a user's head begins at 0, which is the prior head exactly.
    ///
    /// # Source
    /// Zhuang et al. 2024 (arXiv:2406.02888), section 3.2, trains one head a user with the body. **Differs:** there a user has
    /// a full head and nobody a prior one; and only the heads of users in the batch move here, where one optimiser over
    /// stacked heads moves them all.
    Linear {
        /// The greatest learning rate of heads; it follows the body's schedule.
        learning_rate: f64,
        /// What holds heads to the prior head.
        weight_decay: f32,
    },
}

/// The head of every user whose rows are trained on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heads {
    pub(super) by_user: BTreeMap<UserId, Head>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    /// `w`, and behind it `b`.
    pub(super) values: Vec<f32>,
    pub(super) moments: Moments,
    /// How often it has moved: users are seen at different steps.
    pub(super) step: u64,
}

/// The heads of a step on the device: `[users + 1, hidden + 1]`; the last row is 0, for rows without a head.
pub(super) struct BoundHeads {
    users: Vec<UserId>,
    leaf: Tensor<2>,
}

impl Heads {
    /// A head of zeros for every user of some rows, if users have heads.
    pub(super) fn zeros(kind: UserHeads, examples: &Examples, hidden: usize) -> Self {
        if kind == UserHeads::None {
            return Self::default();
        }
        let users = examples.rows().iter().filter_map(|example| example.user);
        let zeros = || Head { values: vec![0.0; hidden + 1], moments: Moments::zeros(hidden + 1), step: 0 };
        Self { by_user: users.map(|user| (user, zeros())).collect() }
    }

    /// The numbers of every head, in order of user.
    pub(super) fn values(&self) -> Vec<Vec<f32>> {
        self.by_user.values().map(|head| head.values.clone()).collect()
    }

    /// Every head in the form in which users' heads are kept.
    pub(super) fn weights(&self) -> Vec<(UserId, Weights)> {
        let weights = |(user, head): (&UserId, &Head)| {
            let (bias, weights) = head.values.split_last()?;
            Some((*user, Weights::linear(weights, *bias).ok()?))
        };
        self.by_user.iter().filter_map(weights).collect()
    }

    /// The heads of these rows' users; none if none of them has one.
    pub(super) fn bind(&self, batch: &Batch<'_>, device: &Device, trained: bool) -> Option<BoundHeads> {
        let users: BTreeSet<UserId> = batch
            .examples()
            .filter_map(|example| example.user)
            .filter(|user| self.by_user.contains_key(user))
            .collect();
        let users: Vec<UserId> = users.into_iter().collect();
        let columns = self.by_user.get(users.first()?)?.values.len();
        let mut numbers: Vec<f32> = users.iter().flat_map(|user| self.by_user[user].values.iter().copied()).collect();
        numbers.resize((users.len() + 1) * columns, 0.0);
        let data = TensorData::new(numbers, [users.len() + 1, columns]);
        Some(BoundHeads { users, leaf: Tensor::from_data(data, device).set_require_grad(trained) })
    }

    /// Moves the heads of one step.
    pub(super) fn update(&mut self, gradients: &[(UserId, Vec<f32>)], step: AdamWStep) {
        for (user, gradient) in gradients {
            let head = self.by_user.get_mut(user).expect("gradients are those of heads that were bound");
            head.step += 1;
            AdamWStep { step: head.step, ..step }.apply(&mut head.values, gradient, &mut head.moments);
        }
    }
}

impl BoundHeads {
    /// Logits with each row's head added to its score.
    ///
    /// # Shapes
    /// - `logits`: `[rows, 1]`, or `[rows, 2]` where the score is the second minus the first
    /// - `features`: `[rows, hidden]`
    pub(super) fn add(&self, logits: Tensor<2>, features: Tensor<2>, batch: &Batch<'_>, device: &Device) -> Tensor<2> {
        let row = |example: &Example| {
            let place = example.user.and_then(|user| self.users.binary_search(&user).ok());
            i64::try_from(place.unwrap_or(self.users.len())).expect("a batch fits into memory")
        };
        let rows: Vec<i64> = batch.examples().map(row).collect();
        let [n_rows, hidden] = features.dims();
        let rows: Tensor<1, Int> = Tensor::from_data(TensorData::new(rows, [n_rows]), device);
        let heads = self.leaf.clone().select(0, rows);
        let weights = heads.clone().slice([0..n_rows, 0..hidden]);
        let score = (features * weights).sum_dim(1) + heads.slice([0..n_rows, hidden..hidden + 1]);
        match logits.dims()[1] {
            1 => logits + score,
            _ => logits + Tensor::cat(vec![Tensor::zeros([n_rows, 1], device), score], 1),
        }
    }

    /// What each user's head is asked for, in order of user.
    pub(super) fn gradients(&self, gradients: &mut Gradients) -> Vec<(UserId, Vec<f32>)> {
        let [rows, columns] = self.leaf.dims();
        // A pass may have no row of any of them.
        let numbers = self.leaf.grad_remove(gradients).map_or_else(|| vec![0.0; rows * columns], values);
        self.users.iter().copied().zip(numbers.chunks(columns).map(<[f32]>::to_vec)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Loss;
    use crate::model::Sequence;

    #[test]
    fn a_step_binds_the_heads_of_its_users_however_many_there_are() {
        let bound = |users: u32| {
            let row = |row: u32| Example {
                sequence: Sequence { ids: vec![2, 3], types: vec![0; 2] },
                label: 0.0,
                group: row.into(),
                user: Some(UserId::new((row % users).into())),
            };
            let examples = Examples::new((0..2 * users).map(row).collect());
            let heads = Heads::zeros(UserHeads::Linear { learning_rate: 1.0, weight_decay: 0.0 }, &examples, 8);
            // Two rows of each of four users.
            let units = examples.units(&Loss::two_classes());
            let step: Vec<_> =
                [0, 3, 5, 7].into_iter().flat_map(|at| [units[at], units[at + users as usize]]).collect();
            let bound = heads.bind(&Batch::of(&examples, &step), &Device::flex().autodiff(), true).unwrap();
            (heads.by_user.len(), bound.leaf.dims())
        };
        // Theirs, and one of zeros.
        assert_eq!((bound(10), bound(1000)), ((10, [5, 9]), (1000, [5, 9])));
    }
}
