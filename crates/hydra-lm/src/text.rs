//! From tokens to text as they come: whole characters, and nothing that may still become a stop string.

use tokenizers::Tokenizer;

/// The text of one answer.
pub(crate) struct TextStream {
    ids: Vec<u32>,
    /// What was decoded before: from `start`, the text up to `shown` is out.
    start: usize,
    shown: usize,
    /// Decoded, and held back because it may become a stop string.
    held: String,
    stop: Vec<String>,
}

/// What a token added.
#[derive(Debug, PartialEq)]
pub(crate) enum Added {
    /// Text, perhaps none yet.
    Text(String),
    /// Text before a stop string, which ends the answer.
    Stopped(String),
}

impl TextStream {
    pub(crate) fn new(stop: &[String]) -> Self {
        Self { ids: Vec::new(), start: 0, shown: 0, held: String::new(), stop: stop.to_vec() }
    }

    pub(crate) fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> Added {
        self.ids.push(id);
        let before = decode(tokenizer, &self.ids[self.start..self.shown]);
        let now = decode(tokenizer, &self.ids[self.start..]);
        // A character of several tokens shows as the replacement character until its last byte is there.
        if now.ends_with('\u{FFFD}') && self.ids.len() - self.shown < LONGEST_CHARACTER {
            return Added::Text(String::new());
        }
        let added = now.get(before.len()..).unwrap_or_default().to_owned();
        self.start = self.shown;
        self.shown = self.ids.len();
        self.hold(&added)
    }

    /// What was held back, when nothing comes any more.
    pub(crate) fn finish(&mut self, tokenizer: &Tokenizer) -> Added {
        let before = decode(tokenizer, &self.ids[self.start..self.shown]);
        let now = decode(tokenizer, &self.ids[self.start..]);
        let rest = now.get(before.len()..).unwrap_or_default().trim_end_matches('\u{FFFD}').to_owned();
        match self.hold(&rest) {
            Added::Text(text) => Added::Text(text + &std::mem::take(&mut self.held)),
            stopped => stopped,
        }
    }

    fn hold(&mut self, added: &str) -> Added {
        self.held.push_str(added);
        if let Some(at) = self.stop.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.held.truncate(at);
            return Added::Stopped(std::mem::take(&mut self.held));
        }
        let may_begin = |at: &usize| self.stop.iter().any(|stop| stop.starts_with(&self.held[*at..]));
        let cut = self.held.char_indices().map(|(at, _)| at).find(may_begin).unwrap_or(self.held.len());
        let kept = self.held.split_off(cut);
        Added::Text(std::mem::replace(&mut self.held, kept))
    }
}

fn decode(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    // An id that the tokenizer does not have was refused when the model was opened.
    tokenizer.decode(ids, true).unwrap_or_default()
}

/// No character has more bytes, and a token has at least one.
const LONGEST_CHARACTER: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pieces of text and returns what is shown after each.
    fn check(stop: &[&str], pieces: &[&str], expected: &[Added]) {
        let stop: Vec<_> = stop.iter().map(|stop| (*stop).to_owned()).collect();
        let mut stream = TextStream::new(&stop);
        let got: Vec<_> = pieces.iter().map(|piece| stream.hold(piece)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn a_stop_string_is_found_across_pieces_and_never_shown() {
        let text = |text: &str| Added::Text(text.to_owned());
        check(&["END"], &["a E", "N", "x"], &[text("a "), text(""), text("ENx")]);
        check(&["END"], &["a E", "N", "Dx"], &[text("a "), text(""), Added::Stopped(String::new())]);
        check(&["\n\n", "b"], &["a\n", "\nb"], &[text("a"), Added::Stopped(String::new())]);
        check(&["cd", "bc"], &["abcd"], &[Added::Stopped("a".to_owned())]);
        check(&["ü!"], &["ü", "?"], &[text(""), text("ü?")]);
        check(&[], &["a", "b"], &[text("a"), text("b")]);
    }
}
