//! A test kit for applications that speak WAMP: a router in memory, without a process, a port or a file.
//!
//! ```
//! use wamp_client::{CallError, Reply, Session};
//! use wamp_test::Net;
//!
//! /// The code under test.
//! async fn longest(session: &Session) -> Result<u32, CallError> {
//!     let mut lengths = session.call("com.example.lengths").progressive::<u32>().await?;
//!     let mut longest = 0;
//!     while let Some(length) = lengths.next().await {
//!         longest = longest.max(length?);
//!     }
//!     Ok(longest)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let net = Net::start();
//! let stub = net.stub("com.example.lengths", [Reply::Progress(3), Reply::Progress(8), Reply::Result(2)]).await;
//!
//! let session = net.connect("alice").await?;
//! assert_eq!(longest(&session).await?, 8);
//! assert_eq!(stub.calls().len(), 1);
//! assert!(net.transcript().contains(r#"alice -> [48,1,{"receive_progress":true"#));
//!
//! // The connection is lost, and the session comes back with all that it has registered.
//! net.lose(&session).await;
//! session.call("com.example.lengths").when_up(std::time::Duration::from_secs(5)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! * [`Net::connect`] is a builder of a session, as `wamp_client::connect` is, and such a session comes back.
//! * [`Net::stub`] and [`Net::stub_error`] register procedures that always give the same answer, and record
//!   their calls. A test may also register procedures with a session of its own.
//! * [`Net::lose`] cuts the connection of one session. [`Net::stop`] takes the router down with all connections, as a
//!   crash does, and [`Net::restart`] replaces it by a new one, which knows nothing.
//! * [`Net::transcript`] has all messages of all clients, as the specification writes them.
//!
//! Everything works with a clock that is paused (`#[tokio::test(start_paused = true)]`): delays before an attempt to
//! reconnect, timeouts of calls and keepalive then take no time.

mod stub;
mod tap;
mod transcript;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wamp_client::{Client, Connect, ConnectionState, Failure, Reply, Session, Uri};
use wamp_proto::Serializer;
use wamp_router::Router;
use wamp_transport::memory;

pub use stub::Stub;

use tap::Tap;
use transcript::Transcript;

/// The delays before attempts to reconnect, which are short for tests with a real clock.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// The time that stubs have to come back after a restart.
const STUBS_BACK: Duration = Duration::from_secs(10);

/// A router in memory, and the connections to it. Clones are handles of the same router, which ends with the
/// last handle and the last session.
#[derive(Clone)]
pub struct Net {
    inner: Arc<Inner>,
    /// The session that has the stubs.
    stubs: Arc<OnceCell<Session>>,
}

/// The state that all connections share.
struct Inner {
    make: Box<dyn Fn() -> Router + Send + Sync>,
    state: Mutex<State>,
    transcript: Transcript,
}

struct State {
    /// `None` while the router is down.
    router: Option<Router>,
    links: Vec<Link>,
    /// The number of the next link.
    next: u64,
}

/// A connection.
struct Link {
    number: u64,
    session: Option<u64>,
    cut: CancellationToken,
    /// Empty when its client has noticed its end.
    reader: TaskTracker,
}

impl Link {
    /// Cuts it, and waits until its client has noticed it.
    async fn cut(self) {
        self.cut.cancel();
        self.reader.close();
        self.reader.wait().await;
    }
}

impl Net {
    /// Starts a router with the realm `realm1`. Must be called in a tokio runtime with time enabled.
    pub fn start() -> Self {
        Self::with(Router::default)
    }

    /// Starts a router that a function makes, for example with other realms or limits; each
    /// [`restart`](Self::restart) makes another.
    ///
    /// ```
    /// use wamp_router::Router;
    /// use wamp_test::Net;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let net = Net::with(|| Router::builder().realm("com.example.shop").build());
    /// let session = net.connect("alice").realm("com.example.shop").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with(make: impl Fn() -> Router + Send + Sync + 'static) -> Self {
        let state = State { router: Some(make()), links: Vec::new(), next: 0 };
        let inner =
            Inner { make: Box::new(make), state: Mutex::new(state), transcript: Transcript::default() };
        Self { inner: Arc::new(inner), stubs: Arc::default() }
    }

    /// Returns a builder of a session, which comes back when its connection is lost. The transcript shows it by this
    /// name. Its serializer is JSON.
    pub fn connect(&self, name: &str) -> Connect {
        let (inner, name): (_, Arc<str>) = (self.inner.clone(), name.into());
        let connecting = Client::with_connector(move || {
            let tap = inner.link(name.clone());
            async { tap.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused)) }
        });
        connecting.backoff(BACKOFF.0, BACKOFF.1)
    }

    /// Registers a procedure in `realm1` that answers every call with these replies: progressive results, for callers
    /// that ask for them, and the result at the end. It is there again after a restart.
    ///
    /// # Panics
    /// If the procedure cannot be registered, for example because it exists.
    pub async fn stub<T, I>(&self, procedure: impl Into<Uri>, replies: I) -> Stub
    where
        T: Serialize + Clone + Send + Sync + 'static,
        I: IntoIterator<Item = Reply<T>>,
    {
        stub::replies(&self.stubs().await, procedure.into(), replies.into_iter().collect()).await
    }

    /// Registers a procedure in `realm1` that answers every call with this error.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let net = wamp_test::Net::start();
    /// # let session = net.connect("alice").await?;
    /// use wamp_client::Failure;
    ///
    /// net.stub_error("com.example.buy", || Failure::new("com.example.error.sold_out").arg("tickets")).await;
    /// let error = session.call("com.example.buy").await.unwrap_err();
    /// assert_eq!(error.to_string(), "com.example.error.sold_out: tickets");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the procedure cannot be registered, for example because it exists.
    pub async fn stub_error(
        &self,
        procedure: impl Into<Uri>,
        error: impl Fn() -> Failure + Send + Sync + 'static,
    ) -> Stub {
        stub::error(&self.stubs().await, procedure.into(), error).await
    }

    async fn stubs(&self) -> Session {
        let connecting = async { self.connect("stubs").await.expect("the router is up, and has a realm1") };
        self.stubs.get_or_init(|| connecting).await.clone()
    }

    /// Cuts the present connection of a session, as a pulled cable does, and waits until the session has noticed it. Does
    /// nothing if there is none, or if the session is not one of this net.
    pub async fn lose(&self, session: &Session) {
        let id = session.id().get();
        let lost = {
            let mut state = self.inner.lock();
            let at = state.links.iter().position(|link| link.session == Some(id));
            at.map(|at| state.links.swap_remove(at))
        };
        if let Some(link) = lost {
            link.cut().await;
        }
    }

    /// Takes the router down with all connections, as a crash does, and waits until the sessions have noticed it. Attempts
    /// to connect are refused until [`restart`](Self::restart).
    pub async fn stop(&self) {
        let links = {
            let mut state = self.inner.lock();
            state.router = None;
            std::mem::take(&mut state.links)
        };
        links.iter().for_each(|link| link.cut.cancel());
        for link in links {
            link.cut().await;
        }
    }

    /// Replaces the router by a new one, which knows no sessions, registrations and subscriptions, and waits until the
    /// stubs are registered there.
    ///
    /// # Panics
    /// If the stubs do not come back within 10 s.
    pub async fn restart(&self) {
        let stubs = self.stubs.get();
        let mut states = stubs.map(Session::states);
        self.stop().await;
        self.inner.lock().router = Some((self.inner.make)());
        let Some(states) = &mut states else { return };
        let back = async {
            while let Some(state) = states.next().await {
                if matches!(state, ConnectionState::Up { .. }) {
                    return;
                }
            }
        };
        tokio::time::timeout(STUBS_BACK, back).await.expect("the stubs come back after a restart");
    }

    /// Returns all messages so far, one a line, as `alice -> [48,1,{},"com.example.add",[40,2]]` for one from a client to
    /// the router and `alice <- [50,1,{},[42]]` for one to the client.
    ///
    /// `..` stands for values that differ from run to run or are long: ids of sessions and publications, and the details
    /// of HELLO and WELCOME. Of the messages, the latest 100,000 are kept.
    pub fn transcript(&self) -> String {
        self.inner.transcript.text()
    }

    /// Returns the router, for its counters or for connections of another kind; `None` while it is down.
    pub fn router(&self) -> Option<Router> {
        self.inner.lock().router.clone()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock panics between two changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects a client, unless the router is down.
    fn link(self: &Arc<Self>, name: Arc<str>) -> Option<Tap> {
        let mut state = self.lock();
        let (ours, theirs) = memory::pair(Serializer::Json);
        state.router.as_ref()?.attach(theirs);
        state.next += 1;
        let (number, cut, reader) = (state.next, CancellationToken::new(), TaskTracker::new());
        let tap = Tap::new(ours, name, self.clone(), number, cut.clone(), reader.token());
        state.links.retain(|link| !link.reader.is_empty());
        state.links.push(Link { number, session: None, cut, reader });
        Some(tap)
    }

    /// Records the session of a connection.
    fn joined(&self, number: u64, session: u64) {
        let mut state = self.lock();
        if let Some(link) = state.links.iter_mut().find(|link| link.number == number) {
            link.session = Some(session);
        }
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").field("router", &self.router()).finish_non_exhaustive()
    }
}
