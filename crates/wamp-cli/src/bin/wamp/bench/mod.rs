//! `wamp bench`: a load for a router, and its times.
//!
//! Both ends of the load are sessions of this program, so it needs nothing but a router. The program `wamp-bench` of this
//! project compares routers and scenarios; this one measures the router that is there.

mod call;
mod join;
mod measure;
mod publish;
mod stream;

use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Subcommand};
use futures_util::future::try_join_all;
use wamp_client::{Bytes, Connect, Session};

use crate::bench::measure::{Measured, Pace, Report, Times};
use crate::connect::{Lasting, Settings, connect_with, prepare, unless_ended};
use crate::fail::{Code, Fail};
use crate::options::{Global, time};
use crate::output::{Form, Output};
use crate::signals::Signals;

/// The most bytes of a payload.
const MAX_SIZE: u64 = 1 << 20;

/// Put a load on the router and show its rates and latencies. Both ends are sessions of this command.
///
/// With --rate the load has a schedule, and a latency counts from the time that the schedule says, so that a pause of the
/// router counts for all that should have happened in it. Without it the load is as fast as the router takes it, and latencies
/// are those of full queues. A load that is still behind its schedule 10 s after its time ends; the rest counts as lost.
#[derive(Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Call a procedure that answers with progressive results, and count these.
    Stream(Load),
    /// Call a procedure that echoes its argument. The callee is a session of its own.
    Call(Load),
    /// Publish events, and count those that arrive.
    Publish {
        #[command(flatten)]
        load: Load,

        /// Number of subscribers, each a session of its own.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        subscribers: u64,

        /// Wait for the router to confirm each event.
        #[arg(long)]
        ack: bool,
    },
    /// Connect, join the realm, and leave it.
    Join(Load),
}

#[derive(Args, Clone)]
struct Load {
    /// Time of the load.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    time: Duration,

    /// Number of streams, calls, publishers or joins at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    concurrency: u64,

    /// Operations in a second, all together. By default as many as possible.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: Option<u64>,

    /// Bytes of each payload.
    #[arg(long, value_name = "SIZE", default_value = "16B", value_parser = size)]
    size: usize,

    /// First part of the URIs of the procedure or topic, to which this session has to have the right.
    #[arg(long, value_name = "URI", default_value = "com.example.wamp_bench")]
    uri: String,
}

fn size(text: &str) -> Result<usize, String> {
    match text.parse::<ByteSize>().map(|size| size.as_u64()) {
        Ok(size @ 0..=MAX_SIZE) => Ok(size as usize),
        Ok(size) => Err(format!("{size} bytes are more than 1 MiB")),
        Err(_) => Err("not a size such as 64KiB".to_owned()),
    }
}

pub(crate) async fn run(bench: Bench, global: &Global, signals: Signals) -> Result<Code, Fail> {
    let stage = Stage { settings: Settings::new(global)?, global, signals };
    let mut signals = stage.signals.clone();
    let measuring = async {
        match bench.what {
            What::Stream(load) => stream::run(&stage, &load).await,
            What::Call(load) => call::run(&stage, &load).await,
            What::Publish { load, subscribers, ack } => publish::run(&stage, &load, subscribers, ack).await,
            What::Join(load) => join::run(&stage, &load).await,
        }
    };
    let report: Report = unless_ended(&mut signals, measuring).await??;
    let mut output = Output::new(Form::new(global, false));
    report.show(&mut output)?;
    output.flush()?;
    Ok(Code::Done)
}

/// The source of the sessions of every load.
struct Stage<'a> {
    settings: Settings,
    global: &'a Global,
    signals: Signals,
}

impl Stage<'_> {
    async fn join(&self) -> Result<Session, Fail> {
        connect_with(&self.settings, self.global, Lasting::Once, &mut self.signals.clone()).await
    }

    /// The parts of a session before the connection.
    async fn prepare(&self) -> Result<Connect, Fail> {
        prepare(&self.settings, self.global, Lasting::Once, &mut self.signals.clone()).await
    }
}

impl Load {
    /// Runs the workers, each until the load ends.
    async fn measure<F: Future<Output = Result<Times, Fail>>>(
        &self,
        pace: &Pace,
        worker: impl Fn() -> F,
    ) -> Result<Measured, Fail> {
        let times = try_join_all((0..self.concurrency).map(|_| worker())).await?;
        let time = Duration::from_nanos(pace.now());
        Ok(Measured { time, times: Times::sum(times), lost: pace.omitted() })
    }

    fn pace(&self) -> Pace {
        Pace::new(self.time, self.rate)
    }

    /// A URI of this session's own.
    fn uri(&self, session: &Session) -> String {
        format!("{}.{}", self.uri, session.id().get())
    }

    fn payload(&self) -> Bytes {
        vec![b'x'; self.size].into()
    }

    /// Words about the load.
    fn about(&self) -> String {
        let rate = self.rate.map(|rate| format!(", {rate}/s wanted")).unwrap_or_default();
        format!("{} at a time, {} each{rate}", self.concurrency, ByteSize(self.size as u64).display().iec())
    }
}
