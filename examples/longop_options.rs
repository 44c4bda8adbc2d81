//! What `longop-caller` and `longop-callee` may be told, on the command line or by the environment.

use clap::Parser;
use wamp_client::{Connect, Serializer, connect};

#[derive(Parser)]
pub struct Options {
    /// The router: ws://host:port/path, rs://host:port or rs+unix:///path.
    #[arg(long, env = "WAMP_URL", default_value = "ws://127.0.0.1:8080/ws")]
    url: String,
    /// The realm.
    #[arg(long, env = "WAMP_REALM", default_value = "realm1")]
    realm: String,
    /// json, msgpack or cbor; left out: what the router likes best.
    #[arg(long, env = "WAMP_SERIALIZER")]
    serializer: Option<Serializer>,
    /// The procedure.
    #[arg(long, env = "WAMP_PROCEDURE", default_value = "com.myapp.longop")]
    pub procedure: String,
    /// How many partial results: what the caller asks for, and the callee sends if the caller does not say.
    #[arg(short, env = "WAMP_N", default_value_t = 3)]
    pub n: u64,
    /// Milliseconds between them: the callee's pace. A caller takes what comes.
    #[arg(long, env = "WAMP_INTERVAL_MS", default_value_t = 1000)]
    pub interval_ms: u64,
}

impl Options {
    pub fn connect(&self) -> Connect {
        let connect = connect(&self.url).realm(self.realm.as_str());
        match self.serializer {
            Some(serializer) => connect.serializer(serializer),
            None => connect,
        }
    }
}
