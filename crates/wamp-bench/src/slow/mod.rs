//! The cost of a slow peer for the router and the others. The limits are those of the documentation.

mod caller;
mod crowd;
mod duplex;
mod flood;
mod foreign;
mod link;
mod outcome;
mod proxy;
mod scene;
mod sip;

use crate::Failed;
use crate::options::{Library, Options, Scenario, Stop};
use crate::report::say;

use outcome::Verdict;

/// The greatest ratio of the p99 of an unrelated pair, meanwhile to before.
const UNRELATED: f64 = 1.5;

/// The greatest p99 of another caller of the same callee.
const SAME: f64 = 2.0;

/// One row of the table.
enum Row {
    Flood { caller: Library, callee: Library, stop: Stop },
    Crowd(Stop),
    Stalled { callee: Library, stop: Stop },
    Duplex(Stop),
    Sip,
    Link,
}

/// Prints a table of these scenarios; of all, if only `slow` is given. Returns whether all passed.
pub(crate) async fn run(options: &Options, scenarios: &[Scenario]) -> Result<bool, Failed> {
    use Scenario::{Crowd, Duplex, Flood, Link, Sip, Slow, Stalled};
    let named: Vec<_> = scenarios.iter().copied().filter(|scenario| *scenario != Slow).collect();
    let all = vec![Flood, Crowd, Stalled, Duplex, Sip, Link];
    let scenarios = if named.is_empty() { all } else { named };
    say(Verdict::HEAD);
    let mut passed = true;
    for row in scenarios.iter().flat_map(|scenario| rows(options, *scenario)) {
        let name = row.name(options);
        match row.measure(options, name.clone()).await {
            Ok(verdict) => {
                say(&verdict.line());
                passed &= verdict.passed();
            }
            Err(error) => {
                say(&format!("| {name} | | | | | | | FAIL ({error}) |"));
                passed = false;
            }
        }
    }
    Ok(passed)
}

fn rows(options: &Options, scenario: Scenario) -> Vec<Row> {
    use Library::{Foreign, Ours};
    let stops = || match options.stop {
        Some(stop) => vec![stop],
        None => vec![Stop::App, Stop::Socket],
    };
    let foreign = options.python.is_some();
    match scenario {
        Scenario::Flood => {
            let asked = |library: Library, chosen: Option<Library>| match chosen {
                Some(chosen) => chosen == library,
                None => library == Ours || foreign,
            };
            let mut rows = Vec::new();
            for (caller, callee) in [(Ours, Ours), (Foreign, Ours), (Ours, Foreign), (Foreign, Foreign)] {
                // Two foreign peers tell little about us; they are measured only on request.
                let chosen = options.caller.is_some() && options.callee.is_some();
                let wanted = asked(caller, options.caller) && asked(callee, options.callee);
                if wanted && (chosen || (caller, callee) != (Foreign, Foreign)) {
                    // A foreign caller has one way to stop.
                    let stops = if caller == Foreign { vec![Stop::Socket] } else { stops() };
                    rows.extend(stops.into_iter().map(|stop| Row::Flood { caller, callee, stop }));
                }
            }
            rows
        }
        Scenario::Crowd => stops().into_iter().map(Row::Crowd).collect(),
        Scenario::Stalled => {
            let callee = if foreign { Foreign } else { Ours };
            stops().into_iter().map(|stop| Row::Stalled { callee, stop }).collect()
        }
        Scenario::Duplex => stops().into_iter().map(Row::Duplex).collect(),
        Scenario::Sip => vec![Row::Sip],
        Scenario::Link => vec![Row::Link],
        _ => Vec::new(),
    }
}

impl Row {
    fn name(&self, options: &Options) -> String {
        let way = |stop: &Stop| match stop {
            Stop::App => "the application takes nothing",
            Stop::Socket => "the socket is not read",
        };
        let who = |library: &Library| match library {
            Library::Ours => "ours",
            Library::Foreign => "Autobahn\\|Python",
        };
        match self {
            Row::Flood { caller, callee, stop } => {
                let (caller, callee) = (who(caller), who(callee));
                format!("flood, caller {caller}, callee {callee}: {}", way(stop))
            }
            Row::Crowd(stop) => format!("{} slow callers at once: {}", options.callers, way(stop)),
            Row::Stalled { callee, stop } => {
                let (callee, streams) = (who(callee), options.streams);
                format!("{streams} stalled streams of one caller, callee {callee}: {}", way(stop))
            }
            Row::Duplex(stop) => format!("slow callee of a two-way call: {}", way(stop)),
            Row::Sip => "an item a second of an endless stream, then dropped".to_owned(),
            Row::Link => format!("a link of {} KB/s", link::RATE / 1000),
        }
    }

    async fn measure(&self, options: &Options, name: String) -> Result<Verdict, Failed> {
        match *self {
            Row::Flood { caller, callee, stop } => flood::flood(options, name, caller, callee, stop).await,
            Row::Crowd(stop) => crowd::crowd(options, name, stop).await,
            Row::Stalled { callee, stop } => crowd::stalled(options, name, callee, stop).await,
            Row::Duplex(stop) => duplex::duplex(options, name, stop).await,
            Row::Sip => sip::sip(options, name).await,
            Row::Link => link::link(options, name).await,
        }
    }
}
