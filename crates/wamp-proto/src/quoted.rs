//! Texts of peers in errors and logs.

use std::fmt::{self, Write};

/// The longest text shown, in bytes with its escapes.
const SHOWN: usize = 128;

/// Returns a text in quotation marks, escaped as a Rust string literal and cut after about 128 bytes.
///
/// A text of a peer may have many MiB. The cost of showing it does not depend on its length, and only escaped
/// text reaches a terminal.
///
/// ```
/// use wamp_proto::quoted;
///
/// assert_eq!(quoted("com.my\napp").to_string(), r#""com.my\napp""#);
/// assert_eq!(quoted(&"x".repeat(1 << 20)).to_string().len(), 128 + "\"…\"".len());
/// ```
pub fn quoted(text: &str) -> Quoted<'_> {
    Quoted(text)
}

/// The display form of [`quoted`].
#[derive(Clone, Copy)]
pub struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        let mut shown = 0;
        for c in self.0.chars() {
            let mut escaped = c.escape_debug();
            shown += escaped.clone().map(char::len_utf8).sum::<usize>();
            if shown > SHOWN {
                f.write_char('…')?;
                break;
            }
            escaped.try_for_each(|c| f.write_char(c))?;
        }
        f.write_char('"')
    }
}

impl fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns a text without quotation marks, cut after about `bytes` bytes, with unprintable characters
/// escaped.
///
/// ```
/// use wamp_proto::shown;
///
/// assert_eq!(shown("it's \u{1b}[31mred", 100).to_string(), r"it's \u{1b}[31mred");
/// assert_eq!(shown("too long", 3).to_string(), "too…");
/// ```
pub fn shown(text: &str, bytes: usize) -> Shown<'_> {
    Shown(text, bytes)
}

/// The display form of [`shown`].
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(&'a str, usize);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cut = self.1.min(self.0.len());
        while !self.0.is_char_boundary(cut) {
            cut -= 1;
        }
        for part in self.0[..cut].split_inclusive(QUOTES) {
            let body = part.trim_end_matches(QUOTES);
            write!(f, "{}{}", body.escape_debug(), &part[body.len()..])?;
        }
        if cut < self.0.len() { f.write_char('…') } else { Ok(()) }
    }
}

/// Printable characters that are escaped in quotation marks.
const QUOTES: [char; 3] = ['"', '\'', '\\'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_quotation_marks_keeps_printable_characters() {
        let text = "\"it's\" a \\ हिन्दी é";
        assert_eq!(shown(text, 1000).to_string(), text);
        assert_eq!(shown("a\nb\u{1b}\u{200b}", 1000).to_string(), r"a\nb\u{1b}\u{200b}");
        assert_eq!(shown("ééé", 5).to_string(), "éé…");
        assert_eq!(shown("ééé", 6).to_string(), "ééé");
    }

    #[test]
    fn a_short_text_is_shown_whole_and_escaped() {
        assert_eq!(quoted("").to_string(), r#""""#);
        assert_eq!(quoted("a\"b\\\u{1b}[31m\u{200b}é").to_string(), r#""a\"b\\\u{1b}[31m\u{200b}é""#);
        assert_eq!(quoted(&"x".repeat(SHOWN)).to_string(), format!("{:?}", "x".repeat(SHOWN)));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        for (character, shown) in [("x", 128), ("é", 64), ("\u{301}", 128 / 7), ("\u{200b}", 16), ("😀", 32)]
        {
            let text = quoted(&character.repeat(1000)).to_string();
            let expected = format!("{:?}", character.repeat(shown));
            // A combining mark is escaped only at the beginning.
            if character != "\u{301}" {
                assert_eq!(text, format!("{}…\"", &expected[..expected.len() - 1]), "{character:?}");
            }
            assert!(text.len() <= SHOWN + "\"…\"".len(), "{text}");
        }
    }
}
