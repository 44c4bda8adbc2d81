//! Authorizers of the program: decisions about requests to which no rule of a role applies.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use wamp_core::router::{Question, Ticket, Verdict};
use wamp_proto::{ByteString, quoted};

use crate::own_calls::Procedure;
use crate::realm::Realm;
use crate::router::RouterState;

/// The time for an answer of a procedure, which is that for a decision.
const PATIENCE: Duration = Duration::from_secs(4);

/// The questions to the authorizers of a realm.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    new: Vec<New>,
    /// The questions without a verdict. Without its entry a question is void.
    open: HashMap<Ticket, oneshot::Sender<()>>,
}

/// A question that nothing has been asked yet.
#[derive(Debug)]
pub(crate) struct New {
    ticket: Ticket,
    question: Question,
    /// It resolves when the question is void.
    void: oneshot::Receiver<()>,
}

impl Questions {
    pub(crate) fn add(&mut self, ticket: Ticket, question: Question) {
        let (open, void) = oneshot::channel();
        self.open.insert(ticket, open);
        self.new.push(New { ticket, question, void });
    }

    /// Records that a question has a verdict, or is void.
    pub(crate) fn end(&mut self, ticket: Ticket) {
        self.open.remove(&ticket);
    }

    /// Returns the key of an open question.
    #[cfg(test)]
    pub(crate) fn first(&self) -> Option<Ticket> {
        self.open.keys().next().copied()
    }

    /// Returns the new questions.
    pub(crate) fn take(&mut self) -> Vec<New> {
        std::mem::take(&mut self.new)
    }
}

/// A source of decisions about requests, beside the rules of a role: a database, a directory, or any other service.
///
/// It is asked about CALL, REGISTER, PUBLISH and SUBSCRIBE to which no rule applies, outside of all locks, and has 4 s to
/// answer. A verdict decides about one request, unless it is [valid for](Verdict::valid_for) some time. Meanwhile the later requests of the session wait, so that their order stays. Up to 64 questions of a session are
/// under way at a time.
///
/// ```
/// use wamp_router::{Authorizer, Question, RealmConfig, Role, Router, Verdict, async_trait};
///
/// /// Each device may use what is below its own name.
/// struct OwnUris;
///
/// #[async_trait]
/// impl Authorizer for OwnUris {
///     async fn decide(&self, question: &Question) -> Verdict {
///         let own = format!("com.device.{}.", question.identity.authid);
///         if question.uri.starts_with(&own) { Verdict::ALLOWED } else { Verdict::DENIED }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let realm = RealmConfig::new("shop").anonymous("device").role(Role::new("device")).authorizer("device", OwnUris);
/// let router = Router::builder().realm_with(realm).build();
/// # }
/// ```
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// Decides about a request, if that takes no time. It is asked first, and [`decide`](Self::decide) only if it returns
    /// `None`.
    fn at_once(&self, _question: &Question) -> Option<Verdict> {
        None
    }

    /// Decides about a request.
    async fn decide(&self, question: &Question) -> Verdict;
}

/// The authorizer of a role.
#[derive(Clone)]
pub(crate) enum Decider {
    Program(Arc<dyn Authorizer>),
    Procedure(Procedure),
}

/// The authorizers of a realm, by role.
pub(crate) type Deciders = BTreeMap<ByteString, Decider>;

impl fmt::Debug for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(_) => f.write_str("Authorizer"),
            Self::Procedure(procedure) => fmt::Debug::fmt(procedure, f),
        }
    }
}

impl Decider {
    async fn decide(&self, realm: &Realm, router: &RouterState, question: &Question) -> Verdict {
        match self {
            Self::Program(authorizer) => authorizer.decide(question).await,
            Self::Procedure(procedure) => match ask(procedure, realm, router, question).await {
                Ok(verdict) => verdict,
                Err(why) => {
                    let (realm, procedure) = (realm.name(), quoted(procedure.uri()));
                    tracing::warn!(%realm, %procedure, why, "the authorizer has not decided");
                    Verdict::UNDECIDED
                }
            },
        }
    }
}

async fn ask(
    procedure: &Procedure,
    realm: &Realm,
    router: &RouterState,
    question: &Question,
) -> Result<Verdict, String> {
    let arguments = |serializer| question.arguments(realm.name(), serializer);
    Verdict::read(procedure.call(router, realm.name(), arguments, PATIENCE).await?)
}

impl Realm {
    /// Asks the authorizers. Those that answer at once are heard before this returns.
    pub(crate) fn ask(&self, mut questions: Vec<New>) {
        while !questions.is_empty() {
            let verdicts = self.ask_once(questions);
            if verdicts.is_empty() {
                return;
            }
            questions = self.decide_at_once(verdicts);
        }
    }

    /// Asks the authorizers. Returns the verdicts of those that answer at once.
    fn ask_once(&self, questions: Vec<New>) -> Vec<(Ticket, Verdict)> {
        let Some((realm, router)) = self.with_router() else { return Vec::new() };
        let (authorizers, mut verdicts) = (self.authorizers(), Vec::new());
        for New { ticket, question, void } in questions {
            let Some(decider) = authorizers.get(&question.identity.authrole) else {
                // The configuration has changed.
                verdicts.push((ticket, Verdict::UNDECIDED));
                continue;
            };
            if let Decider::Program(authorizer) = decider
                && let Some(verdict) = authorizer.at_once(&question)
            {
                verdicts.push((ticket, verdict));
                continue;
            }
            let (realm, router, decider) = (realm.clone(), router.clone(), decider.clone());
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    // Its time is over, or its request has ended.
                    _ = void => {}
                    verdict = decider.decide(&realm, &router, &question) => {
                        realm.decide([(ticket, verdict)]).await;
                    }
                }
            });
        }
        verdicts
    }
}
