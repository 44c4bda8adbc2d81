//! Disclosure of callers to callees (Advanced Profile, *Caller Identification*; behaviour
//! [67](crate::behaviour#rule-67)).

use wamp_proto::message::Discloser;
use wamp_proto::{Uri, uri};

use crate::router::SessionKey;
use crate::router::config::Disclosure;
use crate::router::sessions::Session;

/// The identity of the caller in an INVOCATION: none, unless the caller or the callee asks and the realm allows
/// it; and the trust level of the call.
pub(super) fn disclose(
    policy: Disclosure,
    caller_asks: bool,
    callee_asks: bool,
    trustlevel: Option<u64>,
    key: SessionKey,
    caller: &Session,
) -> Result<Option<Box<Discloser>>, (Uri, String)> {
    let disclosed = match policy {
        Disclosure::Never if caller_asks => {
            let text = "this realm does not disclose callers";
            return Err((uri::DISCLOSE_ME_DISALLOWED, text.to_owned()));
        }
        Disclosure::Never => false,
        Disclosure::OnRequest => caller_asks || callee_asks,
        Disclosure::Always => true,
    };
    if !disclosed && trustlevel.is_none() {
        return Ok(None);
    }
    Ok(Some(Box::new(Discloser {
        caller: disclosed.then(|| key.id()),
        caller_authid: disclosed.then(|| caller.identity.authid.clone()),
        caller_authrole: disclosed.then(|| caller.identity.authrole.clone()),
        trustlevel,
        ..Discloser::default()
    })))
}
