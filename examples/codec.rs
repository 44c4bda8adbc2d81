//! Shows frames: reads lines from standard input and writes one for each.
//!
//! `codec decode`: a line `<serializer> <hex>` in, the message as a line of JSON out. `codec encode`: a line
//! `<serializer> <JSON array>` in, the frame in hex out. Anything that is not a message gives `ERROR <reason>`.
//!
//! Both ways go through a `Message`, so the output shows the parts that the codec knows.

use std::io::{self, BufRead, Write};

use bytes::Bytes;
use clap::Parser;
use wamp_proto::{Limits, Message, Serializer};

/// Shows WAMP messages as JSON, and writes JSON as WAMP messages.
#[derive(Parser)]
enum Options {
    /// `<serializer> <hex>` to a line of JSON.
    Decode,
    /// `<serializer> <JSON array>` to hex.
    Encode,
}

fn main() -> io::Result<()> {
    let convert = match Options::parse() {
        Options::Decode => decode,
        Options::Encode => encode,
    };
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().split(b'\n') {
        let line = line?;
        let answer = text(&line).and_then(|(serializer, rest)| convert(serializer, rest));
        match answer {
            Ok(answer) => writeln!(out, "{answer}")?,
            Err(reason) => writeln!(out, "ERROR {}", reason.replace(char::is_control, " "))?,
        }
        out.flush()?;
    }
    Ok(())
}

/// Splits a line into the serializer and the text behind it.
fn text(line: &[u8]) -> Result<(Serializer, &str), String> {
    let line = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?.trim();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let serializer = name.parse().map_err(|error| format!("{error}"))?;
    Ok((serializer, rest.trim()))
}

fn decode(serializer: Serializer, hex: &str) -> Result<String, String> {
    let frame = Bytes::from(from_hex(hex)?);
    let message =
        Message::decode(serializer, &frame, &Limits::default()).map_err(|error| error.to_string())?;
    let json = message.encode(Serializer::Json).map_err(|error| error.to_string())?;
    String::from_utf8(json.into()).map_err(|error| error.to_string())
}

fn encode(serializer: Serializer, json: &str) -> Result<String, String> {
    let frame = Bytes::copy_from_slice(json.as_bytes());
    let message =
        Message::decode(Serializer::Json, &frame, &Limits::default()).map_err(|error| error.to_string())?;
    let frame = message.encode(serializer).map_err(|error| error.to_string())?;
    Ok(frame.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn from_hex(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = hex
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).map(|digit| digit as u8).ok_or_else(|| format!("{c:?} is not a hex digit")))
        .collect::<Result<_, _>>()?;
    if digits.len() % 2 == 1 {
        return Err("an odd number of hex digits".to_owned());
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
