//! What a word is.

/// How a text is cut into words. Both ways lower-case by Unicode's rules first; neither stems nor drops any word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Tokenisation {
    /// Every longest run of letters and digits; where a script has no spaces (Chinese characters, Japanese kana), every
    /// character. `"It's C3-PO"` is `it`, `s`, `c3`, `po`.
    #[default]
    Words,
    /// Every longest run without white space, punctuation and all: `"it's c3-po"` is `it's`, `c3-po`.
    WhiteSpace,
}

impl Tokenisation {
    /// The words of `text` in their order, repeated ones repeated.
    #[must_use]
    pub fn words(self, text: &str) -> Vec<String> {
        let text = text.to_lowercase();
        match self {
            Self::WhiteSpace => text.split_whitespace().map(str::to_owned).collect(),
            Self::Words => {
                let mut words = Vec::new();
                for run in text.split(|c: char| !c.is_alphanumeric()) {
                    let mut start = 0;
                    for (at, c) in run.char_indices().filter(|&(_, c)| stands_alone(c)) {
                        words.extend([&run[start..at], &run[at..at + c.len_utf8()]].map(str::to_owned));
                        start = at + c.len_utf8();
                    }
                    words.push(run[start..].to_owned());
                }
                words.retain(|word| !word.is_empty());
                words
            }
        }
    }
}

/// Hiragana, Katakana, and the blocks of Chinese characters.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_the_doc_says() {
        let check = |tokenisation: Tokenisation, text: &str, expected: &[&str]| {
            assert_eq!(tokenisation.words(text), expected, "{text}");
        };
        check(Tokenisation::Words, "It's C3-PO", &["it", "s", "c3", "po"]);
        check(Tokenisation::WhiteSpace, " It's\tC3-PO\n", &["it's", "c3-po"]);
        check(Tokenisation::Words, "ÉTÉ, Straße; ΣΑΣ", &["été", "straße", "σας"]);
        check(Tokenisation::Words, "東京へ行く2024年abc", &["東", "京", "へ", "行", "く", "2024", "年", "abc"]);
        check(Tokenisation::Words, "…!? 🎬", &[]);
        check(Tokenisation::WhiteSpace, "", &[]);
    }
}
