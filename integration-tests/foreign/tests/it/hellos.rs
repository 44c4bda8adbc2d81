//! The HELLOs of foreign clients, on which the router's tests rely.
//!
//! Each client runs against a listener that compares its HELLO with the record in
//! `crates/wamp-core/tests/hellos`. With `RECORD_HELLOS=1` the files are written anew.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;
use wamp_transport::{Incoming, ReadHalf};

use crate::log::Log;
use crate::peer::{Library, Peer, Transport};
use crate::process::{PATIENCE, Process};
use crate::run::{Chapter, Outcome};
use crate::tap::in_json;
use crate::tools::{Tools, here};

/// Compares, or records, the HELLOs of these peers.
pub async fn chapter(tools: &Tools, rows: Vec<&'static str>) -> Chapter {
    let mut outcomes = Vec::new();
    for row in rows {
        let started = Instant::now();
        let result = one(tools, row).await;
        outcomes.push(Outcome { row, took: started.elapsed(), result });
    }
    Chapter { title: "J: the HELLO of a foreign client is the one that was recorded", outcomes }
}

async fn one(tools: &Tools, row: &str) -> Result<(), String> {
    let peer = Peer::read(row).ok_or("no peer can be read from this")?;
    let hello = timeout(PATIENCE, heard(tools, peer)).await.map_err(|_| "it says nothing")??;
    let (name, title) = match peer.library {
        Library::AutobahnPython => ("autobahn-python", "Autobahn|Python"),
        Library::AutobahnJs => ("autobahn-js", "Autobahn|JS"),
        Library::Wampy => ("wampy", "wampy.js"),
        Library::Ours => return Err("ours is not foreign".to_owned()),
    };
    let file = here("../../crates/wamp-core/tests/hellos").join(format!("{name}.json"));
    let seen = json!({ "client": title, "hello": hello });
    if std::env::var_os("RECORD_HELLOS").is_some() {
        let text = serde_json::to_string_pretty(&seen).map_err(|error| error.to_string())? + "\n";
        return std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()));
    }
    let recorded = read(&file)?;
    // Neither the transport nor the serializer makes a difference.
    if recorded == seen { Ok(()) } else { Err(format!("recorded is {recorded}, and it says {seen}")) }
}

fn read(file: &PathBuf) -> Result<Value, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Runs a caller and returns its first message.
async fn heard(tools: &Tools, peer: Peer) -> Result<Value, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let url = match peer.transport {
        Transport::WebSocket => format!("ws://{address}/ws"),
        Transport::RawSocket => format!("rs://{address}"),
    };
    let mut command = tools.peer(peer, "caller");
    command.args(["--url", &url, "--realm", "realm1", "--serializer", peer.serializer.name()]);
    let _process = Process::start("the caller", command, &Log::default())?;
    let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
    let first = match peer.transport {
        Transport::WebSocket => {
            let config = wamp_transport_ws::Config::default();
            let accepted = wamp_transport_ws::accept(stream, &[], &config).await;
            first(accepted.map_err(|error| error.to_string())?).await?
        }
        Transport::RawSocket => {
            let config = wamp_transport_rawsocket::Config::default();
            let accepted = wamp_transport_rawsocket::accept(stream, &[], &config).await;
            first(accepted.map_err(|error| error.to_string())?).await?
        }
    };
    serde_json::from_str(&in_json(peer.serializer, first)).map_err(|error| error.to_string())
}

async fn first(transport: impl wamp_transport::Transport) -> Result<Vec<u8>, String> {
    let (mut read, _write) = transport.split();
    let mut came = Vec::new();
    read.read(&mut came).await.map_err(|error| error.to_string())?;
    match came.into_iter().next() {
        Some(Incoming::Message(message)) => Ok(message.to_vec()),
        other => Err(format!("{other:?} comes first")),
    }
}
