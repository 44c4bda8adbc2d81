//! `wamp.session.kill` and its variants (Advanced Profile, *Session Meta API*; behaviour
//! [184](crate::behaviour#rule-184), [185](crate::behaviour#rule-185)).
//!
//! The caller never ends itself this way. A session that has begun to end is not there any more.

use serde::Deserialize;
use wamp_proto::{Uri, uri};

use super::arguments::{self, ids};
use super::{Answer, Procedure, Request, acts};
use crate::router::context::Refused;
use crate::router::realm::Realm;
use crate::router::sessions::{Session, SessionKey};

pub(super) const PROCEDURES: &[Procedure] = &[
    acts("wamp.session.kill", kill),
    acts("wamp.session.kill_by_authid", kill_by_authid),
    acts("wamp.session.kill_by_authrole", kill_by_authrole),
    acts("wamp.session.kill_all", kill_all),
];

/// The reason and message of the GOODBYE that a killed session gets.
#[derive(Deserialize)]
struct Options {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// Sessions to end, and the contents of their GOODBYE.
struct Kill {
    reason: Uri,
    message: Option<String>,
}

impl Kill {
    fn read(request: &Request<'_>) -> Result<Self, Refused> {
        let Options { reason, message } = request.keywords()?;
        let reason = arguments::reason(reason)?.unwrap_or(uri::KILLED);
        Ok(Self { reason, message })
    }

    /// Ends these sessions when the result has been sent; without meta events if all sessions end.
    fn after(self, answer: Answer, sessions: Vec<SessionKey>, silently: bool) -> Answer {
        let Self { reason, message } = self;
        answer.and_then(move |realm| realm.kill_all(sessions, reason, message, silently))
    }
}

fn kill(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let id = request.argument()?;
    let kill = Kill::read(request)?;
    let session = arguments::session(realm, id)?;
    if session == request.from {
        return Err((uri::NO_SUCH_SESSION, "a session cannot kill itself: leave instead".to_owned()));
    }
    Ok(kill.after(Answer::nothing(), vec![session], false))
}

fn kill_by_authid(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let authid = request.argument::<String>()?;
    let kill = Kill::read(request)?;
    let sessions = others(realm, request, |session| *session.identity.authid == *authid);
    Ok(kill.after(Answer::value(request, ids(sessions.clone()))?, sessions, false))
}

fn kill_by_authrole(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let authrole = request.argument::<String>()?;
    let kill = Kill::read(request)?;
    let sessions = others(realm, request, |session| *session.identity.authrole == *authrole);
    Ok(kill.after(Answer::value(request, sessions.len())?, sessions, false))
}

fn kill_all(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let kill = Kill::read(request)?;
    let sessions = others(realm, request, |_| true);
    Ok(kill.after(Answer::value(request, sessions.len())?, sessions, true))
}

/// Returns all sessions that match, except the caller.
fn others(realm: &Realm, request: &Request<'_>, is_one: impl Fn(&Session) -> bool) -> Vec<SessionKey> {
    let sessions = realm.cx.sessions.iter().filter(|(key, session)| *key != request.from && is_one(session));
    sessions.map(|(key, _)| key).collect()
}
