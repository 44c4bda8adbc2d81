//! Compares this crate with the test vectors of the specification, in a copy of the folder `testsuite/singlemessage` of
//! `wamp-proto/wamp-proto`, which is no part of this repository:
//!
//! ```sh
//! cargo run -p wamp-proto --example vectors -- …/testsuite/singlemessage
//! ```
//!
//! Samples with bytes are decoded in each of our serializers and compared as values; the encodings of a sample must mean the
//! same message. Samples without bytes are options, right or wrong. Each fault is printed, and the exit code is 1 if there is
//! one. The facts that the vectors state are tests of this crate: `messages.rs`, `faults.rs` and `transparency.rs`.
#![allow(clippy::print_stdout, reason = "the counts and the faults are the output")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use serde_json::Value;
use wamp_proto::{Limits, Message, Serializer};

/// The counts of a run.
#[derive(Debug, Default)]
struct Counts {
    encodings: usize,
    options: usize,
    wrong_options: usize,
    /// Options of extensions that are not built, which are ignored as unknown ones are.
    ignored: usize,
    faults: usize,
}

/// The options that the vectors judge and this crate does not know: they belong to links between routers, and to XBR.
const NOT_BUILT: [&str; 3] = ["forward_for", "transaction_hash", "x_acknowledged_delivery"];

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false if path.extension().is_some_and(|extension| extension == "json") => found.push(path),
            false => {}
        }
    }
    found.sort();
    Ok(found)
}

fn bytes(encoding: &Value) -> Outcome<Vec<u8>> {
    let text = encoding["bytes_hex"].as_str().ok_or("an encoding without bytes_hex")?;
    let digits = text.as_bytes().chunks(2).map(|pair| Ok(u8::from_str_radix(str::from_utf8(pair)?, 16)?));
    digits.collect()
}

fn decode(serializer: Serializer, frame: Vec<u8>) -> Outcome<Message> {
    Ok(Message::decode(serializer, &Bytes::from(frame), &Limits::default())?)
}

/// Checks one encoding. Returns its message as a JSON value, whatever the order of its keys was.
fn check_encoding(serializer: Serializer, encoding: &Value, code: &Value) -> Outcome<Value> {
    let message = decode(serializer, bytes(encoding)?)?;
    if Some(message.code()) != code.as_u64() {
        return Err(format!("has the code {}", message.code()).into());
    }
    if decode(serializer, message.encode(serializer)?.to_vec())? != message {
        return Err("is another message when it is encoded again".into());
    }
    Ok(serde_json::from_slice(&message.encode(Serializer::Json)?)?)
}

/// Decodes a sample of options, and checks those that a session would check.
fn check_options(sample: &Value) -> Outcome {
    let mut message = sample["wmsg"].clone();
    let parts = message.as_array_mut().ok_or("a message that is no list")?;
    let is_transparent = parts.iter().any(|part| part.get("enc_algo").is_some());
    if let Some(payload) = parts.last_mut().filter(|_| is_transparent) {
        // The vectors have hexadecimal text in the place of binary.
        *payload = Value::String("\0oWZub3RpY2U=".to_owned());
    }
    let decoded = decode(Serializer::Json, message.to_string().into_bytes())?;
    let ppt = match &decoded {
        Message::Publish(publish) => publish.options.ppt.as_deref(),
        Message::Event(event) => event.details.ppt.as_deref(),
        _ => None,
    };
    if let Some(ppt) = ppt {
        ppt.check(decoded.payload())?;
    }
    if let Message::Subscribe(subscribe) = &decoded
        && subscribe.options.extra.contains("match")
    {
        return Err("match".into());
    }
    Ok(())
}

/// Checks a sample. Returns its faults.
fn check(sample: &Value, code: &Value, counts: &mut Counts) -> Vec<String> {
    let mut faults = Vec::new();
    let mut first: Option<Value> = None;
    for serializer in Serializer::ALL.iter().copied() {
        for encoding in sample["serializers"][serializer.name()].as_array().into_iter().flatten() {
            counts.encodings += 1;
            match check_encoding(serializer, encoding, code) {
                Ok(meaning) if first.as_ref().is_some_and(|first| *first != meaning) => {
                    faults.push(format!("{serializer} means another message: {meaning}"));
                }
                Ok(meaning) => first = Some(meaning),
                Err(error) => faults.push(format!("{serializer}: {error}")),
            }
        }
    }
    if sample.get("wmsg").is_some() {
        match (check_options(sample), sample["expected_error"]["contains"].as_str()) {
            (Ok(()), None) => counts.options += 1,
            (Err(error), Some(key)) if error.to_string().contains(key) => counts.wrong_options += 1,
            (Ok(()), Some(key)) if NOT_BUILT.contains(&key) => counts.ignored += 1,
            (outcome, key) => faults.push(format!("{outcome:?}, but the error contains {key:?}")),
        }
    }
    faults
}

fn main() -> Outcome<ExitCode> {
    let folder = std::env::args_os().nth(1).ok_or("the folder of the vectors is the first argument")?;
    let mut counts = Counts::default();
    for path in files(Path::new(&folder))? {
        let file: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        for sample in file["samples"].as_array().into_iter().flatten() {
            for fault in check(sample, &file["wamp_message_code"], &mut counts) {
                println!("{}: {}: {fault}", path.display(), sample["description"]);
                counts.faults += 1;
            }
        }
    }
    println!("{counts:#?}");
    if counts.encodings == 0 {
        return Err("there are no vectors in this folder".into());
    }
    Ok(if counts.faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
