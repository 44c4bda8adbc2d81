//! Credentials: the proofs of a client's identity for the router.
//!
//! [`Connect::auth`](crate::Connect::auth) takes a [`Credential`], or anything that provides one for each connection.
//! [`Secret`]s are wiped from memory when they are dropped, and never shown.
//!
//! ```no_run
//! use wamp_client::auth::Credential;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! # async fn ask() -> std::io::Result<String> { Ok(String::new()) }
//! // By value:
//! let session = wamp_client::connect("wss://example.com/ws").auth(Credential::wampcra("joe", "secret")).await?;
//!
//! // Asked for each time the session connects or comes back:
//! let session = wamp_client::connect("wss://example.com/ws")
//!     .auth(|| async { Ok::<_, std::io::Error>(Credential::ticket("joe", ask().await?)) })
//!     .await?;
//! # Ok(())
//! # }
//! ```

use std::error::Error;

use async_trait::async_trait;

pub use wamp_core::auth::cryptosign::{NotAKey, PrivateKey, PublicKey};
pub use wamp_core::auth::{Credential, Secret};

/// A source of credentials, which is asked for each connection.
#[async_trait]
pub trait Credentials: Send + Sync + 'static {
    /// Returns the credential for a connection that is being made.
    ///
    /// # Errors
    /// There is none now. The next attempt to connect asks again.
    async fn credential(&self) -> Result<Credential, Box<dyn Error + Send + Sync>>;
}

#[async_trait]
impl Credentials for Credential {
    async fn credential(&self) -> Result<Credential, Box<dyn Error + Send + Sync>> {
        Ok(self.clone())
    }
}

#[async_trait]
impl<F, T, E> Credentials for F
where
    F: Fn() -> T + Send + Sync + 'static,
    T: Future<Output = Result<Credential, E>> + Send,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    async fn credential(&self) -> Result<Credential, Box<dyn Error + Send + Sync>> {
        self().await.map_err(Into::into)
    }
}
