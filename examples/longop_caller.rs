//! A caller of `com.myapp.longop`: prints each partial result as it comes, and then the last.

use std::process::ExitCode;

use clap::Parser;
use wamp_client::{CallError, ConnectError, Serializer, connect};

/// Calls com.myapp.longop and prints what comes.
#[derive(Parser)]
struct Options {
    /// The router: ws://host:port/path, rs://host:port or rs+unix:///path.
    #[arg(long, env = "WAMP_URL", default_value = "ws://127.0.0.1:8080/ws")]
    url: String,
    /// The realm.
    #[arg(long, env = "WAMP_REALM", default_value = "realm1")]
    realm: String,
    /// json, msgpack or cbor; by default whatever the router prefers.
    #[arg(long, env = "WAMP_SERIALIZER")]
    serializer: Option<Serializer>,
    /// The procedure.
    #[arg(long, env = "WAMP_PROCEDURE", default_value = "com.myapp.longop")]
    procedure: String,
    /// How many partial results to ask for.
    #[arg(short, env = "WAMP_N", default_value_t = 3)]
    n: u64,
    /// Milliseconds between them, if the callee takes a second argument; it has an interval of its own.
    #[arg(long, env = "WAMP_INTERVAL_MS")]
    interval_ms: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}
