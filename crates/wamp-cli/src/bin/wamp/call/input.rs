//! Standard input as the chunks of a call.

use std::io::{BufRead, Read, StdinLock};
use std::str::FromStr;
use std::thread;

use bytesize::ByteSize;
use serde_json::Deserializer;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::arguments::json_or_string;
use crate::document::Document;
use crate::fail::Fail;

/// The most bytes of a binary chunk, by default.
const CHUNK: usize = 64 << 10;

/// How standard input is cut into items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
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
            (_, Some(size)) => match size.parse::<ByteSize>().map(|size| usize::try_from(size.as_u64())) {
                Ok(Ok(size @ 1..)) => Ok(Self::Raw(size)),
                _ => Err(format!("{size:?} is not a size such as 64KiB")),
            },
            _ => Err("one of lines, json, raw and raw=SIZE".to_owned()),
        }
    }
}

/// The items of standard input. A thread reads them, at most two ahead of the one that is sent.
pub(super) struct Input {
    items: Receiver<Result<Document, String>>,
    /// An item that was read to know whether there is one.
    next: Option<Result<Document, String>>,
}

impl Input {
    pub(super) fn open(format: Format) -> Self {
        let (sender, items) = channel(1);
        // It ends with the program: nothing can interrupt a read of a terminal.
        thread::spawn(move || read(format, std::io::stdin().lock(), &sender));
        Self { items, next: None }
    }

    /// The next item; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Document, Fail>> {
        let item = match self.next.take() {
            Some(item) => Some(item),
            None => self.items.recv().await,
        };
        item.map(|item| item.map_err(|error| Fail::usage(format!("standard input: {error}"))))
    }

    /// Whether there is a further item, or an error. Waits until that is known. May be dropped at any time.
    pub(super) async fn has_next(&mut self) -> bool {
        if self.next.is_none() {
            self.next = self.items.recv().await;
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
