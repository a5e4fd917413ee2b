//! Users who are made up: their histories and what they ask.

use hydra_ml::types::{Record, RecordId, Scope, Time, UserId};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// One user.
pub(crate) struct User {
    pub(crate) scope: Scope,
    pub(crate) records: Vec<Record>,
    pub(crate) query: String,
}

/// `users` of them, always the same.
pub(crate) fn users(users: u32) -> impl Iterator<Item = User> {
    let mut words = Words(ChaCha8Rng::seed_from_u64(7));
    (0..users).map(move |user| {
        let records = (1..=words.0.random_range(50..=200)).map(|id| {
            let time = Time::from_unix_millis(i64::try_from(id).expect("a small number") * 86_400_000);
            Record::new(RecordId::new(id), time, words.text(5, 150), words.text(1, 4))
        });
        let records = records.collect();
        User { scope: Scope::acting_for(UserId::new(user.into())), records, query: words.text(5, 20) }
    })
}

/// When everybody asks: after all records.
pub(crate) fn now() -> Time {
    Time::from_unix_millis(1_000 * 86_400_000)
}

struct Words(ChaCha8Rng);

impl Words {
    /// Text of `shortest` to `longest` words, short ones more often.
    fn text(&mut self, shortest: u32, longest: u32) -> String {
        // The product of two even chances.
        let chances = self.0.random_range(0..=100) * self.0.random_range(0..=100);
        let words = shortest + (longest - shortest) * chances / 10_000;
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    /// The word of rank `r` in proportion to `1 / r`.
    fn word(&mut self) -> String {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank below VOCABULARY")]
        let mut rank = VOCABULARY.powf(self.0.random_range(0.0..1.0)) as usize;
        // Frequent words are short ones.
        let mut word = String::new();
        while word.is_empty() || rank > 0 {
            word.push_str(SYLLABLES[rank % SYLLABLES.len()]);
            rank /= SYLLABLES.len();
        }
        word
    }
}

const VOCABULARY: f64 = 20_000.0;
const SYLLABLES: [&str; 27] = [
    "ra", "in", "fi", "lm", "a", "ho", "use", "ri", "ver", "ne", "to", "ld", "su", "mm", "er", "qui", "et", "de", "te",
    "ct", "ive", "mu", "si", "c", "wi", "nt", "o",
];
