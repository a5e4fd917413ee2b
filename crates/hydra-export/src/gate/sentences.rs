//! Sentence pairs to judge by: made by a small grammar, the same on every machine.

/// Pairs whose sentences share anything from nothing to almost everything, so that their similarities spread.
pub(super) fn pairs(count: usize) -> Vec<(String, String)> {
    (0..count)
        .map(|at| {
            let mut draws = Draws::new(at);
            let first = Sentence::draw(&mut draws);
            let mut second = first;
            for (slot, words) in WORDS.iter().enumerate() {
                // The first pair shares everything but one word, the sixth nothing, and so on again.
                if (slot + at / (SLOTS + 1)) % SLOTS <= at % (SLOTS + 1) {
                    second.0[slot] = draws.below(words.len());
                }
            }
            let mut texts = [first.text(), second.text()];
            // Some are longer, so that lengths spread too.
            for text in texts.iter_mut().filter(|_| at % 3 == 2) {
                text.push_str(" because ");
                text.push_str(&Sentence::draw(&mut draws).text());
            }
            texts.into()
        })
        .collect()
}

/// A text of at least this many words.
pub(super) fn text(seed: usize, words: usize) -> String {
    let mut draws = Draws::new(seed);
    let mut text = Sentence::draw(&mut draws).text();
    while text.split(' ').count() < words {
        text.push_str(" and ");
        text.push_str(&Sentence::draw(&mut draws).text());
    }
    text
}

/// One word or phrase a slot.
#[derive(Clone, Copy)]
struct Sentence([usize; SLOTS]);

impl Sentence {
    fn draw(draws: &mut Draws) -> Self {
        Self(std::array::from_fn(|slot| draws.below(WORDS[slot].len())))
    }

    fn text(self) -> String {
        let words: Vec<&str> = self.0.iter().zip(WORDS).map(|(word, slot)| slot[*word]).collect();
        words.join(" ")
    }
}

/// Numbers that depend on the seed alone.
struct Draws(u64);

impl Draws {
    fn new(seed: usize) -> Self {
        Self(seed as u64)
    }

    /// # Source
    /// Steele et al. 2014, *Fast splittable pseudorandom number generators* (doi:10.1145/2660193.2660195), figure 16.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        usize::try_from(z % end as u64).expect("below the length of a slice")
    }
}

const SLOTS: usize = 7;
const WORDS: [&[&str]; SLOTS] = [
    &["a", "the", "one", "every", "this", "her"],
    &["old", "small", "bright", "quiet", "red", "heavy", "young", "broken", "famous", "cold", "patient", "hungry"],
    &[
        "teacher",
        "engine",
        "painter",
        "doctor",
        "farmer",
        "dog",
        "pilot",
        "singer",
        "child",
        "robot",
        "judge",
        "neighbour",
    ],
    &[
        "repaired", "painted", "followed", "sold", "watched", "carried", "found", "praised", "crossed", "opened",
        "lost", "measured",
    ],
    &["a", "the", "another", "no", "his", "some"],
    &[
        "river", "bridge", "garden", "letter", "clock", "boat", "mountain", "window", "song", "market", "planet",
        "recipe",
    ],
    &[
        "near the harbour",
        "before the storm",
        "in winter",
        "without a word",
        "after dinner",
        "for a friend",
        "by accident",
        "in spite of the price",
        "at the end of a long war",
        "with great care",
    ],
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pairs_are_many_and_share_between_nothing_and_almost_everything() {
        let pairs = pairs(300);
        assert_eq!(pairs.iter().collect::<BTreeSet<_>>().len(), 300);
        let shared = |(first, second): &(String, String)| {
            let words: BTreeSet<&str> = first.split(' ').collect();
            second.split(' ').filter(|word| words.contains(word)).count()
        };
        let spread: BTreeSet<usize> = pairs.iter().map(shared).collect();
        assert!(spread.len() >= 6, "{spread:?}");
    }

    #[test]
    fn a_text_has_the_words_that_were_asked_for() {
        for words in [1, 9, 100] {
            assert!(text(3, words).split(' ').count() >= words);
        }
    }
}
