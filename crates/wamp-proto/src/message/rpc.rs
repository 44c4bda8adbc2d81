//! Remote procedure calls: CALL, CANCEL, RESULT; REGISTER, REGISTERED, UNREGISTER, UNREGISTERED, INVOCATION,
//! INTERRUPT, YIELD.

use super::macros::{message, options};
use super::options::{CancelMode, Discloser, InvocationPolicy, MatchPolicy, Millis};
use super::ppt::Ppt;
use crate::id::{RegistrationId, RequestId};
use crate::uri::Uri;

options! {
    /// `CALL.Options`.
    pub struct CallOptions {
        /// Whether more chunks of this call follow.
        progress: Option<bool> = "progress",
        /// Whether the caller accepts progressive results.
        receive_progress: Option<bool> = "receive_progress",
        /// The longest time to wait for a result.
        timeout: Option<Millis> = "timeout",
        /// Whether the caller wants its identity disclosed to the callee.
        disclose_me: Option<bool> = "disclose_me",
        @
        /// A payload that is opaque to the router.
        ppt: Ppt,
    }
}

message! {
    /// `[CALL, Request|id, Options|dict, Procedure|uri, Arguments|list, ArgumentsKw|dict]`
    pub struct Call = 48 "CALL" {
        /// The caller's id for the call.
        request: RequestId = "Request",
        /// The options dict.
        options: CallOptions = "Options",
        /// The procedure.
        procedure: Uri = "Procedure",
    } payload
}

options! {
    /// `CANCEL.Options`.
    pub struct CancelOptions {
        /// The effect of the cancel.
        mode: Option<CancelMode> = "mode",
    }
}

message! {
    /// `[CANCEL, CALL.Request|id, Options|dict]`
    pub struct Cancel = 49 "CANCEL" {
        /// The id of the call.
        request: RequestId = "CALL.Request",
        /// The options dict.
        options: CancelOptions = "Options",
    }
}

options! {
    /// `RESULT.Details`.
    pub struct ResultDetails {
        /// Whether more results of this call follow.
        progress: Option<bool> = "progress",
        @
        /// A payload that is opaque to the router.
        ppt: Ppt,
        /// The callee, if it is disclosed.
        peer: Discloser,
    }
}

impl ResultDetails {
    /// Returns whether this is a progressive result, which others follow.
    pub fn is_progress(&self) -> bool {
        self.progress == Some(true)
    }
}

message! {
    /// `[RESULT, CALL.Request|id, Details|dict, YIELD.Arguments|list, YIELD.ArgumentsKw|dict]`
    pub struct Result = 50 "RESULT" {
        /// The id of the call.
        request: RequestId = "CALL.Request",
        /// The details dict.
        details: ResultDetails = "Details",
    } payload
}

options! {
    /// `REGISTER.Options`.
    pub struct RegisterOptions {
        /// The matching policy of the URI.
        policy: Option<MatchPolicy> = "match",
        /// The policy that selects one of several callees.
        invoke: Option<InvocationPolicy> = "invoke",
        /// Whether the callee asks the router to disclose the callers.
        disclose_caller: Option<bool> = "disclose_caller",
        /// Whether the callee, instead of the router, watches the timeouts of calls.
        forward_timeout: Option<bool> = "forward_timeout",
        /// How many calls of the procedure the callee takes at once: an extension of Crossbar.io.
        concurrency: Option<u64> = "concurrency",
        /// Whether the callee takes the procedure over from the callees that have it: an extension of Crossbar.io.
        force_reregister: Option<bool> = "force_reregister",
    }
}

message! {
    /// `[REGISTER, Request|id, Options|dict, Procedure|uri]`
    pub struct Register = 64 "REGISTER" {
        /// The callee's id for the request.
        request: RequestId = "Request",
        /// The options dict.
        options: RegisterOptions = "Options",
        /// The procedure or pattern.
        procedure: Uri = "Procedure",
    }
}

message! {
    /// `[REGISTERED, REGISTER.Request|id, Registration|id]`
    pub struct Registered = 65 "REGISTERED" {
        /// The id of the request.
        request: RequestId = "REGISTER.Request",
        /// The id of the registration.
        registration: RegistrationId = "Registration",
    }
}

message! {
    /// `[UNREGISTER, Request|id, REGISTERED.Registration|id]`
    pub struct Unregister = 66 "UNREGISTER" {
        /// The callee's id for the request.
        request: RequestId = "Request",
        /// The id of the registration.
        registration: RegistrationId = "REGISTERED.Registration",
    }
}

options! {
    /// `UNREGISTERED.Details`, present only when the router revokes a registration.
    pub struct UnregisteredDetails {
        /// The id of the revoked registration.
        registration: Option<RegistrationId> = "registration",
        /// The reason, a URI.
        reason: Option<Uri> = "reason",
    }
}

message! {
    /// `[UNREGISTERED, UNREGISTER.Request|id]`, or `[UNREGISTERED, 0, Details|dict]` for a revocation.
    pub struct Unregistered = 67 "UNREGISTERED" {
        /// The id of the request; `None` for a revocation.
        request: Option<RequestId> = "UNREGISTER.Request",
        ?
        /// The details of a revocation.
        details: UnregisteredDetails = "Details",
    }
}

options! {
    /// `INVOCATION.Details`.
    pub struct InvocationDetails {
        /// Whether more chunks of this invocation follow.
        progress: Option<bool> = "progress",
        /// Whether the caller accepts progressive results.
        receive_progress: Option<bool> = "receive_progress",
        /// The longest time to wait for a result, if the callee is the one to watch it.
        timeout: Option<Millis> = "timeout",
        /// The procedure that was called, if the registration is a pattern.
        procedure: Option<Uri> = "procedure",
        @
        /// A payload that is opaque to the router.
        ppt: Ppt,
        /// The caller, if it is disclosed.
        peer: Discloser,
    }
}

message! {
    /// `[INVOCATION, Request|id, REGISTERED.Registration|id, Details|dict, CALL.Arguments|list,
    /// CALL.ArgumentsKw|dict]`
    pub struct Invocation = 68 "INVOCATION" {
        /// The dealer's id for the invocation.
        request: RequestId = "Request",
        /// The id of the registration.
        registration: RegistrationId = "REGISTERED.Registration",
        /// The details dict.
        details: InvocationDetails = "Details",
    } payload
}

options! {
    /// `INTERRUPT.Options`.
    pub struct InterruptOptions {
        /// Whether the dealer awaits an answer: `kill` if it does, `killnowait` if it does not.
        mode: Option<CancelMode> = "mode",
        /// The reason, a URI.
        reason: Option<Uri> = "reason",
    }
}

message! {
    /// `[INTERRUPT, INVOCATION.Request|id, Options|dict]`
    pub struct Interrupt = 69 "INTERRUPT" {
        /// The id of the invocation.
        request: RequestId = "INVOCATION.Request",
        /// The options dict.
        options: InterruptOptions = "Options",
    }
}

options! {
    /// `YIELD.Options`.
    pub struct YieldOptions {
        /// Whether more results of this invocation follow.
        progress: Option<bool> = "progress",
        @
        /// A payload that is opaque to the router.
        ppt: Ppt,
    }
}

impl YieldOptions {
    /// Returns whether this is a progressive result, which others follow.
    pub fn is_progress(&self) -> bool {
        self.progress == Some(true)
    }
}

message! {
    /// `[YIELD, INVOCATION.Request|id, Options|dict, Arguments|list, ArgumentsKw|dict]`
    pub struct Yield = 70 "YIELD" {
        /// The id of the invocation.
        request: RequestId = "INVOCATION.Request",
        /// The options dict.
        options: YieldOptions = "Options",
    } payload
}
