//! Requests over HTTP/1.1, a connection each.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::rawsocket::PATIENCE;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Reads the head of a response: its status, and its lines in lower case.
pub(crate) fn read_head(reader: &mut impl BufRead) -> Option<(u16, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.to_lowercase()))
}

/// Reads an answer with a length.
pub(crate) fn read(stream: impl Read) -> Option<Answer> {
    let mut reader = BufReader::new(stream);
    let (status, head) = read_head(&mut reader)?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Answer { status, head, body: String::from_utf8(body).unwrap() })
}

/// Sends a request as it is written here.
pub(crate) fn send(address: &str, request: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    read(stream)
}

/// Sends a request with these header lines.
pub(crate) fn request(address: &str, line: &str, headers: &[&str], body: &str) -> Answer {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let host = if headers.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let request = format!("{line} HTTP/1.1\r\n{host}{headers}{length}\r\n{body}");
    send(address, &request).unwrap_or_else(|| panic!("no answer to {line}"))
}

pub(crate) fn get(address: &str, path: &str) -> Answer {
    request(address, &format!("GET {path}"), &[], "")
}

/// Gets a path with a token.
pub(crate) fn get_with(address: &str, path: &str, token: &str) -> Answer {
    request(address, &format!("GET {path}"), &[&format!("Authorization: Bearer {token}")], "")
}

/// Posts JSON with a token.
pub(crate) fn post(address: &str, path: &str, token: &str, body: &str) -> Answer {
    let headers = [&*format!("Authorization: Bearer {token}"), "Content-Type: application/json"];
    request(address, &format!("POST {path}"), &headers, body)
}
