//! Opening and closing a session: HELLO, WELCOME, ABORT, CHALLENGE, AUTHENTICATE, GOODBYE.

use bytestring::ByteString;

use super::define::{message, options};
use crate::id::SessionId;
use crate::role::Roles;
use crate::uri::Uri;

options! {
    /// `HELLO.Details`.
    pub struct HelloDetails {
        /// What the client can do.
        roles: Roles = "roles",
        /// The client's software.
        agent: Option<ByteString> = "agent",
        /// The authentication methods it offers.
        authmethods: Option<Vec<ByteString>> = "authmethods",
        /// The identity it wants.
        authid: Option<ByteString> = "authid",
        /// The role it wants.
        authrole: Option<ByteString> = "authrole",
        /// An extension: the client answers a PING of the transport. Over RawSocket some clients fail on one, so a
        /// router sends PINGs there only to a client that says this, or that has sent a PING or PONG.
        ping: Option<bool> = "_ping",
    }
}

message! {
    /// `[HELLO, Realm|uri, Details|dict]`: a client opens a session.
    pub struct Hello = 1 "HELLO" {
        /// The realm it joins.
        realm: Uri = "Realm",
        /// The rest.
        details: HelloDetails = "Details",
    }
}

options! {
    /// `WELCOME.Details`.
    pub struct WelcomeDetails {
        /// What the router can do.
        roles: Roles = "roles",
        /// The router's software.
        agent: Option<ByteString> = "agent",
        /// The realm that was joined.
        realm: Option<Uri> = "realm",
        /// The identity of the session.
        authid: Option<ByteString> = "authid",
        /// The role of the session.
        authrole: Option<ByteString> = "authrole",
        /// How it was authenticated.
        authmethod: Option<ByteString> = "authmethod",
        /// By whom it was authenticated.
        authprovider: Option<ByteString> = "authprovider",
    }
}

message! {
    /// `[WELCOME, Session|id, Details|dict]`: the session is open.
    pub struct Welcome = 2 "WELCOME" {
        /// The session's id.
        session: SessionId = "Session",
        /// The rest.
        details: WelcomeDetails = "Details",
    }
}

options! {
    /// `ABORT.Details` and `GOODBYE.Details`.
    pub struct CloseDetails {
        /// A sentence for people.
        message: Option<ByteString> = "message",
    }
}

message! {
    /// `[ABORT, Details|dict, Reason|uri, Arguments|list, ArgumentsKw|dict]`: the session ends at once.
    pub struct Abort = 3 "ABORT" {
        /// A sentence for people.
        details: CloseDetails = "Details",
        /// Why.
        reason: Uri = "Reason",
    } payload
}

options! {
    /// `CHALLENGE.Extra`.
    pub struct ChallengeExtra {
        /// What is to be signed.
        challenge: Option<ByteString> = "challenge",
        /// The salt of a derived key.
        salt: Option<ByteString> = "salt",
        /// The length of a derived key.
        keylen: Option<u64> = "keylen",
        /// The iterations of a derived key.
        iterations: Option<u64> = "iterations",
    }
}

message! {
    /// `[CHALLENGE, AuthMethod|string, Extra|dict]`: the router wants proof.
    pub struct Challenge = 4 "CHALLENGE" {
        /// The method.
        method: ByteString = "AuthMethod",
        /// What the method needs.
        extra: ChallengeExtra = "Extra",
    }
}

options! {
    /// `AUTHENTICATE.Extra`.
    pub struct AuthenticateExtra {
    }
}

message! {
    /// `[AUTHENTICATE, Signature|string, Extra|dict]`: the proof.
    pub struct Authenticate = 5 "AUTHENTICATE" {
        /// The signature.
        signature: ByteString = "Signature",
        /// What the method needs.
        extra: AuthenticateExtra = "Extra",
    }
}

message! {
    /// `[GOODBYE, Details|dict, Reason|uri]`: a peer closes the session, or agrees to its closing.
    pub struct Goodbye = 6 "GOODBYE" {
        /// A sentence for people.
        details: CloseDetails = "Details",
        /// Why.
        reason: Uri = "Reason",
    }
}
