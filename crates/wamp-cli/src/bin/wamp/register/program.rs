//! A program for each call: its lines are the results.

use std::collections::VecDeque;
use std::io::Write;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};
use tokio::process::{Child, Command};
use wamp_client::{ChunkError, Failure, Invocation, Payload, ProgressSender, Value, uri};

use crate::document::{Arguments, Document};

/// Time from SIGTERM to SIGKILL.
const TERM: Duration = Duration::from_secs(5);

/// The longest line, or whole output, that becomes a result, in bytes.
const OUTPUT: u64 = 16 << 20;

/// The part of standard error that an error shows, in bytes.
const ERRORS: usize = 4 << 10;

/// The longest arguments in the environment, in bytes.
const ENVIRONMENT: usize = 64 << 10;

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
        let mut child = self.command(&call, &arguments).spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let ended = tokio::select! {
            ended = self.communicate(&mut child, &call, arguments) => ended,
            reason = call.canceled() => Err(Failure::new(uri::CANCELED).arg(reason.to_string())),
        };
        // It has an id until its end is known.
        if ended.is_err() && child.id().is_some() {
            end(&mut child, group).await;
        }
        ended
    }

    fn command(&self, call: &Invocation, arguments: &Arguments) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(&self.command).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("WAMP_PROCEDURE", call.procedure().as_str());
        let args = Document::List(arguments.args.clone()).to_json();
        let kwargs = Document::Dict(arguments.kwargs.clone()).to_json();
        for (name, json) in [("WAMP_ARGS_JSON", args), ("WAMP_KWARGS_JSON", kwargs)] {
            match json.len() <= ENVIRONMENT {
                true => command.env(name, json),
                false => command.env_remove(name),
            };
        }
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
        call: &Invocation,
        arguments: Arguments,
    ) -> Result<Payload, Failure> {
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Failure::new(uri::RUNTIME_ERROR).arg("the command has no pipes"));
        };
        let input = write_input(stdin, call, arguments.args);
        let mut stdout = BufReader::new(stdout);
        let output = async {
            match self.is_whole {
                true => whole(&mut stdout).await,
                false => lines(&mut stdout, call.progress()).await,
            }
        };
        let errors = last_errors(stderr);
        let read = async { tokio::join!(output, errors) };
        tokio::pin!(input, read);
        // A program that does not read all of its input may end all the same.
        let (output, errors) = tokio::select! {
            biased;
            read = &mut read => read,
            written = &mut input => {
                written?;
                read.await
            }
        };
        let status = child.wait().await?;
        match (status.success(), output?) {
            (true, Some(value)) => Ok(Payload::new(call.session().serializer(), &Value(&value))?),
            (true, None) => Ok(Payload::empty()),
            (false, _) => Err(failure(status, &errors)),
        }
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

/// Returns whether the program still reads.
async fn write_line(stdin: &mut (impl AsyncWrite + Unpin), args: Vec<Document>) -> bool {
    let line = Document::List(args).to_json() + "\n";
    stdin.write_all(line.as_bytes()).await.is_ok() && stdin.flush().await.is_ok()
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
async fn last_errors(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut last = VecDeque::new();
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = stderr.read(&mut buffer).await {
        let _ = std::io::stderr().write_all(&buffer[..len]);
        last.extend(&buffer[..len]);
        last.drain(..last.len().saturating_sub(ERRORS));
    }
    String::from_utf8_lossy(last.make_contiguous()).into_owned()
}

/// Ends a program and its children.
async fn end(child: &mut Child, group: Option<Pid>) {
    let Some(group) = group else { return };
    // A group that has ended needs no signal.
    let _ = kill_process_group(group, Signal::TERM);
    let _ = tokio::time::timeout(TERM, child.wait()).await;
    // Also for children that the shell has left.
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait().await;
}
