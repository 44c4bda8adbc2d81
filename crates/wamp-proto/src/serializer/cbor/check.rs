//! The check of CBOR payloads from peers; the table of tags is in [`super::tag`].

use super::*;
use crate::serializer::big::MAX_DIGITS;

impl CborReader<'_> {
    /// Checks `count` values, or keys and values in turn, as [`Reader::check`] does. Recurses, at most as
    /// deep as the reader's limit.
    pub(super) fn check_values<const KEYS: bool>(&mut self, count: u64, depth: usize) -> Result<(), Fault> {
        for index in 0..count {
            let start = self.at;
            let is_key = KEYS && index % 2 == 0;
            match self.bytes.get(start) {
                // The most frequent values: small integers, booleans, null, short texts.
                Some(0x00..=0x17 | 0x20..=0x37 | 0xf4..=0xf7) if !is_key => {
                    self.at += 1;
                    continue;
                }
                Some(byte @ 0x60..=0x77) => {
                    self.at += 1;
                    utf8::check(self.take((byte & 31).into())?, start)?;
                    continue;
                }
                _ => {}
            }
            let head = self.head()?;
            match head.major {
                TEXT => self.check_text(head, start)?,
                _ if is_key => return Err(Fault::key(start)),
                BINARY if head.info == INDEFINITE => while self.chunk(BINARY)?.is_some() {},
                BINARY => {
                    self.take(head.argument)?;
                }
                LIST => {
                    let depth = depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
                    if head.info == INDEFINITE {
                        while !self.eat_break()? {
                            self.check_values::<false>(1, depth)?;
                        }
                    } else {
                        self.check_values::<false>(head.argument, depth)?;
                    }
                }
                DICT => {
                    let depth = depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
                    if head.info == INDEFINITE {
                        while !self.eat_break()? {
                            self.check_values::<true>(2, depth)?;
                        }
                    } else {
                        let count = head.argument.checked_mul(2).ok_or_else(Fault::truncated)?;
                        self.check_values::<true>(count, depth)?;
                    }
                }
                TAG => self.check_tagged(head.argument, start, depth)?,
                SIMPLE if !(20..=27).contains(&head.info) || head.info == 24 => {
                    return Err(foreign_simple(start));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_text(&mut self, head: Head, at: usize) -> Result<(), Fault> {
        if head.info != INDEFINITE {
            return utf8::check(self.take(head.argument)?, at);
        }
        while let Some(chunk) = self.chunk(TEXT)? {
            utf8::check(chunk, at)?;
        }
        Ok(())
    }

    /// Checks the value after a tag.
    #[cold]
    fn check_tagged(&mut self, tag: u64, at: usize, depth: usize) -> Result<(), Fault> {
        let malformed = |what| Err(Fault::Malformed { what, at });
        if !tag::is_known(tag) {
            return Err(foreign_tag(at));
        }
        if tag == tag::SELF_DESCRIBED {
            let start = self.at;
            let head = self.head()?;
            if head.major == TAG && head.argument == tag {
                return malformed("a tag 55799 inside another");
            }
            self.at = start;
            return self.check_values::<false>(1, depth);
        }
        let head = self.head()?;
        match tag {
            tag::DATE if head.major == TEXT && head.info != INDEFINITE => {
                let text = self.take(head.argument)?;
                if tag::is_date(text) { Ok(()) } else { malformed("an invalid date") }
            }
            tag::URI if head.major == TEXT => self.check_text(head, at),
            tag::EPOCH => {
                let seconds = match (head.major, head.info) {
                    (UNSIGNED, _) => head.argument as f64,
                    (NEGATIVE, _) => -1.0 - head.argument as f64,
                    (SIMPLE, 25) => half(head.argument as u16),
                    (SIMPLE, 26) => f32::from_bits(head.argument as u32).into(),
                    (SIMPLE, 27) => f64::from_bits(head.argument),
                    _ => f64::NAN,
                };
                if tag::is_epoch(seconds) { Ok(()) } else { malformed("a date out of range") }
            }
            tag::POSITIVE | tag::NEGATIVE => self.check_bignum(tag, head, at),
            tag::DECIMAL | tag::BIGFLOAT => {
                if (head.major, head.argument, head.info) != (LIST, 2, 2) {
                    return malformed("a decimal or big float that is not a pair");
                }
                depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
                let exponent = self.head()?;
                let is_integer = matches!(exponent.major, UNSIGNED | NEGATIVE);
                if !is_integer || exponent.argument > MAX_DIGITS as u64 {
                    return malformed(
                        "a decimal or big float whose exponent is not an integer, or too large",
                    );
                }
                let mantissa = self.head()?;
                match mantissa.major {
                    UNSIGNED | NEGATIVE => Ok(()),
                    TAG if matches!(mantissa.argument, tag::POSITIVE | tag::NEGATIVE) => {
                        let head = self.head()?;
                        self.check_bignum(mantissa.argument, head, at)
                    }
                    _ => malformed("a decimal or big float whose mantissa is not an integer"),
                }
            }
            tag::UUID if head.major == BINARY && head.info != INDEFINITE => {
                self.take(head.argument)?;
                if head.argument == 16 { Ok(()) } else { malformed("a UUID of another length than 16 bytes") }
            }
            tag if tag::ARRAYS.contains(&tag) && head.major == BINARY && head.info != INDEFINITE => {
                let bytes = self.take(head.argument)?;
                if bytes.len() % tag::element(tag) == 0 {
                    Ok(())
                } else {
                    malformed("a typed array with an incomplete last number")
                }
            }
            _ => malformed("a tag before a value of another type"),
        }
    }

    fn check_bignum(&mut self, tag: u64, head: Head, at: usize) -> Result<(), Fault> {
        if head.major != BINARY || head.info == INDEFINITE {
            return Err(Fault::Malformed { what: "a big number that is not a byte string", at });
        }
        if Big::is_short(tag == tag::NEGATIVE, self.take(head.argument)?) {
            Ok(())
        } else {
            Err(Fault::Malformed { what: "an integer of too many bytes", at })
        }
    }
}
