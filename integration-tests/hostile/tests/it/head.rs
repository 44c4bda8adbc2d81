//! The heads of messages in all three serializers, with a payload of any bytes behind them.

use crate::msgpack::Pack;
use crate::wire::{CBOR, JSON};

/// An element of a head.
#[derive(Clone, Debug)]
pub enum Value {
    Number(u64),
    Text(&'static str),
    True,
    Dict(Vec<(&'static str, Value)>),
}

/// `{}`
pub fn empty() -> Value {
    Value::Dict(Vec::new())
}

/// A message: its head, and further elements that are written in this serializer already.
pub fn message(serializer: u8, head: &[Value], payload: &[u8]) -> Vec<u8> {
    let len = (head.len() + usize::from(!payload.is_empty())) as u8;
    let mut bytes = match serializer {
        JSON => b"[".to_vec(),
        CBOR => vec![0x80 | len],
        _ => vec![0x90 | len],
    };
    for (index, value) in head.iter().enumerate() {
        if serializer == JSON && index > 0 {
            bytes.push(b',');
        }
        value.write(serializer, &mut bytes);
    }
    if serializer == JSON {
        if !payload.is_empty() {
            bytes.push(b',');
        }
        bytes.extend(payload);
        bytes.push(b']');
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// The code of a message.
pub fn code(serializer: u8, message: &[u8]) -> u8 {
    match serializer {
        JSON => message
            .iter()
            .skip(1)
            .take_while(|byte| byte.is_ascii_digit())
            .fold(0, |code, digit| code * 10 + digit - b'0'),
        CBOR if message.get(1) == Some(&0x18) => message.get(2).copied().unwrap_or(0),
        _ => message.get(1).copied().unwrap_or(0),
    }
}

impl Value {
    fn write(&self, serializer: u8, out: &mut Vec<u8>) {
        match (self, serializer) {
            (Value::Number(number), JSON) => out.extend(number.to_string().as_bytes()),
            (Value::Number(number), CBOR) => {
                out.push(0x1b);
                out.extend(number.to_be_bytes());
            }
            (Value::Number(number), _) => *out = Pack(std::mem::take(out)).uint(*number).0,
            (Value::Text(text), JSON) => out.extend(format!("{text:?}").as_bytes()),
            (Value::Text(text), CBOR) => {
                out.extend([0x78, text.len() as u8]);
                out.extend(text.as_bytes());
            }
            (Value::Text(text), _) => *out = Pack(std::mem::take(out)).str(text).0,
            (Value::True, JSON) => out.extend(b"true"),
            (Value::True, CBOR) => out.push(0xf5),
            (Value::True, _) => out.push(0xc3),
            (Value::Dict(entries), JSON) => {
                out.push(b'{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.extend(if index > 0 { &b","[..] } else { b"" });
                    Value::Text(key).write(serializer, out);
                    out.push(b':');
                    value.write(serializer, out);
                }
                out.push(b'}');
            }
            (Value::Dict(entries), _) => {
                out.push(if serializer == CBOR { 0xa0 } else { 0x80 } | entries.len() as u8);
                for (key, value) in entries {
                    Value::Text(key).write(serializer, out);
                    value.write(serializer, out);
                }
            }
        }
    }
}
