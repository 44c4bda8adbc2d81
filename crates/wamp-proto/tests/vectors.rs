//! The test vectors of the specification (`testsuite/singlemessage` of `wamp-proto/wamp-proto`), read from a copy of that
//! folder that is no part of this repository:
//!
//! ```sh
//! WAMP_VECTORS=…/testsuite/singlemessage cargo test -p wamp-proto --test vectors -- --ignored --nocapture
//! ```
//!
//! Samples with bytes are decoded in each of our serializers and compared as values; the encodings of a sample must mean the
//! same message. Samples without bytes are options, right or wrong. The facts that they state are tests of their own in
//! `messages.rs`, `faults.rs` and `transparency.rs`.
#![cfg(all(feature = "json", feature = "msgpack", feature = "cbor"))]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;
use wamp_proto::{DecodeError, Limits, Message, Serializer};

/// The counts of a run.
#[derive(Debug, Default)]
struct Counts {
    encodings: usize,
    options: usize,
    faults: usize,
    /// Options of extensions that are not built, which are ignored as unknown ones are.
    ignored: Vec<String>,
}

/// The options that the vectors judge and this crate does not know: they belong to links between routers, and to XBR.
const NOT_BUILT: [&str; 3] = ["forward_for", "transaction_hash", "x_acknowledged_delivery"];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false if path.extension().is_some_and(|extension| extension == "json") => found.push(path),
            false => {}
        }
    }
    found.sort();
    found
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn decode(serializer: Serializer, frame: Vec<u8>) -> Result<Message, DecodeError> {
    Message::decode(serializer, &Bytes::from(frame), &Limits::default())
}

/// A message as a JSON value, whatever the order of its keys was.
fn value(message: &Message) -> Value {
    serde_json::from_slice(&message.encode(Serializer::Json).unwrap()).unwrap()
}

/// A sample of options: payloads are written as hexadecimal text in the place of binary.
fn of_options(sample: &Value) -> (Result<Message, String>, bool) {
    let mut message = sample["wmsg"].clone();
    let is_transparent = message.as_array().unwrap().iter().any(|part| part.get("enc_algo").is_some());
    if is_transparent && let Some(payload) = message.as_array_mut().and_then(|parts| parts.last_mut()) {
        *payload = Value::String("\0oWZub3RpY2U=".to_owned());
    }
    let decoded =
        decode(Serializer::Json, message.to_string().into_bytes()).map_err(|error| error.to_string());
    let checked = decoded.and_then(|decoded| {
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
            return Err("match".to_owned());
        }
        Ok(decoded)
    });
    (checked, is_transparent)
}

#[test]
#[ignore = "needs a copy of the test vectors"]
fn the_vectors_of_the_specification_are_decoded() {
    let folder = std::env::var("WAMP_VECTORS").expect("WAMP_VECTORS names the folder");
    let mut counts = Counts::default();
    for path in files(Path::new(&folder)) {
        let file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for sample in file["samples"].as_array().unwrap() {
            let about = format!("{}: {}", path.file_name().unwrap().display(), sample["description"]);
            let mut meanings: Vec<(String, Value)> = Vec::new();
            for serializer in Serializer::ALL.iter().copied() {
                for encoding in sample["serializers"][serializer.name()].as_array().into_iter().flatten() {
                    let frame = hex(encoding["bytes_hex"].as_str().unwrap());
                    let message = decode(serializer, frame)
                        .unwrap_or_else(|error| panic!("{about}, {serializer}: {error}"));
                    assert_eq!(message.code(), file["wamp_message_code"].as_u64().unwrap(), "{about}");
                    let again = decode(serializer, message.encode(serializer).unwrap().to_vec()).unwrap();
                    assert_eq!(again, message, "{about}, {serializer}");
                    meanings.push((serializer.to_string(), value(&message)));
                    counts.encodings += 1;
                }
            }
            for pair in meanings.windows(2) {
                assert_eq!(pair[0].1, pair[1].1, "{about}: {} and {}", pair[0].0, pair[1].0);
            }
            if sample.get("wmsg").is_none() {
                continue;
            }
            let (decoded, _) = of_options(sample);
            let wrong = sample["expected_error"]["contains"].as_str();
            match (decoded, wrong) {
                (Ok(_), None) => counts.options += 1,
                (Err(error), Some(key)) => {
                    assert!(error.contains(key), "{about}: {error}");
                    counts.faults += 1;
                }
                (Ok(_), Some(key)) if NOT_BUILT.contains(&key) => counts.ignored.push(about),
                (decoded, wrong) => panic!("{about}: {decoded:?}, {wrong:?}"),
            }
        }
    }
    #[expect(clippy::print_stdout, reason = "the counts are the result for a person")]
    {
        println!("{counts:#?}");
    }
    assert!(counts.encodings > 0);
}
