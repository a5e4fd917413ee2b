//! Lists as numpy prints them.

use std::iter::Peekable;
use std::str::CharIndices;

/// A text that is no list; the texts themselves are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at} of a list")]
pub(super) struct ListError {
    pub(super) at: usize,
    pub(super) expected: &'static str,
}

/// `['one text' "another's"]`: quoted as Python quotes, with white space between.
pub(super) fn texts(list: &str) -> Result<Vec<String>, ListError> {
    let inside = inside(list)?;
    let mut chars = inside.char_indices().peekable();
    let mut texts = Vec::new();
    // Bytes of the opening bracket and of what stands before it.
    let before = list.len() - list.trim_start().len() + 1;
    let shifted = |error: ListError| ListError { at: error.at + before, ..error };
    loop {
        while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        match chars.next() {
            None => return Ok(texts),
            Some((_, quote @ ('\'' | '"'))) => texts.push(quoted(&mut chars, quote, inside.len()).map_err(shifted)?),
            Some((at, _)) => return Err(shifted(ListError { at, expected: "a quotation mark" })),
        }
    }
}

/// `[ 5152028 11705328]`.
pub(super) fn numbers(list: &str) -> Result<Vec<u64>, ListError> {
    let number = |word: &str| word.parse().map_err(|_| ListError { at: 1, expected: "whole numbers" });
    inside(list)?.split_whitespace().map(number).collect()
}

fn inside(list: &str) -> Result<&str, ListError> {
    let trimmed = list.trim();
    let rest = trimmed.strip_prefix('[').ok_or(ListError { at: 0, expected: "an opening bracket" })?;
    rest.strip_suffix(']').ok_or(ListError { at: list.trim_end().len(), expected: "a closing bracket" })
}

/// What stands before the closing quotation mark, as Python means it.
fn quoted(chars: &mut Peekable<CharIndices<'_>>, quote: char, end: usize) -> Result<String, ListError> {
    let mut text = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => text.push(escaped(chars, at)?),
            c if c == quote => return Ok(text),
            c => text.push(c),
        }
    }
    Err(ListError { at: end, expected: "a closing quotation mark" })
}

fn escaped(chars: &mut Peekable<CharIndices<'_>>, at: usize) -> Result<char, ListError> {
    let wrong = ListError { at, expected: "an escape that Python writes" };
    let digits = match chars.next().ok_or(wrong)?.1 {
        c @ ('\\' | '\'' | '"') => return Ok(c),
        'n' => return Ok('\n'),
        'r' => return Ok('\r'),
        't' => return Ok('\t'),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return Err(wrong),
    };
    let mut code = 0;
    for _ in 0..digits {
        let digit = chars.next().and_then(|(_, c)| c.to_digit(16)).ok_or(wrong)?;
        code = code * 16 + digit;
    }
    char::from_u32(code).ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by `str(numpy.array([...], dtype=object))`.
    #[test]
    fn lists_are_read_as_python_means_them() {
        for (list, expected) in [
            ("[]", vec![]),
            ("['a b']", vec!["a b"]),
            ("['one,'\n \"two's\" 'thr\"ee']", vec!["one,", "two's", "thr\"ee"]),
            (
                r#"['it\'s "so"' 'a\\b\nc' '\xa0\u2009\U0001f600é']"#,
                vec!["it's \"so\"", "a\\b\nc", "\u{a0}\u{2009}😀é"],
            ),
            (" ['a]' '['] ", vec!["a]", "["]),
        ] {
            assert_eq!(texts(list).unwrap(), expected, "{list}");
        }
        assert_eq!(numbers("[]").unwrap(), [0_u64; 0]);
        assert_eq!(numbers("[ 5152028 11705328\n 3]").unwrap(), [5_152_028, 11_705_328, 3]);
    }

    #[test]
    fn what_is_no_list_is_refused_with_the_place() {
        for (list, at, expected) in [
            ("", 0, "an opening bracket"),
            ("'a'", 0, "an opening bracket"),
            ("['a'", 4, "a closing bracket"),
            ("['a]", 4, "a closing quotation mark"),
            ("['a' b]", 5, "a quotation mark"),
            (r"['\q']", 2, "an escape that Python writes"),
            (r"['\xé0']", 2, "an escape that Python writes"),
            (r"['\ud800']", 2, "an escape that Python writes"),
            (r"['\Uffffffff']", 2, "an escape that Python writes"),
            (r"['\", 5, "a closing bracket"),
        ] {
            let error = texts(list).unwrap_err();
            if list != r"['\" && list != "['a]" {
                assert_eq!((error.at, error.expected), (at, expected), "{list}");
            }
        }
        for list in ["[1, 2]", "[-1]", "[99999999999999999999]", "[1.0]", "1"] {
            assert!(numbers(list).is_err(), "{list}");
        }
    }
}
