//! Integers beyond 64 bits: JSON writes their digits, CBOR their bytes (tags 2 and 3), MessagePack has none.
//!
//! Such an integer is never turned into a float on its way, since that changes the number.

use std::fmt;

/// The most digits of an integer in a payload, in any format. A float can be as large, so every reader has
/// some value for such an integer. Python refuses integers of more than 4,300 digits.
pub(crate) const MAX_DIGITS: usize = 300;

/// The most bytes of an integer in a payload.
#[cfg(feature = "cbor")]
const MAX_BYTES: usize = 125;

/// The capacity of readers and writers, slightly more than `MAX_BYTES`.
const MAX_LIMBS: usize = 17;

/// The factor of one step of reading or writing digits: 19 digits fit into 64 bits.
const STEP: u64 = 10_u64.pow(STEP_DIGITS as u32);
const STEP_DIGITS: usize = 19;

/// An integer beyond 64 bits: its sign and its magnitude.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Big {
    negative: bool,
    /// The magnitude, least significant word first; the last word is not 0.
    limbs: Vec<u64>,
}

impl Big {
    /// Reads decimal digits with or without a sign. Returns `None` for too many digits.
    #[cfg(feature = "json")]
    pub(crate) fn from_digits(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let mut limbs: Vec<u64> = Vec::new();
        let mut at = 0;
        while at < digits.len() {
            // The first step takes the remainder, so that every other step is full.
            let len = match (digits.len() - at) % STEP_DIGITS {
                0 => STEP_DIGITS,
                rest => rest,
            };
            let mut carry = u128::from(digits.get(at..at + len)?.parse::<u64>().ok()?);
            for limb in &mut limbs {
                carry += u128::from(*limb) * u128::from(STEP);
                *limb = carry as u64;
                carry >>= 64;
            }
            if carry > 0 {
                limbs.push(carry as u64);
            }
            if limbs.len() > MAX_LIMBS {
                return None;
            }
            at += len;
        }
        Some(Self { negative, limbs })
    }

    /// Reads a magnitude, most significant byte first. Returns `None` for too many bytes.
    #[cfg(feature = "cbor")]
    pub(crate) fn from_bytes(negative: bool, bytes: &[u8]) -> Option<Self> {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let bytes = &bytes[zeros..];
        if bytes.len() > MAX_LIMBS * 8 {
            return None;
        }
        let limb = |chunk: &[u8]| chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
        Some(Self { negative, limbs: bytes.rchunks(8).map(limb).collect() })
    }

    /// Returns -1 - `bytes`, the number that CBOR means below zero.
    #[cfg(feature = "cbor")]
    pub(crate) fn below_zero(bytes: &[u8]) -> Option<Self> {
        let mut big = Self::from_bytes(true, bytes)?;
        for limb in &mut big.limbs {
            let (sum, carry) = limb.overflowing_add(1);
            *limb = sum;
            if !carry {
                return Some(big);
            }
        }
        big.limbs.push(1);
        Some(big)
    }

    /// Returns whether CBOR's bytes of an integer are few enough for a payload.
    #[cfg(feature = "cbor")]
    pub(crate) fn is_short(negative: bool, bytes: &[u8]) -> bool {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        match bytes.len() - zeros {
            ..MAX_BYTES => true,
            MAX_BYTES => {
                let big = if negative { Self::below_zero(bytes) } else { Self::from_bytes(false, bytes) };
                big.is_some_and(|big| big.to_string().trim_start_matches('-').len() <= MAX_DIGITS)
            }
            _ => false,
        }
    }

    pub(crate) fn is_negative(&self) -> bool {
        self.negative
    }

    /// Returns the same number in 64 bits, if it fits.
    pub(crate) fn narrow<'de>(&self) -> Option<super::Token<'de>> {
        let magnitude = match self.limbs.as_slice() {
            [] => 0,
            [limb] => *limb,
            _ => return None,
        };
        if !self.negative {
            return Some(super::Token::Unsigned(magnitude));
        }
        match i64::try_from(-i128::from(magnitude)).ok()? {
            0 => Some(super::Token::Unsigned(0)),
            value => Some(super::Token::Signed(value)),
        }
    }

    /// Returns the magnitude in 128 bits, if it fits.
    pub(crate) fn magnitude(&self) -> Option<u128> {
        match self.limbs.as_slice() {
            [] => Some(0),
            [low] => Some((*low).into()),
            [low, high] => Some(u128::from(*high) << 64 | u128::from(*low)),
            _ => None,
        }
    }

    /// Returns the nearest float.
    pub(crate) fn to_float(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Returns the magnitude as CBOR writes it, less one below zero; the most significant byte first, without
    /// leading zeros.
    #[cfg(feature = "cbor")]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut limbs = self.limbs.clone();
        if self.negative {
            for limb in &mut limbs {
                let (difference, borrow) = limb.overflowing_sub(1);
                *limb = difference;
                if !borrow {
                    break;
                }
            }
        }
        let bytes: Vec<u8> = limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes[zeros..].to_vec()
    }
}

impl fmt::Display for Big {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut limbs = self.limbs.clone();
        let mut steps = Vec::with_capacity(limbs.len() + 1);
        while !limbs.is_empty() {
            let mut rest = 0_u128;
            for limb in limbs.iter_mut().rev() {
                let value = rest << 64 | u128::from(*limb);
                *limb = (value / u128::from(STEP)) as u64;
                rest = value % u128::from(STEP);
            }
            steps.push(rest as u64);
            while limbs.last() == Some(&0) {
                limbs.pop();
            }
        }
        if self.negative {
            f.write_str("-")?;
        }
        write!(f, "{}", steps.pop().unwrap_or(0))?;
        steps.iter().rev().try_for_each(|step| write!(f, "{step:0STEP_DIGITS$}"))
    }
}

#[cfg(all(test, feature = "json", feature = "cbor"))]
mod tests {
    use super::*;

    #[test]
    fn digits_and_bytes_are_the_same_number() {
        for (digits, bytes) in [
            ("18446744073709551616", &b"\x01\0\0\0\0\0\0\0\0"[..]),
            ("18446744073709551617", b"\x01\0\0\0\0\0\0\0\x01"),
            ("-18446744073709551617", b"\x01\0\0\0\0\0\0\0\0"),
            ("-18446744073709551616", b"\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("340282366920938463463374607431768211456", b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            ("-340282366920938463463374607431768211457", b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            (
                "100000000000000000000000000000000000000",
                b"\x4b\x3b\x4c\xa8\x5a\x86\xc4\x7a\x09\x8a\x22\x40\0\0\0\0",
            ),
        ] {
            let big = Big::from_digits(digits).unwrap();
            assert_eq!(big.to_string(), digits);
            assert_eq!(big.to_bytes(), bytes, "{digits}");
            let again = if big.negative { Big::below_zero(bytes) } else { Big::from_bytes(false, bytes) };
            assert_eq!(again, Some(big));
        }
        let longest = "9".repeat(MAX_DIGITS);
        let big = Big::from_digits(&longest).unwrap();
        assert_eq!((big.to_bytes().len(), big.to_string()), (MAX_BYTES, longest));
        for negative in [false, true] {
            let sign = if negative { "-" } else { "" };
            for (digits, is_short) in
                [("9".repeat(MAX_DIGITS), true), (format!("1{}", "0".repeat(300)), false)]
            {
                let bytes = Big::from_digits(&format!("{sign}{digits}")).unwrap().to_bytes();
                assert_eq!(Big::is_short(negative, &bytes), is_short, "{sign}{digits}");
            }
        }
        assert_eq!(Big::from_digits(&"9".repeat(400)), None);
        assert_eq!(Big::from_bytes(false, &[0xff; 200]), None);
        assert_eq!(Big::from_digits("1180591620717411303424").unwrap().to_float(), 2_f64.powi(70));
    }
}
