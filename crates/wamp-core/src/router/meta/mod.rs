//! The meta API: procedures and topics of the reserved namespace `wamp` that the router itself has (Advanced Profile,
//! *Meta API*; behaviour [170](crate::behaviour#rule-170) to [187](crate::behaviour#rule-187)).
//!
//! The procedures are the table [`PROCEDURES`], with a file for each group. They are no registrations: no client can
//! take one, and no list shows one. A call is answered at once. A procedure returns its result together with
//! an action. The action runs only after the result was sent, so the result precedes its consequences.

mod arguments;
mod events;
mod history;
mod kill;
mod part;
mod registration;
mod session;
mod subscription;
mod testament;

use wamp_proto::message::{self, MatchPolicy, RequestKind, ResultDetails};
use wamp_proto::uri::UriKind;
use wamp_proto::{Message, Payload, Serializer, quoted, uri};

pub(super) use self::part::{SessionPart, Testament, Testaments};
use super::config::Meta;
use super::context::{Refused, Violation};
use super::outbox::{FrameInfo, check};
use super::realm::Realm;
use super::refused::meta_denied;
use super::sessions::SessionKey;

/// A built-in procedure.
struct Procedure {
    uri: &'static str,
    /// The part of the meta API that a caller must be allowed to use.
    part: Meta,
    /// Whether it takes long if there are many sessions, registrations or subscriptions.
    lists: bool,
    run: fn(&Realm, &Request<'_>) -> Result<Answer, Refused>,
}

/// All procedures, by group.
const PROCEDURES: &[&[Procedure]] = &[
    session::PROCEDURES,
    kill::PROCEDURES,
    registration::PROCEDURES,
    subscription::PROCEDURES,
    history::PROCEDURES,
    testament::PROCEDURES,
];

const fn own(uri: &'static str, run: fn(&Realm, &Request<'_>) -> Result<Answer, Refused>) -> Procedure {
    Procedure { uri, part: Meta::Own, lists: false, run }
}

const fn reads(uri: &'static str, run: fn(&Realm, &Request<'_>) -> Result<Answer, Refused>) -> Procedure {
    Procedure { uri, part: Meta::Read, lists: false, run }
}

const fn lists(uri: &'static str, run: fn(&Realm, &Request<'_>) -> Result<Answer, Refused>) -> Procedure {
    Procedure { uri, part: Meta::Read, lists: true, run }
}

const fn acts(uri: &'static str, run: fn(&Realm, &Request<'_>) -> Result<Answer, Refused>) -> Procedure {
    Procedure { uri, part: Meta::Control, lists: false, run }
}

/// A call of a built-in procedure.
struct Request<'a> {
    from: SessionKey,
    payload: &'a Payload,
    /// The serializer of the result.
    serializer: Serializer,
}

/// The consequence of a call, which happens when its result has been sent.
type Effect = Box<dyn FnOnce(&mut Realm)>;

/// The result of a call, and its consequence.
struct Answer {
    payload: Payload,
    effect: Option<Effect>,
}

impl Answer {
    /// A result without arguments.
    fn nothing() -> Self {
        Self { payload: Payload::empty(), effect: None }
    }

    /// A result without arguments, and its consequence.
    fn then(effect: impl FnOnce(&mut Realm) + 'static) -> Self {
        Self::nothing().and_then(effect)
    }

    /// The same with a consequence.
    fn and_then(self, effect: impl FnOnce(&mut Realm) + 'static) -> Self {
        Self { effect: Some(Box::new(effect)), ..self }
    }

    /// A result of one argument.
    fn value(request: &Request<'_>, value: impl serde::Serialize) -> Result<Self, Refused> {
        match Payload::new(request.serializer, &(value,)) {
            Ok(payload) => Ok(Self { payload, effect: None }),
            Err(error) => Err((uri::INVALID_ARGUMENT, format!("the result cannot be written: {error}"))),
        }
    }
}

/// Ids by match policy; all three lists are always there.
#[derive(Default, serde::Serialize)]
struct ByPolicy {
    exact: Vec<u64>,
    prefix: Vec<u64>,
    wildcard: Vec<u64>,
}

impl ByPolicy {
    fn new(ids: impl Iterator<Item = (u64, MatchPolicy)>) -> Self {
        let mut lists = Self::default();
        for (id, policy) in ids {
            match policy {
                MatchPolicy::Prefix => lists.prefix.push(id),
                MatchPolicy::Wildcard => lists.wildcard.push(id),
                _ => lists.exact.push(id),
            }
        }
        for list in [&mut lists.exact, &mut lists.prefix, &mut lists.wildcard] {
            list.sort_unstable();
        }
        lists
    }
}

/// Lists that a session may ask for in each second.
const LISTS: u32 = 100;

impl Realm {
    /// Handles a CALL of a reserved URI, which never goes to a client (behaviour
    /// [101](crate::behaviour#rule-101)).
    pub(super) fn handle_meta_call(
        &mut self,
        from: SessionKey,
        call: message::Call,
        bytes: usize,
        info: &FrameInfo,
    ) -> Result<(), Violation> {
        if self.cx.check_call(from, &call)? {
            // The call has ended: the chunk is late.
            return self.dealer.handle_chunk(&mut self.cx, from, call, bytes, info);
        }
        self.call_meta(from, &call);
        Ok(())
    }

    /// Handles a CALL of a reserved URI that has been checked.
    pub(super) fn call_meta(&mut self, from: SessionKey, call: &message::Call) {
        match self.answer(from, call) {
            Ok((message, effect)) => {
                self.cx.out.send(from, message);
                if let Some(effect) = effect {
                    effect(self);
                }
            }
            Err((error, text)) => self.cx.refuse(from, RequestKind::Call, call.request, error, &text),
        }
    }

    /// The RESULT of a call, and its consequence.
    fn answer(
        &mut self,
        from: SessionKey,
        call: &message::Call,
    ) -> Result<(Message, Option<Effect>), Refused> {
        let message::Call { request, options, procedure, payload } = call;
        let Some(found) = find(procedure) else {
            self.cx.config.check_uri(procedure, UriKind::Exact)?;
            let text = format!("no procedure {} is registered", quoted(procedure));
            return Err((uri::NO_SUCH_PROCEDURE, text));
        };
        if options.progress == Some(true) || options.ppt.as_deref().is_some_and(|ppt| ppt.form().is_some()) {
            let text = "the meta API takes no calls in chunks and no opaque payloads";
            return Err((uri::FEATURE_NOT_SUPPORTED, text.to_owned()));
        }
        if !self.cx.allows_meta(from, found.part) {
            return Err(meta_denied());
        }
        if found.lists {
            self.check_rate(from)?;
        }
        let gone = || (uri::CANCELED, "the caller has left".to_owned());
        let session = self.cx.sessions.get(from).ok_or_else(gone)?;
        let asked = Request { from, payload, serializer: session.serializer };
        let Answer { payload, effect } = (found.run)(self, &asked)?;
        let message =
            Message::from(message::Result { request: *request, details: ResultDetails::default(), payload });
        check(&message, session).map_err(|refusal| (refusal.error, refusal.text))?;
        Ok((message, effect))
    }

    /// Counts a list that a session asks for.
    fn check_rate(&mut self, from: SessionKey) -> Result<(), Refused> {
        let now = self.cx.now;
        let Some(session) = self.cx.sessions.get_mut(from) else { return Ok(()) };
        let part = session.meta.get_or_insert_default();
        let (since, lists) = part.lists.get_or_insert((now, 0));
        if now.since(*since).as_secs() > 0 {
            (*since, *lists) = (now, 0);
        }
        if *lists >= LISTS {
            let text = format!("a session may ask the meta API for {LISTS} lists in a second");
            return Err((uri::UNAVAILABLE, text));
        }
        *lists += 1;
        Ok(())
    }
}

fn find(uri: &str) -> Option<&'static Procedure> {
    PROCEDURES.iter().copied().flatten().find(|procedure| procedure.uri == uri)
}
