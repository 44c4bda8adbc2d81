//! Publish and subscribe by foreign clients at our router: patterns, lists of receivers, retained events, the history of
//! events, and sealed payloads of Autobahn|Python (payload transparency).

use std::time::Instant;

use wamp_router::{Address, History, Pattern, RealmConfig, Router};

use crate::log::Log;
use crate::peer::{Library, Peer, Transport};
use crate::process::Process;
use crate::run::{Chapter, Outcome, with_log};
use crate::tools::Tools;

const ROWS: [&str; 8] = [
    "events py/ws/json",
    "events py/ws/msgpack",
    "events py/rs/cbor",
    "events js/ws/json",
    "events js/ws/msgpack",
    "events js/ws/cbor",
    "events wampy/ws/json",
    "events wampy/ws/msgpack",
];

/// The lines of every client. Events for particular sessions are in no history.
const EXPECTED: [&str; 4] =
    ["Matches: exact 1 prefix 1 wildcard 1", "Received: 2 4", "Retained: 5 True", "History: 1 4"];

/// Runs the rows that have one of the words in them, or all.
pub async fn chapter(tools: &Tools, wanted: &[String]) -> Option<Chapter> {
    let is_wanted = |row: &&str| wanted.is_empty() || wanted.iter().any(|word| row.contains(&**word));
    let rows: Vec<&'static str> = ROWS.iter().copied().filter(is_wanted).collect();
    let mut outcomes = Vec::new();
    for row in rows {
        let (started, log) = (Instant::now(), Log::default());
        let result = foreign(tools, row, &log).await.map_err(|why| with_log(why, &log));
        outcomes.push(Outcome { row, took: started.elapsed(), result });
    }
    (!outcomes.is_empty()).then_some(Chapter { title: "E: foreign clients publish and subscribe", outcomes })
}

/// A client at a router of its own.
async fn foreign(tools: &Tools, row: &str, log: &Log) -> Result<(), String> {
    let peer = row.split(' ').nth(1).and_then(Peer::read).ok_or("no peer can be read from this")?;
    let realm = RealmConfig::new("realm1").history(History::new(Pattern::prefix("com.events.")));
    let router = Router::builder().realm_with(realm).build();
    let address = match router.listen("127.0.0.1:0").await {
        Ok(Address::Tcp(address)) => address,
        other => return Err(format!("{other:?}")),
    };
    let url = match peer.transport {
        Transport::WebSocket => format!("ws://{address}/ws"),
        Transport::RawSocket => format!("rs://{address}"),
    };
    if peer.library == Library::Wampy {
        // The library does not send `retain`.
        let session = wamp_client::connect(&*url).await.map_err(|error| error.to_string())?;
        let kept = session.publish("com.kept.x").arg(5).retain().acknowledge().await;
        kept.map_err(|error| error.to_string())?;
        session.leave().await;
    }
    let mut command = tools.peer(peer, "events");
    command.args(["--url", &url, "--serializer", peer.serializer.name()]);
    let (_process, mut lines) = Process::start("the client", command, log)?;
    for line in EXPECTED {
        lines.expect(line).await?;
    }
    if peer.library == Library::AutobahnPython {
        lines.expect("Sealed: 6 8").await?;
    }
    lines.expect_end().await?;
    router.shut_down().await;
    Ok(())
}
