//! Procedures that always give the same answer.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream;
use serde::Serialize;
use wamp_client::{Failure, Invocation, Payload, Registration, Reply, Session, Uri};

/// A procedure that always gives the same answer, and records the arguments of its calls.
#[derive(Debug)]
pub struct Stub {
    calls: Arc<Calls>,
    registration: Registration,
}

#[derive(Debug, Default)]
struct Calls(Mutex<Vec<Payload>>);

impl Calls {
    fn record(&self, call: &Invocation) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call.payload().clone());
    }
}

impl Stub {
    /// Returns the arguments of the calls so far.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let net = wamp_test::Net::start();
    /// # let session = net.connect("alice").await?;
    /// # use wamp_client::Reply;
    /// let stub = net.stub("com.example.add", [Reply::Result(42)]).await;
    /// session.call("com.example.add").args((40, 2)).await?;
    /// assert_eq!(stub.calls()[0].args::<(i64, i64)>()?, (40, 2));
    /// # Ok(())
    /// # }
    /// ```
    pub fn calls(&self) -> Vec<Payload> {
        self.calls.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the procedure back.
    ///
    /// # Panics
    /// If the router is down or refuses.
    pub async fn remove(self) {
        self.registration.unregister().await.expect("a stub can be unregistered");
    }
}

pub(crate) async fn replies<T>(session: &Session, procedure: Uri, replies: Vec<Reply<T>>) -> Stub
where
    T: Serialize + Clone + Send + Sync + 'static,
{
    let calls = Arc::<Calls>::default();
    let (record, replies): (_, Arc<[_]>) = (calls.clone(), replies.into());
    let registering = session.register_stream(procedure.clone(), move |call: Invocation| {
        record.record(&call);
        let replies: Vec<Reply<T>> = replies.to_vec();
        stream::iter(replies.into_iter().map(Ok::<_, Failure>))
    });
    let registration = registering.await.unwrap_or_else(|error| panic!("cannot stub {procedure}: {error}"));
    Stub { calls, registration }
}

pub(crate) async fn error(
    session: &Session,
    procedure: Uri,
    error: impl Fn() -> Failure + Send + Sync + 'static,
) -> Stub {
    let calls = Arc::<Calls>::default();
    let record = calls.clone();
    let registering = session.register(procedure.clone(), move |call: Invocation| {
        record.record(&call);
        let failure = error();
        async { Err::<(), _>(failure) }
    });
    let registration = registering.await.unwrap_or_else(|error| panic!("cannot stub {procedure}: {error}"));
    Stub { calls, registration }
}
