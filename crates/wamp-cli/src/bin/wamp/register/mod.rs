//! `wamp register`: registers a procedure, and answers its calls.

mod program;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use wamp_client::{Failure, Invocation, InvocationPolicy, Payload, Session, Value};

use crate::connect::{Lasting, connect, unless_ended};
use crate::document::Document;
use crate::fail::{Code, Fail};
use crate::given_options::GivenOptions;
use crate::groups;
use crate::options::{Global, Match};
use crate::output;
use crate::register::program::Program;
use crate::signals::Signals;

/// Time for calls under way after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(5);

/// Time after that for the programs to end.
const PROGRAMS: Duration = Duration::from_secs(7);

/// Register a procedure and answer its calls: with a program for each call, with its own arguments, or with a fixed value.
///
/// When the connection is lost it connects and registers again. On Ctrl-C it takes the procedure back and waits for calls
/// under way, for 5 s at most.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("answer").required(true).args(["command", "echo", "reply"]))]
pub(crate) struct Register {
    /// Procedure.
    uri: String,

    /// Answer with this program, run by `sh -c` for each call. It reads the arguments as one JSON list in a line of standard
    /// input, and each further chunk of a call in chunks as another line. Each line that it prints is a progressive result,
    /// and the last line the result. WAMP_ARGS_JSON, WAMP_KWARGS_JSON (both up to 64 KiB), WAMP_PROCEDURE and WAMP_CALLER
    /// (if disclosed) are in its environment. An exit code other than 0 is the error wamp.error.runtime_error. When the call
    /// is canceled it gets SIGTERM, and 5 s later SIGKILL.
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,

    /// Answer with the arguments of the call.
    #[arg(long)]
    echo: bool,

    /// Answer with this value.
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    reply: Option<String>,

    /// Take all output of the program as one string.
    #[arg(long, requires = "command")]
    whole: bool,

    /// Number of calls that are answered at a time; others wait. By default 1 with --command, otherwise without a limit.
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,

    /// End after N calls.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// How the URI matches that of a call: exact, prefix, or wildcard, where an empty component matches any.
    #[arg(long = "match", value_name = "POLICY", default_value = "exact")]
    policy: Match,

    /// Share the procedure with other callees that register it with the same policy.
    #[arg(long, value_name = "POLICY")]
    invoke: Option<Invoke>,

    /// Ask the router to show the identity of callers.
    #[arg(long)]
    disclose_caller: bool,

    #[command(flatten)]
    options: GivenOptions,
}

/// The callee that answers a call, of several callees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Invoke {
    Single,
    #[value(name = "roundrobin")]
    RoundRobin,
    Random,
    First,
    Last,
}

impl From<Invoke> for InvocationPolicy {
    fn from(invoke: Invoke) -> Self {
        match invoke {
            Invoke::Single => InvocationPolicy::Single,
            Invoke::RoundRobin => InvocationPolicy::RoundRobin,
            Invoke::Random => InvocationPolicy::Random,
            Invoke::First => InvocationPolicy::First,
            Invoke::Last => InvocationPolicy::Last,
        }
    }
}

pub(crate) async fn run(register: Register, global: &Global, mut signals: Signals) -> Result<Code, Fail> {
    let (answer, concurrency) = answer(&register)?;
    let options = register.options.read()?;
    let calls = Calls::new(register.count);
    let session = connect(global, Lasting::Always, &mut signals).await?;
    let serving = serve(&register, &options, &session, (answer, concurrency), &calls);
    let mut ended = unless_ended(&mut signals, serving).await;
    if matches!(ended, Ok(Ok(()))) {
        // The last calls may take their time, unless a signal arrives.
        ended = unless_ended(&mut signals, session.drain(Duration::MAX)).await.map(|_| Ok(()));
    }
    if !matches!(ended, Ok(Ok(()))) {
        session.drain(DRAIN).await;
    }
    let _ = tokio::time::timeout(PROGRAMS, calls.without_running()).await;
    groups::kill_all();
    ended??;
    Ok(Code::Done)
}

/// How calls are answered.
enum Answer {
    Program(Program),
    Echo,
    Value(Document),
}

/// The answer, and the number of calls that are answered at a time.
fn answer(register: &Register) -> Result<(Answer, Option<usize>), Fail> {
    if register.concurrency == Some(0) {
        return Err(Fail::usage("--concurrency: at least 1"));
    }
    Ok(match (&register.command, &register.reply) {
        (Some(command), _) => {
            let program = Program::new(command.clone(), register.whole);
            (Answer::Program(program), Some(register.concurrency.unwrap_or(1)))
        }
        (None, Some(json)) => {
            let value = Document::from_json(json)
                .map_err(|error| Fail::usage(format!("--reply: {error}: {json}")))?;
            (Answer::Value(value), register.concurrency)
        }
        (None, None) => (Answer::Echo, register.concurrency),
    })
}

/// Registers the procedure and waits for the last call.
async fn serve(
    register: &Register,
    options: &[(String, Document)],
    session: &Session,
    (answer, concurrency): (Answer, Option<usize>),
    calls: &Calls,
) -> Result<(), Fail> {
    let (answer, counted) = (Arc::new(answer), calls.clone());
    let handler = move |call: Invocation| {
        let (answer, calls) = (answer.clone(), counted.clone());
        async move {
            let _running = calls.begin()?;
            answer.answer(call).await
        }
    };
    let mut making = session.register(register.uri.clone(), handler).matching(register.policy.into());
    if let Some(invocations) = concurrency {
        making = making.concurrency(invocations);
    }
    if let Some(invoke) = register.invoke {
        making = making.invoke(invoke.into());
    }
    if register.disclose_caller {
        making = making.disclose_caller();
    }
    for (key, value) in options {
        making = making.option(key, value);
    }
    let registration = making.await.map_err(|error| Fail::request(&register.uri, &error))?;
    output::note(&format!("registered {}", register.uri));
    tokio::select! {
        () = calls.all_begun() => Ok(()),
        ended = registration.closed() => Err(Fail::ended(&register.uri, &ended)),
    }
}

impl Answer {
    async fn answer(&self, call: Invocation) -> Result<Payload, Failure> {
        match self {
            Answer::Program(program) => program.run(call).await,
            Answer::Value(value) => {
                let serializer = call.session().serializer();
                Ok(Payload::new(serializer, &Value(value))?)
            }
            Answer::Echo if call.is_in_chunks() => {
                let mut chunks = call.chunks::<Payload>();
                while let Some(chunk) = chunks.try_next().await? {
                    if let Some(progress) = call.progress() {
                        progress.send(chunk).await?;
                    }
                }
                Ok(Payload::empty())
            }
            Answer::Echo => Ok(call.payload().clone()),
        }
    }
}

/// The calls that were answered and are being answered.
#[derive(Clone)]
struct Calls {
    limit: Option<u64>,
    begun: Arc<AtomicU64>,
    running: Arc<watch::Sender<u64>>,
}

impl Calls {
    fn new(limit: Option<u64>) -> Self {
        Self { limit, begun: Arc::default(), running: Arc::new(watch::Sender::new(0)) }
    }

    /// Begins a call, which lasts until this is dropped.
    fn begin(&self) -> Result<RunningCall, Failure> {
        let before = self.begun.fetch_add(1, Ordering::Relaxed);
        if self.limit.is_some_and(|limit| before >= limit) {
            return Err(Failure::new("wamp.error.unavailable").arg("the callee is ending"));
        }
        self.running.send_modify(|running| *running += 1);
        Ok(RunningCall(self.running.clone()))
    }

    /// Waits until as many calls have begun as there are to be.
    async fn all_begun(&self) {
        let Some(limit) = self.limit else { return std::future::pending().await };
        let is_enough = |_: &u64| self.begun.load(Ordering::Relaxed) >= limit;
        // The sender lives as long as this.
        let _ = self.running.subscribe().wait_for(is_enough).await;
    }

    async fn without_running(&self) {
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }
}

/// A call that is being answered.
struct RunningCall(Arc<watch::Sender<u64>>);

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}
