//! A client over RawSocket, in JSON.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A test that waits longer than this hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A client over a connection.
pub(crate) struct Client<S>(pub(crate) S);

/// Returns a client that has not said HELLO yet.
pub(crate) fn tcp(address: &str) -> Client<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client(stream).greeted()
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn greeted(mut self) -> Self {
        self.0.write_all(&[0x7f, 0xf1, 0, 0]).unwrap();
        let mut answer = [0; 4];
        self.0.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0x7f, 0xf1, 0, 0]);
        self
    }

    pub(crate) fn say(&mut self, message: &str) {
        let frame = [&(message.len() as u32).to_be_bytes(), message.as_bytes()].concat();
        self.0.write_all(&frame).unwrap();
    }

    pub(crate) fn hear(&mut self) -> String {
        let mut prefix = [0; 4];
        self.0.read_exact(&mut prefix).unwrap();
        let mut message = vec![0; u32::from_be_bytes(prefix) as usize];
        self.0.read_exact(&mut message).unwrap();
        String::from_utf8(message).unwrap()
    }
}
