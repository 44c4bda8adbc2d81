//! The little MessagePack that an attacker needs: messages written by hand, and the first integers of a
//! received message.

/// A MessagePack text under construction.
#[derive(Clone, Debug, Default)]
pub struct Pack(pub Vec<u8>);

impl Pack {
    pub fn array(len: usize) -> Self {
        let mut pack = Self::default();
        match len {
            0..16 => pack.0.push(0x90 | len as u8),
            _ => pack.long(0xdc, 0xdd, len),
        }
        pack
    }

    pub fn uint(mut self, number: u64) -> Self {
        match number {
            0..128 => self.0.push(number as u8),
            _ => {
                self.0.push(0xcf);
                self.0.extend(number.to_be_bytes());
            }
        }
        self
    }

    pub fn str(self, text: &str) -> Self {
        self.text(text.as_bytes())
    }

    /// A text of these bytes, which need not be UTF-8.
    pub fn text(mut self, text: &[u8]) -> Self {
        match text.len() {
            len @ 0..32 => self.0.push(0xa0 | len as u8),
            len => self.long(0xda, 0xdb, len),
        }
        self.0.extend(text);
        self
    }

    pub fn bin(mut self, bytes: &[u8]) -> Self {
        self.long(0xc5, 0xc6, bytes.len());
        self.0.extend(bytes);
        self
    }

    /// Bytes that are MessagePack already.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// The head of a list with this many elements, whether they follow or not.
    pub fn list(mut self, len: usize) -> Self {
        self.long(0xdc, 0xdd, len);
        self
    }

    fn long(&mut self, two: u8, four: u8, len: usize) {
        if let Ok(len) = u16::try_from(len) {
            self.0.push(two);
            self.0.extend(len.to_be_bytes());
        } else {
            self.0.push(four);
            self.0.extend((len as u32).to_be_bytes());
        }
    }
}

/// `{}`
pub const NO_OPTIONS: &[u8] = b"\x80";
/// `{"acknowledge": true}`
pub const ACKNOWLEDGE: &[u8] = b"\x81\xabacknowledge\xc3";
/// `{"match": "wildcard"}`
pub const WILDCARD: &[u8] = b"\x81\xa5match\xa8wildcard";
/// `{"match": "prefix"}`
pub const PREFIX: &[u8] = b"\x81\xa5match\xa6prefix";
/// `{"progress": true}`
pub const PROGRESS: &[u8] = b"\x81\xa8progress\xc3";
/// `{"receive_progress": true}`
pub const RECEIVE_PROGRESS: &[u8] = b"\x81\xb0receive_progress\xc3";
/// `{"timeout": 1}`
pub const TIMEOUT_1_MS: &[u8] = b"\x81\xa7timeout\x01";
/// `{"timeout": 3600000}`
pub const TIMEOUT_1_H: &[u8] = b"\x81\xa7timeout\xce\x00\x36\xee\x80";
/// `{"mode": "killnowait"}`
pub const KILL_NO_WAIT: &[u8] = b"\x81\xa4mode\xaakillnowait";

/// HELLO with all four roles and the features that make a router work.
pub fn hello() -> Vec<u8> {
    let features = Pack::default()
        .raw(b"\x81\xa8features\x83")
        .str("progressive_call_results")
        .raw(b"\xc3")
        .str("call_canceling")
        .raw(b"\xc3")
        .str("pattern_based_registration")
        .raw(b"\xc3")
        .0;
    let caller_and_callee = [&b"\xa6caller"[..], &features, b"\xa6callee", &features].concat();
    let roles =
        [&b"\x81\xa5roles\x84"[..], &caller_and_callee, b"\xa9publisher\x80\xaasubscriber\x80"].concat();
    Pack::array(3).uint(1).str("realm1").raw(&roles).0
}

pub fn goodbye() -> Vec<u8> {
    Pack::array(3).uint(6).raw(NO_OPTIONS).str("wamp.close.normal").0
}

/// REGISTER, SUBSCRIBE, or CALL and PUBLISH without arguments: a code, a request, options, a URI.
pub fn request(code: u64, id: u64, options: &[u8], uri: &str) -> Vec<u8> {
    Pack::array(4).uint(code).uint(id).raw(options).str(uri).0
}

pub fn subscribe(id: u64, topic: &str) -> Vec<u8> {
    request(32, id, NO_OPTIONS, topic)
}

pub fn register(id: u64, options: &[u8], procedure: &str) -> Vec<u8> {
    request(64, id, options, procedure)
}

pub fn call(id: u64, options: &[u8], procedure: &str) -> Vec<u8> {
    request(48, id, options, procedure)
}

/// CALL with arguments, which are a MessagePack list.
pub fn call_with(id: u64, options: &[u8], procedure: &str, arguments: &[u8]) -> Vec<u8> {
    Pack::array(5).uint(48).uint(id).raw(options).str(procedure).raw(arguments).0
}

/// PUBLISH with arguments, which are a MessagePack list.
pub fn publish(id: u64, options: &[u8], topic: &str, arguments: &[u8]) -> Vec<u8> {
    Pack::array(5).uint(16).uint(id).raw(options).str(topic).raw(arguments).0
}

/// YIELD of one binary argument of this length.
pub fn yield_of(invocation: u64, options: &[u8], size: usize) -> Vec<u8> {
    Pack::array(4).uint(70).uint(invocation).raw(options).raw(b"\x91").bin(&vec![b'x'; size]).0
}

/// The integers and texts among the first five elements of a message, which identify it.
pub fn read(message: &[u8]) -> Vec<Item> {
    let mut reader = Reader { rest: message };
    let len = reader.array().unwrap_or(0);
    std::iter::from_fn(|| reader.item()).take(len.min(5)).collect()
}

/// An element of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Uint(u64),
    Text(String),
    Other,
}

impl Item {
    pub fn uint(&self) -> u64 {
        if let Item::Uint(number) = self { *number } else { 0 }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self, len: usize) -> Option<u64> {
        Some(self.take(len)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn array(&mut self) -> Option<usize> {
        match self.number(1)? {
            first @ 0x90..=0x9f => Some(first as usize & 15),
            0xdc => self.number(2).map(|len| len as usize),
            _ => None,
        }
    }

    fn text(&mut self, len: u64) -> Option<Item> {
        Some(Item::Text(String::from_utf8_lossy(self.take(len as usize)?).into_owned()))
    }

    fn values(&mut self, count: u64) -> Option<Item> {
        for _ in 0..count {
            self.item()?;
        }
        Some(Item::Other)
    }

    fn item(&mut self) -> Option<Item> {
        match self.number(1)? {
            number @ 0..0x80 => Some(Item::Uint(number)),
            first @ 0x80..0x90 => self.values(2 * (first & 15)),
            first @ 0x90..0xa0 => self.values(first & 15),
            first @ 0xa0..0xc0 => self.text(first & 31),
            width @ 0xcc..=0xcf => self.number(1 << (width - 0xcc)).map(Item::Uint),
            0xd9 => self.number(1).and_then(|len| self.text(len)),
            0xda => self.number(2).and_then(|len| self.text(len)),
            0xdb => self.number(4).and_then(|len| self.text(len)),
            width @ 0xc4..=0xc6 => {
                let len = self.number(1 << (width - 0xc4))?;
                self.take(len as usize).map(|_| Item::Other)
            }
            0xca | 0xd2 => self.take(4).map(|_| Item::Other),
            0xcb | 0xd3 => self.take(8).map(|_| Item::Other),
            0xd0 => self.take(1).map(|_| Item::Other),
            0xd1 => self.take(2).map(|_| Item::Other),
            0xdc => self.number(2).and_then(|count| self.values(count)),
            0xdd => self.number(4).and_then(|count| self.values(count)),
            0xde => self.number(2).and_then(|count| self.values(2 * count)),
            _ => Some(Item::Other),
        }
    }
}
