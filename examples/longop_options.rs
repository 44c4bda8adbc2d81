//! The options of `longop-caller` and `longop-callee`, from the command line or the environment.

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
    /// json, msgpack or cbor; by default the first that the router supports.
    #[arg(long, env = "WAMP_SERIALIZER")]
    serializer: Option<Serializer>,
    /// The procedure.
    #[arg(long, env = "WAMP_PROCEDURE", default_value = "com.myapp.longop")]
    pub procedure: String,
    /// Number of partial results: the caller asks for it; for the callee, the default if the caller gives
    /// none.
    #[arg(short, env = "WAMP_N", default_value_t = 3)]
    pub n: u64,
    /// Milliseconds between them, for the callee.
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
