//! The check of JSON payloads from peers: strings that stand for binary must be base64, and numbers must be
//! in the range that every reader supports.

use super::*;
use crate::serializer::big::MAX_DIGITS;

/// Base64 as RFC 4648 defines it, with padding: Python's `b64decode` fails without it.
const STRICT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The number of characters of base64 that are checked at a time. Each piece is complete in itself.
const PIECE: usize = 1024;

impl JsonReader<'_> {
    pub(super) fn check_string(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let (range, escaped) = self.scan_string()?;
        if escaped { self.check_escaped(range, start) } else { Ok(()) }
    }

    /// Refuses a key that stands for binary.
    pub(super) fn check_key(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let (range, _) = self.scan_string()?;
        if self.slice(range)?.starts_with(BINARY) { Err(Fault::key(start)) } else { Ok(()) }
    }

    fn check_escaped(&self, range: Range<usize>, at: usize) -> Result<(), Fault> {
        match self.slice(range)?.strip_prefix(BINARY) {
            None => Ok(()),
            Some(base64) if is_base64(base64)? => Ok(()),
            Some(_) => Err(Fault::Malformed { what: "binary that is not base64", at }),
        }
    }

    pub(super) fn check_number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let is_integer = self.scan_number()?;
        let text = self.slice(start..self.at)?;
        if text.len() <= MAX_DIGITS && (is_integer || !text.contains(['e', 'E'])) {
            return Ok(());
        }
        let what = if is_integer {
            if text.trim_start_matches('-').len() <= MAX_DIGITS {
                return Ok(());
            }
            "an integer of too many digits"
        } else {
            if text.parse::<f64>().is_ok_and(f64::is_finite) {
                return Ok(());
            }
            "a number beyond the range of floats"
        };
        Err(Fault::Malformed { what, at: start })
    }
}

/// Returns whether the content of a string is base64. It is copied only if it has escapes, such as the `\/`
/// of some encoders.
fn is_base64(content: &str) -> Result<bool, Fault> {
    if content.contains('\\') {
        return Ok(is_plain_base64(unescape(content)?.as_bytes()));
    }
    Ok(is_plain_base64(content.as_bytes()))
}

fn is_plain_base64(base64: &[u8]) -> bool {
    let mut bytes = [0; PIECE];
    let pieces = base64.len().div_ceil(PIECE);
    base64.chunks(PIECE).enumerate().all(|(index, piece)| {
        // Padding must be at the end.
        let is_last = index + 1 == pieces;
        (is_last || piece.last() != Some(&b'=')) && STRICT.decode_slice(piece, &mut bytes).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), Fault> {
        let mut reader = Json::reader(text.as_bytes(), 64)?;
        reader.check()?;
        reader.finish()
    }

    #[test]
    fn base64_of_any_length_is_checked_to_its_end() {
        for len in [0, 1, 2, 3, 767, 768, 769, 1535, 1536, 1537, 5000] {
            let mut text = Vec::new();
            Json::binary(&mut text, &vec![0xff; len]);
            let text = String::from_utf8(text).unwrap();
            assert_eq!(check(&text), Ok(()), "{len}");
            assert_eq!(check(&text.replace('/', r"\/")), Ok(()), "{len}");
            let (head, _) = text.split_at(text.len() - 1);
            for spoilt in ["!", "A", "=", "é"] {
                assert!(check(&format!("{head}{spoilt}\"")).is_err(), "{len}, {spoilt}");
            }
        }
        // Padding in the middle, at the end of a piece.
        assert!(check(&format!("\"\\u0000{}=={}\"", "A".repeat(PIECE - 2), "A".repeat(4))).is_err());
        assert!(check(r#""\u0000/w""#).is_err(), "no padding");
        assert_eq!(check(r#""\u0000/w==""#), Ok(()));
        assert_eq!(check(r#""not at the \u0000 beginning""#), Ok(()));
    }

    #[test]
    fn numbers_that_some_reader_lacks_are_refused() {
        for (text, is_one) in [
            ("1e308".to_owned(), true),
            ("1e309".to_owned(), false),
            ("-1E400".to_owned(), false),
            ("1e-400".to_owned(), true),
            ("9".repeat(300), true),
            (format!("-{}", "9".repeat(300)), true),
            ("9".repeat(301), false),
            ("9".repeat(5000), false),
            (format!("{}.5", "9".repeat(300)), true),
            (format!("{}.5", "9".repeat(400)), false),
            (format!("0.{}", "9".repeat(5000)), true),
        ] {
            assert_eq!(check(&text).is_ok(), is_one, "{text}");
        }
    }
}
