//! The meta API of a router, with types: sessions, registrations and subscriptions of the realm (Advanced Profile,
//! *Meta API*).

mod events;
mod info;
mod kill;
mod read;
mod registration;
mod session;
mod subscription;

use wamp_proto::Uri;

pub use events::{MetaEvents, OnCreate, OnId, OnLeave};
pub use info::{ByPolicy, PatternInfo, SessionInfo, TransportInfo};
pub use kill::{Kill, Killed};
pub use session::Sessions;

use crate::caller::call::Call;
use crate::caller::future::CallResult;
use crate::error::CallError;
use crate::session::Session;
use read::Leading;

/// The meta API of the router: the sessions, registrations and subscriptions of the realm.
///
/// A router may refuse each of them with `wamp.error.not_authorized`, or with `wamp.error.no_such_procedure`
/// if it does not have it: see [`CallError::uri`]. Values that may not exist are returned as an `Option`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let router = wamp_router::Router::builder().meta(wamp_router::Meta::Control).build();
/// # let (ours, theirs) = wamp_transport::memory::pair(wamp_client::Serializer::Json);
/// # router.attach(theirs);
/// # let session = wamp_client::Client::over(ours).await?;
/// # let (ours, theirs) = wamp_transport::memory::pair(wamp_client::Serializer::Json);
/// # router.attach(theirs);
/// # let other = wamp_client::Client::over(ours).await?;
/// let meta = session.meta();
/// let mut left = meta.on_leave().await?;
/// for id in meta.sessions().with_role("anonymous").list().await? {
///     println!("{:?}", meta.session(id).await?);
/// }
/// # let id = other.id();
/// meta.kill(id).message("back in a minute").await?;
/// assert_eq!(left.next().await.unwrap()?.session, id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Meta {
    session: Session,
}

impl Session {
    /// Returns the meta API of the router.
    pub fn meta(&self) -> Meta {
        Meta { session: self.clone() }
    }
}

impl Meta {
    fn call(&self, procedure: &'static str) -> Call<'static> {
        self.session.call(Uri::from_static(procedure))
    }

    /// The number that a procedure counts for an id.
    async fn count(&self, procedure: &'static str, id: u64) -> Result<u64, CallError> {
        let Leading(count, ..) = read::first::<u64>(self.call(procedure).arg(id).await?.payload())?;
        Ok(count)
    }
}

/// A result, or `None` for an error that means that the object does not exist.
fn unless_unknown(
    result: Result<CallResult, CallError>,
    unknown: &Uri,
) -> Result<Option<CallResult>, CallError> {
    match result {
        Ok(result) => Ok(Some(result)),
        Err(error) if error.uri() == Some(unknown) => Ok(None),
        Err(error) => Err(error),
    }
}
