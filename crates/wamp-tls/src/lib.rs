//! TLS below a WAMP transport, at either end: streams in, streams out.
//!
//! [`Client`] has the TLS settings of a client and does its handshake, [`Server`] does the same for a router.
//! Both return a [`TlsSocket`], a stream that any transport can use as its
//! [`Socket`](wamp_transport::Socket). Certificates and keys are PEM. The crate knows nothing of WAMP;
//! `wamp-client` and `wamp-router` use it.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = wamp_tls::Client::new();
//! let stream = tokio::net::TcpStream::connect("example.com:443").await?;
//! let stream = client.connect("example.com", stream).await?;
//! # Ok(())
//! # }
//! ```

mod client;
mod pem;
mod prefixed;
mod server;
mod socket;

use std::sync::Arc;

pub use client::{Client, ConnectError};
pub use pem::PemError;
pub use prefixed::Prefixed;
pub use server::{Identity, Server};
pub use socket::TlsSocket;
pub use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};

/// The cryptography: the provider that the program has installed, otherwise AWS-LC.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}
