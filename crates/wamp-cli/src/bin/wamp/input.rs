//! Standard input as the chunks of a call, or as publications.

use std::io::{BufRead, Read, StdinLock};
use std::str::FromStr;
use std::thread::{self, JoinHandle};

use bytesize::ByteSize;
use serde_json::Deserializer;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::arguments::json_or_string;
use crate::document::Document;
use crate::fail::Fail;

/// The most bytes of a binary chunk, by default.
const CHUNK: usize = 64 << 10;

/// The most bytes of a binary chunk.
const MAX_CHUNK: u64 = 16 << 20;

/// How standard input is cut into items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A line is an item, and written as an argument.
    Lines,
    /// JSON documents one after another.
    Json,
    /// Binary, of as many bytes at most.
    Raw(usize),
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("raw=")) {
            ("lines", _) => Ok(Self::Lines),
            ("json", _) => Ok(Self::Json),
            ("raw", _) => Ok(Self::Raw(CHUNK)),
            (_, Some(size)) => match size.parse::<ByteSize>().map(|size| size.as_u64()) {
                Ok(size @ 1..=MAX_CHUNK) => Ok(Self::Raw(size as usize)),
                Ok(size) if size > MAX_CHUNK => Err(format!("{size} bytes are more than 16 MiB")),
                _ => Err(format!("{size:?} is not a size such as 64KiB")),
            },
            _ => Err("one of lines, json, raw and raw=SIZE".to_owned()),
        }
    }
}

/// The items of standard input. A thread reads them, at most two ahead of the one that is sent.
pub(crate) struct Input {
    items: Receiver<Result<Document, String>>,
    /// An item that was read to know whether there is one.
    next: Option<Result<Document, String>>,
    /// `None` after its end.
    thread: Option<JoinHandle<()>>,
}

impl Input {
    pub(crate) fn open(format: Format) -> Self {
        Self::of(move |items| read(format, std::io::stdin().lock(), items))
    }

    /// The items of a function, which runs in a thread of its own.
    fn of(read: impl FnOnce(&Sender<Result<Document, String>>) + Send + 'static) -> Self {
        let (sender, items) = channel(1);
        // It ends with the program: nothing can interrupt a read of a terminal.
        let thread = thread::spawn(move || read(&sender));
        Self { items, next: None, thread: Some(thread) }
    }

    async fn receive(&mut self) -> Option<Result<Document, String>> {
        match self.items.recv().await {
            Some(item) => Some(item),
            // The thread has ended or is about to.
            None => match self.thread.take()?.join() {
                Ok(()) => None,
                Err(_) => Some(Err("its reader has failed".to_owned())),
            },
        }
    }

    /// The next item; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Document, Fail>> {
        let item = match self.next.take() {
            Some(item) => Some(item),
            None => self.receive().await,
        };
        item.map(|item| item.map_err(|error| Fail::usage(format!("standard input: {error}"))))
    }

    /// Whether there is a further item, or an error. Waits until that is known. May be dropped at any time.
    pub(crate) async fn has_next(&mut self) -> bool {
        if self.next.is_none() {
            self.next = self.receive().await;
        }
        self.next.is_some()
    }
}

fn read(format: Format, mut stdin: StdinLock<'_>, items: &Sender<Result<Document, String>>) {
    let ended = match format {
        Format::Lines => read_lines(stdin, items),
        Format::Json => read_json(stdin, items),
        Format::Raw(size) => {
            let mut buffer = vec![0; size];
            loop {
                match stdin.read(&mut buffer) {
                    Ok(0) => break Ok(()),
                    Ok(len) if send(items, Document::Binary(buffer[..len].to_vec())) => {}
                    Ok(_) => break Ok(()),
                    Err(error) => break Err(error.to_string()),
                }
            }
        }
    };
    if let Err(error) = ended {
        let _ = items.blocking_send(Err(error));
    }
}

/// Returns whether items are still wanted.
fn send(items: &Sender<Result<Document, String>>, item: Document) -> bool {
    items.blocking_send(Ok(item)).is_ok()
}

fn read_lines(stdin: StdinLock<'_>, items: &Sender<Result<Document, String>>) -> Result<(), String> {
    for (i, line) in stdin.lines().enumerate() {
        let item = line.map_err(|error| error.to_string()).and_then(|line| json_or_string(&line));
        if !send(items, item.map_err(|error| format!("item {}: {error}", i + 1))?) {
            break;
        }
    }
    Ok(())
}

fn read_json(stdin: StdinLock<'_>, items: &Sender<Result<Document, String>>) -> Result<(), String> {
    for (i, document) in Deserializer::from_reader(stdin).into_iter::<Document>().enumerate() {
        let item = document.map_err(|error| error.to_string()).and_then(Document::with_binary);
        if !send(items, item.map_err(|error| format!("document {}: {error}", i + 1))?) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_limited() {
        assert_eq!("raw=16MiB".parse(), Ok(Format::Raw(16 << 20)));
        for size in ["raw=17MiB", "raw=1EiB", "raw=10EiB"] {
            assert!(size.parse::<Format>().unwrap_err().ends_with(" bytes are more than 16 MiB"), "{size}");
        }
        assert!("raw=0".parse::<Format>().unwrap_err().contains("is not a size"));
    }

    #[tokio::test]
    async fn a_reader_that_fails_is_an_error_and_not_the_end() {
        let mut input = Input::of(|items| {
            assert!(!send(items, Document::Null), "the reader fails");
        });
        assert!(matches!(input.next().await, Some(Ok(Document::Null))));
        assert!(input.has_next().await);
        assert!(matches!(input.next().await, Some(Err(_))));
        assert!(!input.has_next().await);
    }
}
