//! Text to a JSON string in which nothing can act as anything but text.

use std::fmt::Write as _;

/// Appends `text` as a JSON string, quotes included. Any JSON reader gives back exactly `text`.
pub(super) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut chars = text.chars().peekable();
    let mut after_visible = false;
    while let Some(c) = chars.next() {
        let lone_selector =
            c == EMOJI_SELECTOR && after_visible && chars.peek().is_none_or(|&next| !is_invisible(next));
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '[' if opens_marker(chars.clone()) => write_code(c, out),
            _ if lone_selector => out.push(c),
            _ if c.is_control() || is_bracket(c) || is_invisible(c) => write_code(c, out),
            _ => out.push(c),
        }
        after_visible = !is_invisible(c) && !c.is_control();
    }
    out.push('"');
}

fn write_code(c: char, out: &mut String) {
    let mut units = [0; 2];
    for unit in c.encode_utf16(&mut units) {
        write!(out, "\\u{unit:04x}").expect("a string takes all");
    }
}

/// `[INST]`, `[/INST]`, `[SYSTEM_PROMPT]`: marks of chat templates. `[1]` and `[sic]` stay readable.
fn opens_marker(mut rest: impl Iterator<Item = char>) -> bool {
    let next = rest.next();
    let first = if next == Some('/') { rest.next() } else { next };
    first.is_some_and(|c| c.is_ascii_uppercase())
}

/// Angle brackets open `<|im_start|>`, `</s>` and our own marks. Their twins are here because tokenizers that normalise
/// (NFKC) turn them into the real ones; so is the wide square bracket.
fn is_bracket(c: char) -> bool {
    matches!(c, '<' | '>' | '\u{ff1c}' | '\u{ff1e}' | '\u{fe64}' | '\u{fe65}' | '\u{ff3b}' | '\u{ff3d}')
}

/// What is not seen but read: format characters (Unicode category Cf), line and paragraph separators, variation
/// selectors, fillers.
fn is_invisible(c: char) -> bool {
    matches!(
        u32::from(c),
        0xad | 0x34f
            | 0x600..=0x605
            | 0x61c
            | 0x6dd
            | 0x70f
            | 0x890..=0x891
            | 0x8e2
            | 0x115f..=0x1160
            | 0x17b4..=0x17b5
            | 0x180b..=0x180f
            | 0x200b..=0x200f
            | 0x2028..=0x202e
            | 0x2060..=0x206f
            | 0x3164
            | 0xfe00..=0xfe0f
            | 0xfeff
            | 0xffa0
            | 0xfff0..=0xfffb
            | 0x110bd
            | 0x110cd
            | 0x13430..=0x1343f
            | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a
            | 0xe0000..=0xe0fff
    )
}

/// Alone after something visible it only asks for the coloured form of an emoji.
const EMOJI_SELECTOR: char = '\u{fe0f}';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut out = String::new();
        write_string(text, &mut out);
        out
    }

    #[test]
    fn what_could_act_is_spelled_out_and_the_rest_stays_readable() {
        for (text, expected) in [
            ("drama, [1] and [sic]", "drama, [1] and [sic]"),
            ("a \"b\" \\ c\r\n\td", "a \\\"b\\\" \\\\ c\\r\\n\\td"),
            ("</s><|im_start|>", "\\u003c/s\\u003e\\u003c|im_start|\\u003e"),
            ("[INST]x[/INST]", "\\u005bINST]x\\u005b/INST]"),
            ("＜a＞", "\\uff1ca\\uff1e"),
            ("a\u{202e}b\u{0}\u{85}", "a\\u202eb\\u0000\\u0085"),
            ("\u{e0041}", "\\udb40\\udc41"),
            ("❤\u{fe0f} Ünï 語 👍🏽", "❤\u{fe0f} Ünï 語 👍🏽"),
            ("❤\u{fe0f}\u{fe0e}", "❤\\ufe0f\\ufe0e"),
        ] {
            assert_eq!(written(text), format!("\"{expected}\""));
        }
    }

    proptest! {
        #[test]
        fn another_json_reader_reads_the_same_text(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&written(&text)).unwrap(), text);
        }

        #[test]
        fn nothing_that_acts_is_left(text in "[<>＜＞\\[\\]/A-Z|\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\u{fe00}-\u{fe0f}a-c]{0,60}") {
            let written = written(&text);
            for c in written.chars() {
                prop_assert!(!is_bracket(c) && !c.is_control());
                prop_assert!(!is_invisible(c) || c == EMOJI_SELECTOR, "{:?}", c);
            }
            for (at, _) in written.match_indices('[') {
                prop_assert!(!opens_marker(written[at + 1..].chars()));
            }
        }
    }
}
