//! The messages of all clients, as the specification writes them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// The number of lines that are kept.
const LINES: usize = 100_000;

const HELLO: u64 = 1;
const WELCOME: u64 = 2;
const PUBLISHED: u64 = 17;
const EVENT: u64 = 36;

/// The messages so far.
#[derive(Debug, Default)]
pub(crate) struct Transcript(Mutex<VecDeque<String>>);

impl Transcript {
    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, name: &str, direction: &str, message: &[u8]) {
        let line = format!("{name} {direction} {}", shown(message));
        let mut lines = self.lock();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(crate) fn text(&self) -> String {
        self.lock().iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

/// A message without the values that differ from run to run.
fn shown(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let Some(fields) = fields(message) else { return text.into_owned() };
    let left_out: &[usize] = match fields[0].as_u64() {
        Some(HELLO) => &[2],
        Some(WELCOME) => &[1, 2],
        Some(PUBLISHED | EVENT) => &[2],
        _ => return text.into_owned(),
    };
    let shown = fields.iter().enumerate().map(|(at, field)| match left_out.contains(&at) {
        true => "..".to_owned(),
        false => field.to_string(),
    });
    format!("[{}]", shown.collect::<Vec<_>>().join(","))
}

/// The session that a WELCOME opens.
pub(crate) fn session_of(message: &[u8]) -> Option<u64> {
    let fields = message.starts_with(b"[2,").then(|| fields(message)).flatten()?;
    fields.get(1)?.as_u64()
}

/// The fields of a message; not empty.
fn fields(message: &[u8]) -> Option<Vec<Value>> {
    serde_json::from_slice::<Vec<Value>>(message).ok().filter(|fields| !fields.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_differ_from_run_to_run_are_left_out() {
        assert_eq!(shown(br#"[1,"realm1",{"roles":{}}]"#), r#"[1,"realm1",..]"#);
        assert_eq!(shown(br#"[2,123456,{"roles":{}}]"#), "[2,..,..]");
        assert_eq!(shown(br#"[17,3,99]"#), "[17,3,..]");
        assert_eq!(shown(br#"[36,1,99,{},["a"]]"#), r#"[36,1,..,{},["a"]]"#);
        assert_eq!(shown(br#"[50,1,{},[1.0]]"#), "[50,1,{},[1.0]]");
        assert_eq!(shown(b"no message"), "no message");
        assert_eq!(session_of(br#"[2,123456,{"roles":{}}]"#), Some(123_456));
        assert_eq!(session_of(b"[50,1,{}]"), None);
    }

    #[test]
    fn the_latest_lines_are_kept() {
        let transcript = Transcript::default();
        for number in 0..LINES + 2 {
            transcript.record("alice", "->", format!("[48,{number}]").as_bytes());
        }
        let text = transcript.text();
        assert_eq!(text.lines().count(), LINES);
        assert_eq!(text.lines().next(), Some("alice -> [48,2]"));
    }
}
