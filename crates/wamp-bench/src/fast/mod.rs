//! The scenarios that take seconds.

mod calls;
mod case;
mod many;
mod registrations;
mod sessions;
mod stream;

use std::time::Duration;

use crate::Failed;
use crate::null::Null;
use crate::options::{Options, Scenario, Transport};
use crate::report::{Row, say};

use case::Case;

#[cfg(feature = "peers")]
pub(crate) use {many::fairness, stream::take_all};

/// The parameters of all scenarios.
struct Bench<'a> {
    options: &'a Options,
    null: Null,
}

impl Bench<'_> {
    /// The time to run before measuring.
    fn warm_up(&self) -> Duration {
        self.options.secs / 5
    }

    /// Lets the router come to rest.
    async fn settle(&self) {
        tokio::time::sleep(self.options.secs.min(Duration::from_millis(500))).await;
    }
}

/// One row of the table.
enum Figure {
    Null(Case),
    Stream(Case),
    Fan(Case),
    Calls(Case, usize),
    Latency(Case),
    Idle(Transport),
    Join(Transport),
    Registrations(registrations::Match),
}

/// Prints a table of these scenarios, or of all. Returns whether nothing was lost and nothing failed.
pub(crate) async fn run(options: &Options, scenarios: &[Scenario]) -> Result<bool, Failed> {
    use Scenario::{Calls, Fan, Idle, Join, Latency, Registrations, Stream};
    let all = [Stream, Fan, Calls, Latency, Idle, Join, Registrations];
    let scenarios = if scenarios.is_empty() { &all } else { scenarios };
    let bench = Bench { options, null: Null::start().await? };
    say(Row::HEAD);
    let mut passed = true;
    for figure in scenarios.iter().flat_map(|scenario| figures(options, *scenario)) {
        passed &= print(&bench, &figure).await;
    }
    Ok(passed)
}

fn figures(options: &Options, scenario: Scenario) -> Vec<Figure> {
    let cases = |sizes: &[usize]| Case::all(options, sizes);
    let transports = || Case::transports(options).into_iter();
    match scenario {
        Scenario::Null => cases(&[16, 1024, 65_536]).into_iter().map(Figure::Null).collect(),
        Scenario::Stream => {
            let asked = cases(&[16, 1024, 65_536]).into_iter();
            asked.chain(Case::others(options)).map(Figure::Stream).collect()
        }
        Scenario::Fan => cases(&[16]).into_iter().map(Figure::Fan).collect(),
        Scenario::Calls => {
            let both = |case: Case| [Figure::Calls(case, 1), Figure::Calls(case, 64)];
            cases(&[16]).into_iter().flat_map(both).collect()
        }
        Scenario::Latency => cases(&[16]).into_iter().map(Figure::Latency).collect(),
        Scenario::Idle => transports().map(Figure::Idle).collect(),
        Scenario::Join => transports().map(Figure::Join).collect(),
        Scenario::Registrations => registrations::Match::ALL.map(Figure::Registrations).into(),
        // Slow ones have tables of their own.
        _ => Vec::new(),
    }
}

impl Figure {
    fn name(&self, options: &Options) -> String {
        match self {
            Figure::Null(case) => format!("null, {} B", case.payload),
            Figure::Stream(case) => format!("stream, {case}"),
            Figure::Fan(case) => format!("256 streams over 16 connections, {case}"),
            Figure::Calls(case, 1) => format!("calls one at a time, {case}"),
            Figure::Calls(case, many) => format!("calls, {many} outstanding, {case}"),
            Figure::Latency(case) => format!("one result a millisecond, {case}"),
            Figure::Idle(transport) => format!("{} idle sessions, {transport:?}", options.sessions),
            Figure::Join(transport) => format!("sessions joined, {transport:?}"),
            Figure::Registrations(policy) => {
                format!("calls among {} registrations, {}", options.registrations, policy.name())
            }
        }
    }

    async fn measure(&self, bench: &Bench<'_>) -> Result<Row, Failed> {
        match *self {
            Figure::Null(case) => bench.null.stream(case.frame()?, bench.options.secs).await,
            Figure::Stream(case) => stream::stream(bench, case).await,
            Figure::Fan(case) => many::fan(bench, case).await,
            Figure::Calls(case, many) => calls::calls(bench, case, many).await,
            Figure::Latency(case) => stream::latency(bench, case).await,
            Figure::Idle(transport) => sessions::idle(bench, transport).await,
            Figure::Join(transport) => sessions::join(bench, transport).await,
            Figure::Registrations(policy) => registrations::registrations(bench, policy).await,
        }
    }
}

/// Measures a row the requested number of times.
async fn print(bench: &Bench<'_>, figure: &Figure) -> bool {
    let name = figure.name(bench.options);
    let mut rows = Vec::new();
    for _ in 0..bench.options.reps {
        match figure.measure(bench).await {
            Ok(row) => rows.push(row),
            Err(error) => {
                say(&format!("| {name} | failed: {error} | | | | | | | |"));
                return false;
            }
        }
    }
    let row = Row::median(&rows);
    say(&row.line(&name));
    row.wrong.is_none_or(|wrong| wrong.is_nothing())
}
