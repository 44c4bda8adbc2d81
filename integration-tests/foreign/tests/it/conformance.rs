//! WebSocket conformance: Autobahn's cases, as kosoku runs them, against an echo over our transport in both roles.
//!
//! JSON takes text frames only and the other serializers take binary ones only. So each case runs in both ways, and the
//! better of the two counts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;
use wamp_proto::Serializer;
use wamp_transport::socket::AnyStream;
use wamp_transport::{Batch, Incoming, ReadHalf, Transport, WriteHalf};
use wamp_transport_ws::{Config, accept, connect};

use crate::bare::Bare;
use crate::log::Log;
use crate::process::{Lines, Process};
use crate::run::{Chapter, Outcome};
use crate::tools::{here, in_python};

const SERVER: &str = "WebSocket conformance of our server";
const CLIENT: &str = "WebSocket conformance of our client";

/// All cases together.
const PATIENCE: Duration = Duration::from_secs(400);

/// One case; the longest are those with 16 MiB in small pieces.
const CASE: Duration = Duration::from_secs(100);

/// The number of cases in the chapters that are run.
const CASES: usize = 301;

/// The outcome of a case, best first. All others are failures.
const GOOD: [&str; 3] = ["OK", "NON-STRICT", "INFORMATIONAL"];

/// Runs the roles that have one of the words in their name, or both.
pub async fn chapter(wanted: &[String]) -> Option<Chapter> {
    let mut outcomes = Vec::new();
    for row in [SERVER, CLIENT] {
        if !wanted.is_empty() && !wanted.iter().any(|word| row.contains(&**word)) {
            continue;
        }
        let started = Instant::now();
        let result = match timeout(PATIENCE, role(row == SERVER)).await {
            Ok(result) => result,
            Err(_) => Err("it takes too long".to_owned()),
        };
        outcomes.push(Outcome { row, took: started.elapsed(), result });
    }
    (!outcomes.is_empty()).then_some(Chapter { title: "K: WebSocket conformance (kosoku)", outcomes })
}

/// The verdicts on a case: on its messages, and on its end.
type Verdicts = BTreeMap<String, (String, String)>;

async fn role(server: bool) -> Result<(), String> {
    let run =
        async |serializer| if server { our_server(serializer).await } else { our_client(serializer).await };
    let text = run(Serializer::Json).await?;
    let binary = run(Serializer::MsgPack).await?;
    if text.len() != CASES || binary.len() != CASES {
        return Err(format!("{} and {} cases were run of {CASES}", text.len(), binary.len()));
    }
    let bad = |verdict: &str| GOOD.iter().position(|good| *good == verdict).unwrap_or(GOOD.len());
    let rank = |(messages, end): &(String, String)| (bad(messages), bad(end));
    let better = text.iter().map(|(case, verdicts)| {
        let other = binary.get(case).unwrap_or(verdicts);
        (case, if rank(other) < rank(verdicts) { other } else { verdicts })
    });
    let is_bad =
        |verdicts: &(String, String)| bad(&verdicts.0) == GOOD.len() || bad(&verdicts.1) == GOOD.len();
    let failed: Vec<String> = better
        .filter(|(_, verdicts)| is_bad(verdicts))
        .map(|(case, (messages, end))| format!("case {case}: {messages}, its end: {end}"))
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

fn subprotocol(serializer: Serializer) -> (Config, &'static str) {
    let config = Config { serializers: vec![serializer], ..Config::default() };
    (config, serializer.subprotocol())
}

async fn our_server(serializer: Serializer) -> Result<Verdicts, String> {
    let (config, protocol) = subprotocol(serializer);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let config = config.clone();
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let Ok((stream, request)) = Bare::server(stream, protocol).await else { return };
                if let Ok(connection) = accept(AnyStream(stream), &request, &config).await {
                    echo(connection).await;
                }
            });
        }
    });
    let (_process, mut lines) = kosoku(&["client", &address.to_string()])?;
    let verdicts = verdicts(&mut lines).await;
    serving.abort();
    verdicts
}

async fn our_client(serializer: Serializer) -> Result<Verdicts, String> {
    let (_process, mut lines) = kosoku(&["server"])?;
    let port = lines.next().await?.ok_or("kosoku has ended without output")?;
    let port: u16 = port.parse().map_err(|_| format!("kosoku says {port:?}"))?;
    let count = open(port, "/getCaseCount", Serializer::Json).await?;
    let count = first(count).await.ok_or("kosoku does not say how many cases there are")?;
    let agent = format!("agent=wamp-{serializer:?}");
    for case in 1..=count {
        let connection = open(port, &format!("/runCase?case={case}&{agent}"), serializer).await?;
        if timeout(CASE, echo(connection)).await.is_err() {
            return Err(format!("the case with the number {case} takes too long"));
        }
    }
    if let Ok(connection) = open(port, &format!("/updateReports?{agent}"), serializer).await {
        let _ = timeout(Duration::from_secs(3), echo(connection)).await;
    }
    verdicts(&mut lines).await
}

async fn open(port: u16, path: &str, serializer: Serializer) -> Result<impl Transport + use<>, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (config, protocol) = subprotocol(serializer);
    let url = format!("ws://127.0.0.1:{port}{path}");
    let opened = connect(AnyStream(Bare::client(stream, protocol)), &url, &[serializer], &config).await;
    opened.map_err(|error| format!("{path}: {error}"))
}

/// The first message, a number.
async fn first(connection: impl Transport) -> Option<u32> {
    let (mut read, _write) = connection.split();
    let mut came = Vec::new();
    read.read(&mut came).await.ok()?;
    let Some(Incoming::Message(message)) = came.first() else { return None };
    std::str::from_utf8(message).ok()?.trim().parse().ok()
}

/// Sends each message back until the connection fails, and closes it.
async fn echo(connection: impl Transport) {
    let (mut read, mut write) = connection.split();
    let (mut came, mut batch) = (Vec::new(), Batch::new());
    while read.read(&mut came).await.is_ok() {
        for item in came.drain(..) {
            if let Incoming::Message(message) = item {
                batch.push_bytes(&message);
            }
        }
        if write.write(&mut batch).await.is_err() {
            break;
        }
    }
    let _ = timeout(Duration::from_secs(2), write.close()).await;
    let _ = timeout(Duration::from_secs(2), read.discard()).await;
}

fn kosoku(arguments: &[&str]) -> Result<(Process, Lines), String> {
    let mut command = Command::new(in_python("python"));
    command.arg(here("peers/kosoku/run.py")).args(arguments);
    Process::start("kosoku", command, &Log::default())
}

/// All results of cases, until the end.
async fn verdicts(lines: &mut Lines) -> Result<Verdicts, String> {
    let mut verdicts = Verdicts::new();
    // The first line is printed when all cases have run.
    while let Some(line) = lines.next_within(PATIENCE).await? {
        let mut words = line.split_whitespace();
        let (Some(case), Some(messages), Some(end)) = (words.next(), words.next(), words.next()) else {
            return Err(format!("kosoku says {line:?}"));
        };
        verdicts.insert(case.to_owned(), (messages.to_owned(), end.to_owned()));
    }
    Ok(verdicts)
}
