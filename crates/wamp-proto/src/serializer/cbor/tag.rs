//! The tags that a payload may have, and the content that each of them requires (RFC 8949, section 3.4).
//!
//! | tag | meaning | content |
//! |---|---|---|
//! | 0 | date | text as in RFC 3339, with a day and a time that exist |
//! | 1 | seconds since 1970 | a number, years 1 to 9999 |
//! | 2, 3 | integer beyond 64 bits | byte string, of at most 300 digits |
//! | 4, 5 | decimal, big float | a list of an exponent of at most 300 and a mantissa |
//! | 32 | URI | text |
//! | 37 | UUID | 16 bytes |
//! | 64 to 87 | typed array (RFC 8746) | byte string, a whole number of elements |
//! | 55799 | "this is CBOR" | any value but another tag 55799 |
//!
//! A reader that knows a tag fails on other content, and loses the whole message. A reader that does not know
//! the tag has a value of its own for it. All other tags are refused: WAMP has no types for their meaning,
//! and some of them (references, patterns, sets) crash programs that read them.

use std::ops::RangeInclusive;

pub(super) const DATE: u64 = 0;
pub(super) const EPOCH: u64 = 1;
pub(super) const POSITIVE: u64 = 2;
pub(super) const NEGATIVE: u64 = 3;
pub(super) const DECIMAL: u64 = 4;
pub(super) const BIGFLOAT: u64 = 5;
pub(super) const URI: u64 = 32;
pub(super) const UUID: u64 = 37;
pub(super) const ARRAYS: RangeInclusive<u64> = 64..=87;
/// The only number from 64 to 87 that is not assigned.
pub(super) const NO_ARRAY: u64 = 76;
pub(super) const SELF_DESCRIBED: u64 = 55799;

/// Returns whether a payload may have this tag.
pub(super) fn is_known(tag: u64) -> bool {
    match tag {
        DATE | EPOCH | POSITIVE | NEGATIVE | DECIMAL | BIGFLOAT | URI | UUID | SELF_DESCRIBED => true,
        tag => ARRAYS.contains(&tag) && tag != NO_ARRAY,
    }
}

/// Returns the size of an array element under this tag, in bytes. The bits of the tag are 0b010_f_s_e_ll.
pub(super) fn element(tag: u64) -> usize {
    let is_float = tag >> 4 & 1;
    1 << (is_float + (tag & 3))
}

/// Returns whether these seconds since 1970 are in the years 1 to 9999, the range in which every reader has
/// dates.
pub(super) fn is_epoch(seconds: f64) -> bool {
    (-62_135_596_800.0..253_402_300_799.0).contains(&seconds)
}

/// Returns whether a text is a date and a time as RFC 3339 writes them.
pub(super) fn is_date(text: &[u8]) -> bool {
    date(text).is_some()
}

fn date(text: &[u8]) -> Option<()> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    };
    let is =
        |at: usize, expected: &[u8]| text.get(at).is_some_and(|byte| expected.contains(byte)).then_some(());
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    is(4, b"-")?;
    is(7, b"-")?;
    is(10, b"T")?;
    is(13, b":")?;
    is(16, b":")?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let in_range = year >= 1 && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
    let mut rest = text.get(19..)?;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (digits > 0).then_some(())?;
        rest = &fraction[digits..];
    }
    let zone = match rest {
        b"Z" => true,
        [b'+' | b'-', h0, h1, b':', m0, m1] => {
            let pair = |a: &u8, b: &u8| {
                (a.is_ascii_digit() && b.is_ascii_digit()).then(|| (a - b'0') * 10 + (b - b'0'))
            };
            pair(h0, h1)? < 24 && pair(m0, m1)? < 60
        }
        _ => false,
    };
    (in_range && zone).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for text in ["2013-03-21T20:04:00Z", "2024-02-29T23:59:59.123456+05:30", "0001-01-01T00:00:00-23:59"]
        {
            assert!(is_date(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "abc",
            "2013-03-21",
            "2013-03-21T20:04:00",
            "2013-13-21T20:04:00Z",
            "2023-02-29T20:04:00Z",
            "0000-01-01T00:00:00Z",
            "2013-03-21T24:00:00Z",
            "2013-03-21T23:59:60Z",
            "2013-03-21T20:04:00.Z",
            "2013-03-21T20:04:00+24:00",
            "2013-03-21T20:04:00Zx",
            "2013-03-21 20:04:00Z",
            "２013-03-21T20:04:00Z",
        ] {
            assert!(!is_date(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn array_elements_have_the_size_that_their_tag_says() {
        for (tag, bytes) in
            [(64, 1), (65, 2), (66, 4), (67, 8), (72, 1), (80, 2), (81, 4), (82, 8), (83, 16), (85, 4)]
        {
            assert_eq!(element(tag), bytes, "{tag}");
        }
        assert!(is_known(64) && is_known(87) && !is_known(76) && !is_known(88) && !is_known(258));
    }
}
