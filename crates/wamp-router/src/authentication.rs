//! The authentication of the clients of a realm: which may join, as which principal.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use wamp_core::auth::cryptosign::PublicKey;
use wamp_core::auth::{
    Admission, Begun, Denied, Exchange, Identity, Method, Offer, Principal, Principals, Secret, fingerprint,
};
use wamp_core::router::Protocol;
use wamp_proto::message::{Authenticate, Challenge, Hello, HelloDetails};
use wamp_proto::{ByteString, SessionId, uri};
use wamp_transport::Security;
use wamp_transport::socket::Peer;

use crate::authenticator::{Applicant, Authenticator, Rejection};
use crate::authenticator_procedure::ProcedureOf;
use crate::own_calls::Procedure;
use crate::router::RouterState;

/// The provider of identities that are in the configuration.
const STATIC: &str = "static";

/// The time that an authenticator has.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The most slow verifications at a time.
const PLACES: usize = 4;

/// The principals of a realm, and the secret for those that do not exist.
#[derive(Debug)]
pub(crate) struct Authentication {
    principals: Principals,
    methods: Vec<Method>,
    authenticator: Option<Arc<dyn Authenticator>>,
    /// The methods of the authenticator, which is asked for them once.
    of_authenticator: Vec<Method>,
    procedures: BTreeMap<Method, Procedure>,
    /// The methods of the authenticator and the procedures.
    dynamic: Vec<Method>,
    shadows: Secret,
    /// Places for slow verifications.
    places: Arc<Semaphore>,
}

/// The link of a client, as far as its authentication needs it.
pub(crate) struct LinkFacts<'a> {
    pub(crate) security: Option<&'a Security>,
    pub(crate) protocol: Protocol,
    pub(crate) peer: &'a Peer,
    pub(crate) router: &'a Arc<RouterState>,
}

/// The next step of a client's authentication.
pub(crate) enum Step {
    Admit(Admission),
    /// It must answer a CHALLENGE.
    Challenge(Pending),
    /// The step is not known yet.
    Later(Later),
}

/// A step that an authenticator decides.
pub(crate) type Later = Pin<Box<dyn Future<Output = Result<Step, Denied>> + Send>>;

/// A client that has to answer a CHALLENGE.
pub(crate) enum Pending {
    Exchange(Box<Exchange>),
    /// An authenticator verifies the ticket.
    Ticket(Box<Lookup>),
}

/// A source of principals.
enum Source {
    Program(Arc<dyn Authenticator>),
    Procedure(ProcedureOf),
}

/// A question to an authenticator.
pub(crate) struct Lookup {
    source: Source,
    applicant: Applicant,
    details: HelloDetails,
    offer: Offer,
}

impl Authentication {
    pub(crate) fn new(
        principals: Principals,
        authenticator: Option<Arc<dyn Authenticator>>,
        procedures: BTreeMap<Method, Procedure>,
    ) -> Self {
        let mut shadows = [0; 32];
        getrandom::fill(&mut shadows).expect("a system without random numbers is none to run a router on");
        let of_authenticator = authenticator.as_ref().map(|it| it.methods()).unwrap_or_default();
        let mut dynamic = of_authenticator.clone();
        let further: Vec<Method> = procedures.keys().filter(|it| !dynamic.contains(it)).copied().collect();
        dynamic.extend(further);
        let (methods, shadows) = (principals.methods(), Secret::from(&shadows[..]));
        Self {
            principals,
            methods,
            authenticator,
            of_authenticator,
            procedures,
            dynamic,
            shadows,
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }

    /// Returns the authentication with other principals. Unknown authids look as before.
    pub(crate) fn replaced(
        &self,
        principals: Principals,
        authenticator: Option<Arc<dyn Authenticator>>,
        procedures: BTreeMap<Method, Procedure>,
    ) -> Self {
        let mut new = Self::new(principals, authenticator, procedures);
        (new.shadows, new.places) = (self.shadows.clone(), self.places.clone());
        new
    }

    /// Returns whether a client that was admitted `before`, by an earlier version of this, is still admitted (behaviour
    /// [268](wamp_core::behaviour#rule-268)).
    pub(crate) fn still_admits(&self, before: &Self, identity: &Identity) -> bool {
        let Identity { authid, authrole, authmethod, authprovider, .. } = identity;
        let Some(method) = Method::from_name(authmethod) else { return true };
        if method == Method::Anonymous {
            return self.principals.anonymous().as_ref() == Some(authrole);
        }
        if let Some(before) = before.principals.get(authid).filter(|_| **authprovider == *STATIC) {
            let principal = self.principals.get(authid);
            return principal
                .is_some_and(|now| now.roles().contains(authrole) && now.keeps_proofs_of(before, method));
        }
        self.dynamic.contains(&method)
    }

    /// Checks a client that has begun to join with an earlier version of this.
    pub(crate) fn check(&self, began: &Self, identity: &Identity) -> Result<(), Denied> {
        if std::ptr::eq(self, began) || self.still_admits(began, identity) {
            return Ok(());
        }
        let text = "the configuration of the router has changed meanwhile; try again";
        Err(Denied { reason: uri::AUTHENTICATION_FAILED, text })
    }

    /// Returns whether clients without a proof may join.
    pub(crate) fn is_open(&self) -> bool {
        self.principals.anonymous().is_some()
    }

    /// Returns the places for slow verifications.
    pub(crate) fn places(&self) -> &Arc<Semaphore> {
        &self.places
    }

    /// Decides about a client.
    pub(crate) fn begin(&self, hello: &Hello, link: &LinkFacts<'_>) -> Result<Step, Denied> {
        let details = &hello.details;
        let offer = self.offer(link)?;
        match self.principals.begin(&self.methods, &self.dynamic, details, &offer)? {
            Begun::Admitted(admission) => Ok(Step::Admit(admission)),
            Begun::Challenged(exchange) => Ok(Step::Challenge(Pending::Exchange(exchange))),
            Begun::LookUp(method) => Ok(self.look_up(method, hello, link, offer)),
        }
    }

    fn offer(&self, link: &LinkFacts<'_>) -> Result<Offer, Denied> {
        let mut random = [0; 80];
        getrandom::fill(&mut random).map_err(|error| {
            tracing::error!(%error, "cannot get random numbers");
            failed()
        })?;
        let (random, session) = random.split_first_chunk::<72>().expect("80 bytes are more than 72");
        let session = session.first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default() >> 11;
        let session = SessionId::new(session + 1).expect("a number from 1 to 2^53");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut offer = Offer::new(random, self.shadows.clone(), session, now);
        offer.channel = link.security.and_then(|security| security.channel_binding);
        offer.certificate = link.certificate().map(|certificate| fingerprint(certificate));
        Ok(offer)
    }

    fn look_up(&self, method: Method, hello: &Hello, link: &LinkFacts<'_>, mut offer: Offer) -> Step {
        let program = self.authenticator.as_ref().filter(|_| self.of_authenticator.contains(&method));
        let source = match (program, self.procedures.get(&method)) {
            (Some(authenticator), _) => Source::Program(authenticator.clone()),
            (None, Some(procedure)) => {
                let (procedure, router, places) =
                    (procedure.clone(), link.router.clone(), self.places.clone());
                Source::Procedure(ProcedureOf { procedure, router, places })
            }
            (None, None) => return Step::Later(Box::pin(async { Err(failed()) })),
        };
        let details = hello.details.clone();
        let extra = details.authextra.clone().unwrap_or_default();
        let applicant = Applicant {
            realm: hello.realm.clone(),
            authid: details.authid.clone(),
            authrole: details.authrole.clone(),
            public_key: extra.text("pubkey").and_then(|key| PublicKey::from_hex(&key).ok()),
            authextra: extra,
            method,
            ticket: None,
            session: offer.session,
            protocol: link.protocol,
            peer: (*link.peer != Peer::Other).then(|| link.peer.to_string()),
            is_confidential: link.security.is_some_and(|security| security.is_confidential),
            certificate: link.certificate().cloned(),
        };
        if let Some(authenticator) = program {
            offer.provider = authenticator.provider();
        } else {
            offer.provider = ByteString::from_static("dynamic");
        }
        let lookup = Lookup { source, applicant, details, offer };
        match method {
            Method::Ticket => Step::Challenge(Pending::Ticket(Box::new(lookup))),
            _ => Step::Later(Box::pin(lookup.run())),
        }
    }
}

impl LinkFacts<'_> {
    fn certificate(&self) -> Option<&Bytes> {
        self.security?.certificate.as_ref()
    }
}

impl Pending {
    /// Returns the CHALLENGE.
    pub(crate) fn challenge(&self) -> Challenge {
        match self {
            Self::Exchange(exchange) => exchange.challenge(),
            Self::Ticket(_) => wamp_core::auth::ticket::challenge(),
        }
    }

    /// Returns whether the verification of an answer is slow.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self, Self::Exchange(exchange) if exchange.is_slow())
    }

    /// Returns the authid that the client claims.
    pub(crate) fn authid(&self) -> &str {
        match self {
            Self::Exchange(exchange) => exchange.authid(),
            Self::Ticket(lookup) => lookup.applicant.authid.as_deref().unwrap_or_default(),
        }
    }

    /// Verifies the answer.
    pub(crate) fn verify(self, said: Box<Authenticate>, places: &Arc<Semaphore>) -> Result<Step, Denied> {
        match self {
            Self::Exchange(exchange) if exchange.is_slow() => {
                let places = places.clone();
                Ok(Step::Later(Box::pin(async move {
                    let verifying = at_a_place(places, move || exchange.verify(&said).map(Step::Admit));
                    verifying.await.unwrap_or_else(|| Err(failed()))
                })))
            }
            Self::Exchange(exchange) => exchange.verify(&said).map(Step::Admit),
            Self::Ticket(mut lookup) => {
                lookup.applicant.ticket = Some(Secret::from(&*said.signature));
                Ok(Step::Later(Box::pin(lookup.run())))
            }
        }
    }
}

/// Does slow work when there is a place for it. The work continues, and keeps its place, even if the client disconnects.
/// Returns `None` if the runtime shuts down.
pub(crate) async fn at_a_place<T: Send + 'static>(
    places: Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let place = places.acquire_owned().await.ok()?;
    let working = spawn_blocking(move || {
        let _place = place;
        work()
    });
    working.await.ok()
}

impl Lookup {
    async fn run(self) -> Result<Step, Denied> {
        let Self { source, applicant, details, offer } = &self;
        let method = applicant.method;
        let looking_up = async {
            match source {
                Source::Program(authenticator) => authenticator.principal(applicant).await,
                Source::Procedure(procedure) => procedure.principal(applicant).await,
            }
        };
        let found = match timeout(PATIENCE, looking_up).await {
            Ok(found) => found,
            Err(_) => Err(Rejection::Failed("it took too long".to_owned())),
        };
        let principal: Option<Principal> = match found {
            Ok(principal) => Some(principal),
            Err(Rejection::Unknown) => None,
            Err(Rejection::Failed(why)) => {
                tracing::warn!(realm = %applicant.realm, why, "the authenticator has failed");
                return Err(failed());
            }
        };
        let fits = |principal: &Principal| {
            method != Method::Tls || offer.certificate.is_some_and(|it| principal.has_certificate(&it))
        };
        match (method, principal) {
            (Method::Ticket | Method::Tls, Some(principal)) if fits(&principal) => {
                let (provider, session) = (offer.provider.clone(), Some(offer.session));
                principal.admit(method, details, provider, session).map(Step::Admit)
            }
            (Method::Ticket | Method::Tls, _) => {
                Err(Denied { reason: uri::AUTHENTICATION_DENIED, text: "the proof is not accepted" })
            }
            (_, principal) => {
                let exchange = Exchange::begin(method, principal.as_ref().ok_or(None), details, offer)?;
                Ok(Step::Challenge(Pending::Exchange(Box::new(exchange))))
            }
        }
    }
}

fn failed() -> Denied {
    Denied { reason: uri::AUTHENTICATION_FAILED, text: "the router cannot authenticate the client now" }
}
