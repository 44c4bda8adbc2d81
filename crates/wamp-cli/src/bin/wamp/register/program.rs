//! A program for each call: its lines are the results.

use std::collections::VecDeque;
use std::io::Write;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use wamp_client::{ChunkError, Failure, Invocation, Payload, ProgressSender, Value, uri};

use crate::document::{Arguments, Document};
use crate::groups::Group;
use crate::shell::{self, write_line};

/// Time from SIGTERM to SIGKILL.
const TERM: Duration = Duration::from_secs(5);

/// The longest line, or whole output, that becomes a result, in bytes.
const OUTPUT: u64 = 16 << 20;

/// The part of standard error that an error shows, in bytes.
const ERRORS: usize = 4 << 10;

/// A command of the shell that answers calls.
pub(super) struct Program {
    command: String,
    /// All of its output is one string.
    is_whole: bool,
}

impl Program {
    pub(super) fn new(command: String, is_whole: bool) -> Self {
        Self { command, is_whole }
    }

    /// Answers a call.
    pub(super) async fn run(&self, call: Invocation) -> Result<Payload, Failure> {
        let arguments = Arguments::read(call.payload())?;
        let (mut child, mut group) = Group::spawn(&mut self.command(&call, &arguments))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Failure::new(uri::RUNTIME_ERROR).arg("the command has no pipes"));
        };
        let mut pipes = Pipes { stdout: BufReader::new(stdout), stderr };
        let ended = tokio::select! {
            ended = self.communicate(&mut child, &mut pipes, &call, arguments) => ended,
            reason = call.canceled() => Err(Failure::new(uri::CANCELED).arg(reason.to_string())),
        };
        // It has an id until its end is known.
        if ended.is_err() && child.id().is_some() {
            // A program that writes while it ends gets no SIGPIPE and does not wait.
            tokio::select! {
                () = group.end(&mut child, TERM) => {}
                () = pipes.drain() => {}
            }
        }
        group.release();
        ended
    }

    fn command(&self, call: &Invocation, arguments: &Arguments) -> Command {
        let mut command = shell::command(&self.command, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("WAMP_PROCEDURE", call.procedure().as_str());
        match call.caller() {
            Some(caller) => command.env("WAMP_CALLER", caller.session.get().to_string()),
            None => command.env_remove("WAMP_CALLER"),
        };
        command
    }

    /// Writes the input, reads the output, and waits for the end.
    async fn communicate(
        &self,
        child: &mut Child,
        pipes: &mut Pipes,
        call: &Invocation,
        arguments: Arguments,
    ) -> Result<Payload, Failure> {
        let Some(stdin) = child.stdin.take() else {
            return Err(Failure::new(uri::RUNTIME_ERROR).arg("the command has no pipes"));
        };
        let input = write_input(stdin, call, arguments.args);
        let Pipes { stdout, stderr } = pipes;
        let output = async {
            match self.is_whole {
                true => whole(stdout).await,
                false => lines(stdout, call.progress()).await,
            }
        };
        let errors = async { Ok(last_errors(stderr).await) };
        // Output that cannot be sent ends the call, also while the program goes on.
        let read = async { tokio::try_join!(output, errors) };
        tokio::pin!(input, read);
        // A program that does not read all of its input may end all the same.
        let (output, errors) = tokio::select! {
            biased;
            read = &mut read => read,
            written = &mut input => {
                written?;
                read.await
            }
        }?;
        let status = child.wait().await?;
        match (status.success(), output) {
            (true, Some(value)) => Ok(Payload::new(call.session().serializer(), &Value(&value))?),
            (true, None) => Ok(Payload::empty()),
            (false, _) => Err(failure(status, &errors)),
        }
    }
}

/// The pipes from a program.
struct Pipes {
    stdout: BufReader<ChildStdout>,
    stderr: ChildStderr,
}

impl Pipes {
    /// Reads until this is dropped. Standard error is passed on.
    async fn drain(&mut self) {
        let mut sink = tokio::io::sink();
        let _ = tokio::join!(tokio::io::copy_buf(&mut self.stdout, &mut sink), last_errors(&mut self.stderr));
        std::future::pending().await
    }
}

/// The error for a program that has failed.
fn failure(status: ExitStatus, errors: &str) -> Failure {
    let failure = Failure::new(uri::RUNTIME_ERROR).arg(format!("the command has ended with {status}"));
    failure.kwarg("code", status.code()).kwarg("stderr", errors)
}

/// Writes the arguments, and each further chunk, as a line.
async fn write_input(
    mut stdin: impl AsyncWrite + Unpin,
    call: &Invocation,
    args: Vec<Document>,
) -> Result<(), ChunkError> {
    let mut is_read = write_line(&mut stdin, args).await;
    if call.is_in_chunks() {
        let mut chunks = call.more_chunks::<Payload>();
        while let Some(chunk) = chunks.try_next().await? {
            if is_read && !chunk.is_empty() {
                is_read = write_line(&mut stdin, chunk.args()?).await;
            }
        }
    }
    Ok(())
}

/// Sends each line but the last as a progressive result, and returns the last one.
async fn lines(
    stdout: &mut (impl AsyncBufRead + Unpin),
    progress: Option<ProgressSender>,
) -> Result<Option<Document>, Failure> {
    let mut last = None;
    loop {
        let mut line = Vec::new();
        let len = (&mut *stdout).take(OUTPUT).read_until(b'\n', &mut line).await?;
        if len == 0 {
            return Ok(last);
        }
        if len as u64 == OUTPUT && !line.ends_with(b"\n") {
            return Err(too_long());
        }
        let value = value(line.strip_suffix(b"\n").unwrap_or(&line));
        if let (Some(earlier), Some(progress)) = (last.replace(value), &progress) {
            progress.send(Value(earlier)).await?;
        }
    }
}

/// A line as a value: JSON, a string, or binary.
fn value(line: &[u8]) -> Document {
    match std::str::from_utf8(line) {
        Ok(text) => Document::from_json(text).unwrap_or_else(|_| Document::Text(text.to_owned())),
        Err(_) => Document::Binary(line.to_vec()),
    }
}

async fn whole(stdout: &mut (impl AsyncRead + Unpin)) -> Result<Option<Document>, Failure> {
    let mut bytes = Vec::new();
    stdout.take(OUTPUT + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > OUTPUT {
        return Err(too_long());
    }
    Ok(Some(
        String::from_utf8(bytes).map_or_else(|error| Document::Binary(error.into_bytes()), Document::Text),
    ))
}

fn too_long() -> Failure {
    Failure::new(uri::PAYLOAD_SIZE_EXCEEDED).arg("the command has printed more than 16 MiB for one result")
}

/// Passes standard error on, and returns the end of it.
async fn last_errors(stderr: &mut (impl AsyncRead + Unpin)) -> String {
    let mut last = VecDeque::new();
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = stderr.read(&mut buffer).await {
        let _ = std::io::stderr().write_all(&buffer[..len]);
        last.extend(&buffer[..len]);
        last.drain(..last.len().saturating_sub(ERRORS));
    }
    String::from_utf8_lossy(last.make_contiguous()).into_owned()
}
