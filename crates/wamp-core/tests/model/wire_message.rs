//! A message as the model compares it: ordered, hashable, and without the parts that the specification leaves
//! open (registration ids, texts for people).

use std::collections::BTreeMap;

use wamp_core::{Failure, Reply};
use wamp_proto::message::{
    Call, CallOptions, Cancel, CancelMode, CancelOptions, CloseDetails, Credit, CreditOptions, Error,
    ErrorDetails, Goodbye, Millis, Register, RegisterOptions, RequestKind, Total, Unregister, Yield,
    YieldOptions,
};
use wamp_proto::{Message, Payload, RegistrationId, RequestId, Serializer, Uri, uri};

/// A procedure: `com.myapp.p0`, `com.myapp.p1`, …
pub type Procedure = u8;

/// A number that a payload carries. Each is used once in a world; 0 means none.
pub type Tag = u64;

/// The error of an invocation that failed in the application.
pub const FAILED: &str = "com.myapp.failed";

/// The error of a callee that refuses a call, and of a call that all callees have refused.
pub const UNAVAILABLE: &str = "wamp.error.unavailable";
pub const NO_CALLEE: &str = "wamp.error.no_available_callee";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    Skip,
    Kill,
    KillNoWait,
}

impl Mode {
    pub const ALL: [Mode; 3] = [Mode::Skip, Mode::Kill, Mode::KillNoWait];
}

impl From<Mode> for CancelMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Skip => CancelMode::Skip,
            Mode::Kill => CancelMode::Kill,
            Mode::KillNoWait => CancelMode::KillNoWait,
        }
    }
}

impl From<CancelMode> for Mode {
    fn from(mode: CancelMode) -> Self {
        match mode {
            CancelMode::Skip => Mode::Skip,
            CancelMode::Kill => Mode::Kill,
            CancelMode::KillNoWait => Mode::KillNoWait,
            other => panic!("a mode that the model does not know: {other:?}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WireMessage {
    // Messages to the router.
    Register {
        request: u64,
        procedure: Procedure,
    },
    Unregister {
        request: u64,
        procedure: Option<Procedure>,
    },
    Call {
        request: u64,
        procedure: Procedure,
        more: bool,
        wants_progress: bool,
        timeout: u64,
        tag: Tag,
    },
    Cancel {
        request: u64,
        mode: Option<Mode>,
    },
    Yield {
        invocation: u64,
        progress: bool,
        tag: Tag,
    },
    // Messages from the router.
    Welcome,
    Registered {
        request: u64,
    },
    Unregistered {
        request: u64,
    },
    Invocation {
        invocation: u64,
        procedure: Option<Procedure>,
        more: bool,
        wants_progress: bool,
        timeout: u64,
        tag: Tag,
    },
    Interrupt {
        invocation: u64,
        mode: Mode,
        reason: &'static str,
    },
    Result {
        request: u64,
        progress: bool,
        tag: Tag,
    },
    // Messages in either direction.
    Credit {
        request: u64,
        chunks: Option<bool>,
        total: Option<u64>,
    },
    // GOODBYE and ABORT are last in this order, as on a wire.
    Error {
        kind: u8,
        request: u64,
        error: &'static str,
        tag: Tag,
    },
    Goodbye {
        reason: &'static str,
    },
    Abort {
        reason: &'static str,
    },
}

impl WireMessage {
    /// Returns whether this is a message of a stream that costs credit.
    pub fn costs(&self) -> bool {
        matches!(
            self,
            WireMessage::Call { more: true, .. }
                | WireMessage::Invocation { more: true, .. }
                | WireMessage::Yield { progress: true, .. }
                | WireMessage::Result { progress: true, .. }
        )
    }
}

/// The REQUEST.Type of an ERROR.
pub const OF_CALL: u8 = 48;
pub const OF_REGISTER: u8 = 64;
pub const OF_UNREGISTER: u8 = 66;
pub const OF_INVOCATION: u8 = 68;

/// The procedure of each registration.
pub type Names = BTreeMap<RegistrationId, Procedure>;

pub fn wire_message(message: &Message, names: &Names) -> WireMessage {
    match message {
        Message::Register(m) => {
            WireMessage::Register { request: m.request.get(), procedure: procedure(&m.procedure) }
        }
        Message::Unregister(m) => {
            let procedure = names.get(&m.registration).copied();
            WireMessage::Unregister { request: m.request.get(), procedure }
        }
        Message::Call(m) => WireMessage::Call {
            request: m.request.get(),
            procedure: procedure(&m.procedure),
            more: m.options.progress == Some(true),
            wants_progress: m.options.receive_progress == Some(true),
            timeout: m.options.timeout.map_or(0, |timeout| timeout.0),
            tag: tag(&m.payload),
        },
        Message::Cancel(m) => {
            WireMessage::Cancel { request: m.request.get(), mode: m.options.mode.map(Mode::from) }
        }
        Message::Yield(m) => WireMessage::Yield {
            invocation: m.request.get(),
            progress: m.options.is_progress(),
            tag: tag(&m.payload),
        },
        Message::Welcome(_) => WireMessage::Welcome,
        Message::Registered(m) => WireMessage::Registered { request: m.request.get() },
        Message::Unregistered(m) => {
            WireMessage::Unregistered { request: m.request.map_or(0, RequestId::get) }
        }
        Message::Invocation(m) => WireMessage::Invocation {
            invocation: m.request.get(),
            procedure: names.get(&m.registration).copied(),
            more: m.details.progress == Some(true),
            wants_progress: m.details.receive_progress == Some(true),
            timeout: m.details.timeout.map_or(0, |timeout| timeout.0),
            tag: tag(&m.payload),
        },
        Message::Interrupt(m) => WireMessage::Interrupt {
            invocation: m.request.get(),
            mode: m.options.mode.map(Mode::from).expect("our router always sends the mode"),
            reason: m.options.reason.as_ref().map_or("", |reason| known(reason)),
        },
        Message::Result(m) => {
            let tag = tag(&m.payload);
            WireMessage::Result { request: m.request.get(), progress: m.details.is_progress(), tag }
        }
        Message::Error(m) => WireMessage::Error {
            kind: kind(m.kind),
            request: m.request.get(),
            error: known(&m.error),
            tag: tag(&m.payload),
        },
        Message::Credit(m) => {
            WireMessage::Credit { request: m.request.get(), chunks: m.options.chunks, total: m.total.0 }
        }
        Message::Goodbye(m) => WireMessage::Goodbye { reason: known(&m.reason) },
        Message::Abort(m) => WireMessage::Abort { reason: known(&m.reason) },
        other => panic!("a message that no model sends: {other:?}"),
    }
}

fn kind(kind: RequestKind) -> u8 {
    match kind {
        RequestKind::Call => OF_CALL,
        RequestKind::Register => OF_REGISTER,
        RequestKind::Unregister => OF_UNREGISTER,
        RequestKind::Invocation => OF_INVOCATION,
        other => panic!("a message that the model does not know: {other:?}"),
    }
}

/// Returns the number in a payload, or 0 if it carries anything else, such as a text.
pub fn tag(payload: &Payload) -> Tag {
    if payload.is_empty() { 0 } else { payload.decode().unwrap_or(0) }
}

pub fn payload(serializer: Serializer, tag: Tag) -> Payload {
    Payload::new(serializer, &tag).expect("a number can be written in every serializer")
}

/// Returns the same URI as a static string.
pub fn known(uri: &Uri) -> &'static str {
    const KNOWN: &[&str] = &[
        FAILED,
        UNAVAILABLE,
        NO_CALLEE,
        "wamp.error.canceled",
        "wamp.error.timeout",
        "wamp.error.no_such_procedure",
        "wamp.error.no_such_registration",
        "wamp.error.procedure_already_exists",
        "wamp.error.feature_not_supported",
        "wamp.error.protocol_violation",
        "wamp.close.close_realm",
        "wamp.close.goodbye_and_out",
        "wamp.close.system_shutdown",
        "wamp.close.killed",
    ];
    KNOWN.iter().find(|known| **known == uri.as_str()).unwrap_or_else(|| panic!("an unexpected URI: {uri:?}"))
}

pub fn name(procedure: Procedure) -> Uri {
    const NAMES: [Uri; 5] = [
        Uri::from_static("com.myapp.p0"),
        Uri::from_static("com.myapp.p1"),
        Uri::from_static("com.myapp.p2"),
        Uri::from_static("com.myapp.p3"),
        Uri::from_static("com.myapp.p4"),
    ];
    NAMES[usize::from(procedure)].clone()
}

fn procedure(name: &Uri) -> Procedure {
    name.bytes().last().expect("no name is empty") - b'0'
}

/// The answer of a callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    Progress,
    Result,
    Error,
    /// The callee does not take the call.
    Refusal,
}

impl Answer {
    /// Returns the URI of an error.
    pub fn error(self) -> Option<&'static str> {
        match self {
            Answer::Progress | Answer::Result => None,
            Answer::Error => Some(FAILED),
            Answer::Refusal => Some(UNAVAILABLE),
        }
    }

    pub fn is_progress(self) -> bool {
        self == Answer::Progress
    }

    pub fn reply(self, serializer: Serializer, tag: Tag) -> Reply {
        let payload = payload(serializer, tag);
        match self {
            Answer::Progress => Reply::Progress(payload),
            Answer::Result => Reply::Result(payload),
            Answer::Error => Reply::Error(Failure { error: Uri::from_static(FAILED), payload }),
            Answer::Refusal => Reply::Error(Failure { error: Uri::from_static(UNAVAILABLE), payload }),
        }
    }

    /// Returns the message of a callee of the model.
    pub fn message(self, serializer: Serializer, invocation: u64, tag: Tag) -> Message {
        let (request, payload) = (id(invocation), payload(serializer, tag));
        if let Some(error) = self.error() {
            let (kind, details) = (RequestKind::Invocation, ErrorDetails::default());
            return Error { kind, request, details, error: Uri::from_static(error), payload }.into();
        }
        let options =
            YieldOptions { progress: self.is_progress().then_some(true), ..YieldOptions::default() };
        Yield { request, options, payload }.into()
    }
}

pub fn id(number: u64) -> RequestId {
    RequestId::new(number).expect("the model counts from 1")
}

// Messages of a peer of the model.

pub fn register(request: u64, options: RegisterOptions, procedure: Procedure) -> Message {
    Register { request: id(request), options, procedure: name(procedure) }.into()
}

pub fn unregister(request: u64, registration: RegistrationId) -> Message {
    Unregister { request: id(request), registration }.into()
}

pub fn call(request: u64, options: CallOptions, procedure: Procedure, payload: Payload) -> Message {
    Call { request: id(request), options, procedure: name(procedure), payload }.into()
}

pub fn call_options(more: bool, wants_progress: bool, timeout: u64) -> CallOptions {
    CallOptions {
        progress: more.then_some(true),
        receive_progress: wants_progress.then_some(true),
        timeout: (timeout > 0).then_some(Millis(timeout)),
        ..CallOptions::default()
    }
}

pub fn cancel(request: u64, mode: Option<Mode>) -> Message {
    let options = CancelOptions { mode: mode.map(CancelMode::from), ..CancelOptions::default() };
    Cancel { request: id(request), options }.into()
}

pub fn credit(request: u64, chunks: Option<bool>, total: Option<u64>) -> Message {
    let options = CreditOptions { chunks, ..CreditOptions::default() };
    Credit { request: id(request), options, total: Total(total) }.into()
}

pub fn error(kind: RequestKind, request: u64, payload: Payload) -> Message {
    let (details, error) = (ErrorDetails::default(), Uri::from_static(FAILED));
    Error { kind, request: id(request), details, error, payload }.into()
}

pub fn goodbye(reason: Uri) -> Message {
    Goodbye { details: CloseDetails::default(), reason }.into()
}

pub fn abort() -> Message {
    let (details, payload) = (CloseDetails::default(), Payload::empty());
    wamp_proto::message::Abort { details, reason: uri::PROTOCOL_VIOLATION, payload }.into()
}

/// Returns the message as the specification writes it.
pub fn json(message: &Message) -> String {
    let bytes = message.encode(Serializer::Json).expect("JSON can express all messages of the model");
    String::from_utf8_lossy(&bytes).into_owned()
}
