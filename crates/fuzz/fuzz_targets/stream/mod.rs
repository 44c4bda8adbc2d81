//! A stream that delivers its input in pieces, and accepts everything written to it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wamp_transport::{Incoming, ReadHalf, Transport};

/// The number of bytes that arrive at a time.
#[derive(Clone, Copy, Debug)]
pub enum Pieces {
    /// All of it.
    All,
    /// This many bytes.
    Of(usize),
    /// 1, 2, … 7 bytes, then 1 again.
    Growing,
}

pub struct Stream {
    input: Vec<u8>,
    at: usize,
    pieces: Pieces,
    /// The answer to a handshake. It precedes the input as soon as the handshake is written.
    answer: Option<fn(&[u8]) -> Option<Vec<u8>>>,
    written: Vec<u8>,
}

impl Stream {
    pub fn new(input: &[u8], pieces: Pieces) -> Self {
        Self { input: input.to_vec(), at: 0, pieces, answer: None, written: Vec::new() }
    }

    #[allow(dead_code, reason = "for the target `websocket`")]
    /// Delivers nothing until `answer` returns an answer to the written bytes.
    pub fn answering(mut self, answer: fn(&[u8]) -> Option<Vec<u8>>) -> Self {
        self.answer = Some(answer);
        self
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.answer.is_some() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = match this.pieces {
            Pieces::All => usize::MAX,
            Pieces::Of(bytes) => bytes,
            Pieces::Growing => this.at % 7 + 1,
        };
        let len = piece.min(into.remaining()).min(this.input.len() - this.at);
        into.put_slice(&this.input[this.at..this.at + len]);
        this.at += len;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Some(answer) = this.answer {
            this.written.extend(bytes);
            if let Some(answer) = answer(&this.written) {
                this.input.splice(0..0, answer);
                this.answer = None;
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Runs a future on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// Everything that a transport reads until it fails, and how it fails. Runs are split into messages.
pub async fn read_all<T: Transport>(transport: T, runs: bool) -> (Vec<Incoming>, String) {
    let (mut read, _write) = transport.split();
    let mut came = Vec::new();
    let error = loop {
        let read = if runs { read.read_runs(&mut came).await } else { read.read(&mut came).await };
        if let Err(error) = read {
            break error.to_string();
        }
    };
    let taken_apart = came.into_iter().flat_map(|item| match item {
        Incoming::Run(run) => {
            run.messages().map(|range| Incoming::Message(run.buffer().slice(range))).collect::<Vec<_>>()
        }
        item => vec![item],
    });
    (taken_apart.collect(), error)
}
