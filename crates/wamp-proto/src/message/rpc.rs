//! Remote procedure calls: CALL, CANCEL, RESULT; REGISTER, REGISTERED, UNREGISTER, UNREGISTERED, INVOCATION,
//! INTERRUPT, YIELD.

use super::define::{message, options};
use super::options::{CancelMode, Discloser, InvocationPolicy, MatchPolicy, Millis, Ppt};
use crate::id::{RegistrationId, RequestId};
use crate::uri::Uri;

options! {
    /// `CALL.Options`.
    pub struct CallOptions {
        /// More chunks of this call follow.
        progress: Option<bool> = "progress",
        /// The caller takes progressive results.
        receive_progress: Option<bool> = "receive_progress",
        /// How long a result may take.
        timeout: Option<Millis> = "timeout",
        /// The caller wants to be known to the callee.
        disclose_me: Option<bool> = "disclose_me",
        @
        /// Payload passthru mode.
        ppt: Ppt,
    }
}

message! {
    /// `[CALL, Request|id, Options|dict, Procedure|uri, Arguments|list, ArgumentsKw|dict]`
    pub struct Call = 48 "CALL" {
        /// The caller's id for the call.
        request: RequestId = "Request",
        /// How it is to be called.
        options: CallOptions = "Options",
        /// What is called.
        procedure: Uri = "Procedure",
    } payload
}

options! {
    /// `CANCEL.Options`.
    pub struct CancelOptions {
        /// What the cancel does.
        mode: Option<CancelMode> = "mode",
    }
}

message! {
    /// `[CANCEL, CALL.Request|id, Options|dict]`
    pub struct Cancel = 49 "CANCEL" {
        /// The call.
        request: RequestId = "CALL.Request",
        /// How it is to be canceled.
        options: CancelOptions = "Options",
    }
}

options! {
    /// `RESULT.Details`.
    pub struct ResultDetails {
        /// More results of this call follow.
        progress: Option<bool> = "progress",
        @
        /// Payload passthru mode.
        ppt: Ppt,
        /// Who answered, where it is disclosed.
        peer: Discloser,
    }
}

impl ResultDetails {
    /// Whether this is a progressive result, with others to follow.
    pub fn is_progress(&self) -> bool {
        self.progress == Some(true)
    }
}

message! {
    /// `[RESULT, CALL.Request|id, Details|dict, YIELD.Arguments|list, YIELD.ArgumentsKw|dict]`
    pub struct Result = 50 "RESULT" {
        /// The call.
        request: RequestId = "CALL.Request",
        /// Whether more follow.
        details: ResultDetails = "Details",
    } payload
}

options! {
    /// `REGISTER.Options`.
    pub struct RegisterOptions {
        /// How the URI matches.
        policy: Option<MatchPolicy> = "match",
        /// Which of several callees is invoked.
        invoke: Option<InvocationPolicy> = "invoke",
        /// The callee wants to know its callers.
        disclose_caller: Option<bool> = "disclose_caller",
        /// Timeouts of calls are watched by the callee.
        forward_timeout: Option<bool> = "forward_timeout",
    }
}

message! {
    /// `[REGISTER, Request|id, Options|dict, Procedure|uri]`
    pub struct Register = 64 "REGISTER" {
        /// The callee's id for the request.
        request: RequestId = "Request",
        /// How it is to be registered.
        options: RegisterOptions = "Options",
        /// What is registered.
        procedure: Uri = "Procedure",
    }
}

message! {
    /// `[REGISTERED, REGISTER.Request|id, Registration|id]`
    pub struct Registered = 65 "REGISTERED" {
        /// The request.
        request: RequestId = "REGISTER.Request",
        /// The registration.
        registration: RegistrationId = "Registration",
    }
}

message! {
    /// `[UNREGISTER, Request|id, REGISTERED.Registration|id]`
    pub struct Unregister = 66 "UNREGISTER" {
        /// The callee's id for the request.
        request: RequestId = "Request",
        /// The registration.
        registration: RegistrationId = "REGISTERED.Registration",
    }
}

options! {
    /// `UNREGISTERED.Details`, there only when the router revokes a registration.
    pub struct UnregisteredDetails {
        /// The registration that was revoked.
        registration: Option<RegistrationId> = "registration",
        /// Why.
        reason: Option<Uri> = "reason",
    }
}

message! {
    /// `[UNREGISTERED, UNREGISTER.Request|id]`, or `[UNREGISTERED, 0, Details|dict]` for a revocation.
    pub struct Unregistered = 67 "UNREGISTERED" {
        /// The request; `None` for a revocation.
        request: Option<RequestId> = "UNREGISTER.Request",
        ?
        /// What was revoked.
        details: UnregisteredDetails = "Details",
    }
}

options! {
    /// `INVOCATION.Details`.
    pub struct InvocationDetails {
        /// More chunks of this invocation follow.
        progress: Option<bool> = "progress",
        /// The caller takes progressive results.
        receive_progress: Option<bool> = "receive_progress",
        /// How long a result may take, if the callee is to watch it.
        timeout: Option<Millis> = "timeout",
        /// What was called, where the registration is a pattern.
        procedure: Option<Uri> = "procedure",
        @
        /// Payload passthru mode.
        ppt: Ppt,
        /// Who called, where it is disclosed.
        peer: Discloser,
    }
}

message! {
    /// `[INVOCATION, Request|id, REGISTERED.Registration|id, Details|dict, CALL.Arguments|list,
    /// CALL.ArgumentsKw|dict]`
    pub struct Invocation = 68 "INVOCATION" {
        /// The dealer's id for the invocation.
        request: RequestId = "Request",
        /// The registration.
        registration: RegistrationId = "REGISTERED.Registration",
        /// How it is invoked.
        details: InvocationDetails = "Details",
    } payload
}

options! {
    /// `INTERRUPT.Options`.
    pub struct InterruptOptions {
        /// `kill`: an answer is awaited; `killnowait`: none is.
        mode: Option<CancelMode> = "mode",
        /// Why.
        reason: Option<Uri> = "reason",
    }
}

message! {
    /// `[INTERRUPT, INVOCATION.Request|id, Options|dict]`
    pub struct Interrupt = 69 "INTERRUPT" {
        /// The invocation.
        request: RequestId = "INVOCATION.Request",
        /// How it is interrupted.
        options: InterruptOptions = "Options",
    }
}

options! {
    /// `YIELD.Options`.
    pub struct YieldOptions {
        /// More results of this invocation follow.
        progress: Option<bool> = "progress",
        @
        /// Payload passthru mode.
        ppt: Ppt,
    }
}

impl YieldOptions {
    /// Whether this is a progressive result, with others to follow.
    pub fn is_progress(&self) -> bool {
        self.progress == Some(true)
    }
}

message! {
    /// `[YIELD, INVOCATION.Request|id, Options|dict, Arguments|list, ArgumentsKw|dict]`
    pub struct Yield = 70 "YIELD" {
        /// The invocation.
        request: RequestId = "INVOCATION.Request",
        /// Whether more follow.
        options: YieldOptions = "Options",
    } payload
}
