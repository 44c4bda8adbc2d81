//! Clients that connect again after a restart of the program `wamp-router`, as far as their library does.

use std::time::Instant;

use tokio::time::timeout;

use crate::log::Log;
use crate::peer::{Library, Peer, Transport};
use crate::process::{Lines, PATIENCE, Process};
use crate::routers::{Running, Which};
use crate::run::{Chapter, Outcome, with_log};
use crate::tools::Tools;

/// Restarts a router for each of these peers.
pub async fn chapter(tools: &Tools, rows: Vec<&'static str>) -> Chapter {
    let mut outcomes = Vec::new();
    for row in rows {
        let started = Instant::now();
        let log = Log::default();
        let result = one(tools, row, &log).await.map_err(|why| with_log(why, &log));
        outcomes.push(Outcome { row, took: started.elapsed(), result });
    }
    Chapter { title: "K: clients come back after a restart of our program wamp-router", outcomes }
}

async fn one(tools: &Tools, row: &str, log: &Log) -> Result<(), String> {
    let peer = Peer::read(row.split_whitespace().next().unwrap_or_default()).ok_or("no such peer")?;
    let stays_away = row.contains("stays away");
    let kind = if row.contains("goodbye") { "goodbye" } else { "restart" };
    let arguments = ["--shutdown", kind];
    let router = Running::start_with(Which::Program, tools, &arguments).await?;
    let address = router.address();
    let url = match peer.transport {
        Transport::WebSocket => format!("ws://{address}/ws"),
        Transport::RawSocket => format!("rs://{address}"),
    };
    let mut command = tools.peer(peer, "returning");
    command.args(["--url", &url, "--realm", "realm1", "--serializer", peer.serializer.name()]);
    let (_process, mut lines) = Process::start("the client", command, log)?;
    lines.expect("Joined").await?;
    router.stop().await?;
    let listen = address.to_string();
    let router = Running::start_with(Which::Program, tools, &["--listen", &listen]).await?;
    let returned = if stays_away { gone(peer, &mut lines).await } else { joined(&mut lines).await };
    router.stop().await?;
    returned
}

/// Apart from lines about attempts, the next line is that it has joined.
async fn joined(lines: &mut Lines) -> Result<(), String> {
    let joins = async {
        while let Some(line) = lines.next().await? {
            match line.as_str() {
                "Joined" => return Ok(()),
                "Stays away" => return Err("the client stays away".to_owned()),
                // The delays are the library's own.
                _ => {}
            }
        }
        Err("the client has ended".to_owned())
    };
    timeout(PATIENCE, joins).await.map_err(|_| "the client does not come back".to_owned())?
}

/// The router cannot change this: the library treats GOODBYE as final.
async fn gone(peer: Peer, lines: &mut Lines) -> Result<(), String> {
    if peer.library != Library::AutobahnJs {
        return Err("only Autobahn|JS says so".to_owned());
    }
    while let Some(line) = lines.next().await? {
        if line == "Stays away" {
            return Ok(());
        }
    }
    Err("the client has ended".to_owned())
}
