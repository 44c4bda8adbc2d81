//! Conversion from one format to another, token by token, without a tree in between.

use super::{Format, Reader, Token};
use crate::error::EncodeError;

/// Copies one value. Recurses, at most as deep as the reader's limit.
pub(crate) fn transcode<'de, R: Reader<'de>, F: Format>(
    reader: &mut R,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    match reader.value()? {
        Token::Null => F::null(out),
        Token::Bool(value) => F::bool(out, value),
        Token::Unsigned(value) => F::unsigned(out, value),
        Token::Signed(value) => F::signed(out, value),
        Token::Big(value) => F::big(out, &value)?,
        Token::Float(value) => F::float(out, value)?,
        Token::Text(value) => F::text(out, &value)?,
        Token::Binary(value) => F::binary(out, &value),
        Token::List(mut open) => {
            let mut list = F::begin_list(out, length(open.left));
            while reader.element(&mut open)? {
                F::element(out, &mut list);
                transcode::<R, F>(reader, out)?;
            }
            F::end_list(out, list);
        }
        Token::Dict(mut open) => {
            let mut dict = F::begin_dict(out, length(open.left));
            while reader.entry(&mut open)? {
                F::entry(out, &mut dict);
                F::text(out, &reader.value()?.into_key()?)?;
                reader.colon()?;
                F::colon(out);
                transcode::<R, F>(reader, out)?;
            }
            F::end_dict(out, dict);
        }
    }
    Ok(())
}

fn length(declared: Option<u64>) -> Option<usize> {
    declared.and_then(|len| usize::try_from(len).ok())
}
