//! `wamp call`: calls a procedure and prints its results.

mod bar;
mod fraction;
mod replies;

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use wamp_client::{
    CallError, CallHandle, CancelMode, ChunkSender, Payload, Reply, SendError, Session, Value,
};

use crate::arguments::GivenArguments;
use crate::call::bar::{Bar, Bars};
use crate::call::fraction::{Place, Places};
use crate::call::replies::Replies;
use crate::connect::{Lasting, connect, unless_ended};
use crate::document::{Arguments, Document};
use crate::fail::{Code, Fail};
use crate::given_options::GivenOptions;
use crate::input::{Format, Input};
use crate::options::{Global, time};
use crate::output::{Form, Object, Output};
use crate::signals::Signals;

/// Call a procedure. Each progressive result is a line on standard output, and the last result is the last line.
///
/// One value is printed as JSON, several as a list; a result without a value prints nothing. Ctrl-C cancels the call, a
/// second Ctrl-C leaves at once.
#[derive(clap::Args)]
pub(crate) struct Call {
    /// Procedure.
    uri: String,

    #[command(flatten)]
    arguments: GivenArguments,

    #[command(flatten)]
    options: GivenOptions,

    /// Take each ARG as a further procedure, and call all of them at the same time, with the arguments of --args and -k. The
    /// procedure and a tab stand before each value. The exit code is that of the first one that fails.
    #[arg(long, conflicts_with_all = ["string", "input"])]
    each: bool,

    /// Send standard input in chunks, while results are printed: lines (each an argument), json (documents one after another)
    /// or raw[=SIZE] (binary, 64 KiB at a time by default). It is read as fast as the callee takes it.
    #[arg(long = "in", value_name = "FORMAT", conflicts_with = "no_progress")]
    input: Option<Format>,

    /// Do not ask for progressive results.
    #[arg(long)]
    no_progress: bool,

    /// Print strings and binary as they are, without quotes and base64. Binary ends without a line feed.
    #[arg(long, conflicts_with_all = ["json", "each"])]
    raw: bool,

    /// End after N results: cancel the call and exit with 0.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Time that the callee may take for each result (the timeout of the call).
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,

    /// Time that all of the call may take.
    #[arg(long, value_name = "TIME", value_parser = time)]
    max_time: Option<Duration>,

    /// How Ctrl-C cancels: kill lets the callee answer, killnowait interrupts it and does not wait, skip leaves it alone.
    #[arg(long, value_name = "MODE", default_value = "killnowait")]
    cancel_mode: Mode,

    /// Time for the end of the call after Ctrl-C.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    cancel_wait: Duration,

    /// Bar on standard error that shows how far the call is, if that is a terminal: a fraction, where the results show one, or
    /// else their number and rate. A result shows it with done (or current, completed, n) and total, percent or fraction in a
    /// dict or in keywords, or as two numbers; message, step or status is its label.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    bar: ShowBar,

    /// JSON pointer to the number that is done in each result, such as /0 or /rows/done.
    #[arg(long, value_name = "POINTER")]
    done: Option<Place>,

    /// Total for the bar: a number, or a JSON pointer to it in each result.
    #[arg(long, value_name = "NUMBER|POINTER")]
    total: Option<Place>,

    /// Show the identity of this session to the callee, if the router allows it.
    #[arg(long)]
    disclose_me: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ShowBar {
    Auto,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    Kill,
    #[value(name = "killnowait")]
    KillNoWait,
    Skip,
}

impl From<Mode> for CancelMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Kill => CancelMode::Kill,
            Mode::KillNoWait => CancelMode::KillNoWait,
            Mode::Skip => CancelMode::Skip,
        }
    }
}

pub(crate) async fn run(call: Call, global: &Global, mut signals: Signals) -> Result<Code, Fail> {
    let mut arguments = call.arguments.read_for(call.each)?;
    let options = call.options.read()?;
    let session = connect(global, Lasting::Once, &mut signals).await?;
    let input = match call.input {
        Some(format) => {
            let opened = unless_ended(&mut signals, first_input(format, &mut arguments)).await;
            match opened.and_then(|opened| opened) {
                Ok(input) => input,
                Err(fail) => {
                    session.leave().await;
                    return Err(fail);
                }
            }
        }
        None => None,
    };
    let bars = (call.bar == ShowBar::Auto && !global.quiet).then(Bars::new).flatten();
    let output = Output::new(Form::new(global, call.raw));
    let context = Context {
        call: &call,
        session: &session,
        arguments,
        options,
        output: RefCell::new(output.above(bars.as_ref().map(Bars::drawn))),
        bars,
    };
    let mut input = Some(input).filter(|_| !call.each);
    let uris = std::iter::once(&*call.uri).chain(call.arguments.texts().filter(|_| call.each));
    let calls: Vec<_> = uris.map(|uri| context.run(uri, input.take().flatten(), signals.clone())).collect();
    let ended = join_all(calls).await;
    session.leave().await;
    // Of several errors the first one ends the program, and the others are printed before it.
    let mut result = Ok(Code::Done);
    for other in ended {
        if matches!(result, Ok(Code::Done)) {
            result = other;
        } else if let Err(fail) = other {
            fail.report();
        }
    }
    result
}

/// Opens standard input. Without other arguments its first item is the argument of the message that makes the call.
///
/// Returns the rest, if there is any.
async fn first_input(format: Format, arguments: &mut Arguments) -> Result<Option<Input>, Fail> {
    let mut input = Input::open(format);
    if *arguments == Arguments::default() {
        arguments.args.extend(input.next().await.transpose()?);
    }
    Ok(if input.has_next().await { Some(input) } else { None })
}

/// The state that the calls of one command share.
struct Context<'a> {
    call: &'a Call,
    session: &'a Session,
    arguments: Arguments,
    options: Vec<(String, Document)>,
    output: RefCell<Output>,
    bars: Option<Bars>,
}

impl Context<'_> {
    /// Makes a call and shows its results.
    async fn run(&self, uri: &str, input: Option<Input>, mut signals: Signals) -> Result<Code, Fail> {
        let upload_fault = UploadFault::default();
        let mut running = Running {
            context: self,
            uri,
            shown: 0,
            start: Instant::now(),
            upload_fault: upload_fault.clone(),
            bar: None,
        };
        let replies = match begin(self, uri, input, &upload_fault).await {
            Ok(replies) => replies,
            Err(error) => return Err(running.failed(&error)),
        };
        let places = Places { done: self.call.done.clone(), total: self.call.total.clone() };
        running.bar = self.bars.as_ref().map(|bars| bars.add(uri, places));
        running.run(replies, &mut signals).await
    }
}

/// Makes the call.
async fn begin(
    context: &Context<'_>,
    uri: &str,
    input: Option<Input>,
    upload_fault: &UploadFault,
) -> Result<Replies, CallError> {
    let Context { call, session, arguments, options, .. } = context;
    let mut making = session.call(uri.to_owned());
    for value in &arguments.args {
        making = making.arg(value);
    }
    for (key, value) in &arguments.kwargs {
        making = making.kwarg(key, value);
    }
    if let Some(timeout) = call.timeout {
        making = making.timeout(timeout);
    }
    if let Some(limit) = call.max_time {
        making = making.deadline(limit);
    }
    if call.disclose_me {
        making = making.disclose_me();
    }
    for (key, value) in options {
        making = making.option(key, value);
    }
    if call.no_progress {
        return Ok(Replies::single(making));
    }
    let Some(input) = input else {
        return Ok(Replies::stream(making.progressive::<Payload>().await?));
    };
    let (chunks, results) = making.duplex::<Payload>().await?;
    let upload_fault = upload_fault.clone();
    tokio::spawn(async move {
        upload(chunks, input, &upload_fault).await;
    });
    Ok(Replies::stream(results))
}

/// Sends the input in chunks, the last one as such. A fault is noted before the sender is dropped, which cancels the call.
async fn upload(mut chunks: ChunkSender, mut input: Input, fault: &UploadFault) {
    while let Some(item) = input.next().await {
        let item = match item {
            Ok(item) => Value(item),
            Err(fail) => return fault.set(fail),
        };
        let sent = match input.has_next().await {
            true => chunks.send(item).await,
            false => return fault.note(chunks.finish(item).await),
        };
        if sent.is_err() {
            return fault.note(sent);
        }
    }
}

/// Why the input cannot be sent to its end.
#[derive(Clone, Default)]
struct UploadFault(Arc<Mutex<Option<Fail>>>);

impl UploadFault {
    fn set(&self, fail: Fail) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fail);
    }

    fn note(&self, sent: Result<(), SendError>) {
        match sent {
            // The results say why it is over.
            Ok(()) | Err(SendError::Over) => {}
            Err(error) => self.set(Fail::usage(format!("standard input: {error}"))),
        }
    }

    fn take(&self) -> Option<Fail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A call that is under way.
struct Running<'a> {
    context: &'a Context<'a>,
    uri: &'a str,
    /// The number of results so far.
    shown: u64,
    start: Instant,
    upload_fault: UploadFault,
    bar: Option<Bar>,
}

impl Running<'_> {
    async fn run(&mut self, mut replies: Replies, signals: &mut Signals) -> Result<Code, Fail> {
        let handle = replies.handle();
        let call = self.context.call;
        loop {
            // Lines are written when there is no further result at the moment.
            let next = tokio::select! {
                biased;
                code = signals.received() => return self.cancel(replies, &handle, code).await,
                next = replies.next() => next,
                () = std::future::ready(()) => {
                    let wait = self.context.output.borrow_mut().flush_soon()?;
                    tokio::select! {
                        code = signals.received() => return self.cancel(replies, &handle, code).await,
                        next = replies.next() => next,
                        () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)) => continue,
                    }
                }
            };
            if let Some(code) = self.handle(next)? {
                self.end_bar();
                self.context.output.borrow_mut().flush()?;
                return Ok(code);
            }
            if call.count.is_some_and(|count| self.shown >= count) {
                handle.cancel(call.cancel_mode.into());
                self.end_bar();
                let mut output = self.context.output.borrow_mut();
                if output.form() == Form::Objects {
                    output.object(self.object("canceled"))?;
                }
                output.flush()?;
                return Ok(Code::Done);
            }
        }
    }

    fn end_bar(&mut self) {
        self.bar = None;
    }

    /// Cancels the call and waits for its end.
    async fn cancel(&mut self, mut replies: Replies, handle: &CallHandle, code: Code) -> Result<Code, Fail> {
        handle.cancel(self.context.call.cancel_mode.into());
        let ended = tokio::time::timeout(self.context.call.cancel_wait, async {
            loop {
                match replies.next().await {
                    Some(Err(CallError::Canceled { .. })) | None => return self.canceled(),
                    // The callee may answer otherwise, which is shown. The exit code says what this end has done.
                    next => match self.handle(next) {
                        Ok(None) => drop(self.context.output.borrow_mut().flush_soon()?),
                        Ok(Some(_)) => return Ok(()),
                        Err(fail) if fail.code() == Code::Done => return Err(fail),
                        Err(fail) => {
                            fail.report();
                            return Ok(());
                        }
                    },
                }
            }
        })
        .await;
        self.end_bar();
        match ended {
            Ok(ended) => ended?,
            // The time for the answer to CANCEL is over.
            Err(_) => self.canceled()?,
        }
        self.context.output.borrow_mut().flush()?;
        Ok(code)
    }

    fn canceled(&mut self) -> Result<(), Fail> {
        self.end_bar();
        let mut output = self.context.output.borrow_mut();
        match output.form() {
            Form::Objects => output.object(self.object("canceled")),
            _ => {
                output.flush()?;
                crate::output::note(&format!("canceled: {}", self.uri));
                Ok(())
            }
        }
    }

    /// Shows a reply. Returns the exit code with the last one.
    fn handle(&mut self, next: Option<Result<Reply<Payload>, CallError>>) -> Result<Option<Code>, Fail> {
        match next {
            Some(Ok(Reply::Progress(payload))) => {
                if let Some(bar) = &self.bar {
                    bar.note(&payload);
                }
                self.show("progress", &payload).map(|()| None)
            }
            Some(Ok(Reply::Result(payload))) => self.show("result", &payload).map(|()| Some(Code::Done)),
            Some(Err(error)) => {
                self.end_bar();
                Err(match self.upload_fault.take() {
                    Some(fault) => self.input_failed(fault),
                    None => self.failed(&error),
                })
            }
            // Not reached: a last result or an error is before it.
            None => Ok(Some(Code::Done)),
        }
    }

    /// Shows an error as the end of the call.
    fn failed(&self, error: &CallError) -> Fail {
        let kind = match error {
            CallError::Canceled { .. } => "canceled",
            _ => "error",
        };
        let mut object = self.object(kind);
        if let Some(uri) = error.uri() {
            object = object.text("error", uri.as_str());
        }
        if let Some(Ok(arguments)) = error.payload().map(Arguments::read) {
            object = object.arguments(arguments);
        }
        self.ended(object.text("message", &error.to_string()), Fail::call(self.uri, error))
    }

    /// Shows a fault of the input as the end of the call.
    fn input_failed(&self, fault: Fail) -> Fail {
        self.ended(self.object("error").text("message", fault.text()), fault)
    }

    /// Writes the last object. Returns the failure, or that of the output.
    fn ended(&self, object: Object, fail: Fail) -> Fail {
        let mut output = self.context.output.borrow_mut();
        let shown = match output.form() {
            Form::Objects => output.object(object),
            _ => Ok(()),
        };
        shown.and_then(|()| output.flush()).err().unwrap_or(fail)
    }

    fn show(&mut self, kind: &str, payload: &Payload) -> Result<(), Fail> {
        self.shown += 1;
        let arguments = Arguments::read(payload).map_err(|error| self.failed(&CallError::Decode(error)))?;
        let mut output = self.context.output.borrow_mut();
        match (output.form(), self.context.call.each) {
            (Form::Objects, _) => output.object(self.object(kind).arguments(arguments)),
            (_, true) => {
                let value = arguments.into_value().as_ref().map(Document::to_json).unwrap_or_default();
                output.line(&format!("{}\t{value}", self.uri))
            }
            (_, false) => output.value(arguments),
        }
    }

    fn object(&self, kind: &str) -> Object {
        let ms = i128::try_from(self.start.elapsed().as_millis()).unwrap_or(i128::MAX);
        let object = Object::new(kind);
        match self.context.call.each {
            true => object.text("procedure", self.uri).number("ms", ms),
            false => object.number("ms", ms),
        }
    }
}
