//! Opening and closing a session: HELLO, WELCOME, ABORT, CHALLENGE, AUTHENTICATE, GOODBYE.

use bytestring::ByteString;

use super::Extra;
use super::macros::{message, options};
use crate::id::SessionId;
use crate::role::Roles;
use crate::uri::Uri;

options! {
    /// `HELLO.Details`.
    pub struct HelloDetails {
        /// The roles and features of the client.
        roles: Roles = "roles",
        /// The name and version of the client's software.
        agent: Option<ByteString> = "agent",
        /// The authentication methods that the client offers.
        authmethods: Option<Vec<ByteString>> = "authmethods",
        /// The authid that the client asks for.
        authid: Option<ByteString> = "authid",
        /// The authrole that the client asks for.
        authrole: Option<ByteString> = "authrole",
        /// Values for the authentication methods, and further ones of the application: see [`Extra::text`].
        authextra: Option<Extra> = "authextra",
        /// An extension: the client answers a PING of the transport. Over RawSocket some clients fail on one,
        /// so a router sends PINGs there only to a client that sets this, or that has sent a PING or PONG.
        ping: Option<bool> = "_ping",
    }
}

message! {
    /// `[HELLO, Realm|uri, Details|dict]`: a client opens a session.
    pub struct Hello = 1 "HELLO" {
        /// The realm to join.
        realm: Uri = "Realm",
        /// The details dict.
        details: HelloDetails = "Details",
    }
}

options! {
    /// `WELCOME.Details`.
    pub struct WelcomeDetails {
        /// The roles and features of the router.
        roles: Roles = "roles",
        /// The name and version of the router's software.
        agent: Option<ByteString> = "agent",
        /// The realm of the session.
        realm: Option<Uri> = "realm",
        /// The authid of the session.
        authid: Option<ByteString> = "authid",
        /// The authrole of the session.
        authrole: Option<ByteString> = "authrole",
        /// The method that authenticated the session.
        authmethod: Option<ByteString> = "authmethod",
        /// The provider that authenticated the session.
        authprovider: Option<ByteString> = "authprovider",
        /// Values of the authentication method, such as the proof of the router, and further ones of the application.
        authextra: Option<Extra> = "authextra",
    }
}

message! {
    /// `[WELCOME, Session|id, Details|dict]`: the session is open.
    pub struct Welcome = 2 "WELCOME" {
        /// The id of the session.
        session: SessionId = "Session",
        /// The details dict.
        details: WelcomeDetails = "Details",
    }
}

options! {
    /// `ABORT.Details` and `GOODBYE.Details`.
    pub struct CloseDetails {
        /// A text for people.
        message: Option<ByteString> = "message",
    }
}

message! {
    /// `[ABORT, Details|dict, Reason|uri, Arguments|list, ArgumentsKw|dict]`: the session ends at once.
    pub struct Abort = 3 "ABORT" {
        /// The details dict.
        details: CloseDetails = "Details",
        /// The reason, a URI.
        reason: Uri = "Reason",
    } payload
}

options! {
    /// `CHALLENGE.Extra`.
    pub struct ChallengeExtra {
        /// `wampcra`: the string to sign. `cryptosign`: 32 bytes in hexadecimal.
        challenge: Option<ByteString> = "challenge",
        /// `wampcra`: the salt of a derived key. SCRAM: the salt in base64.
        salt: Option<ByteString> = "salt",
        /// `wampcra`: the length of a derived key, in bytes.
        keylen: Option<u64> = "keylen",
        /// The number of iterations for the derivation of a key.
        iterations: Option<u64> = "iterations",
        /// SCRAM: the nonce of the client, then that of the router.
        nonce: Option<ByteString> = "nonce",
        /// SCRAM: the function that derives the key.
        kdf: Option<ByteString> = "kdf",
        /// SCRAM: the memory of that function, in KiB.
        memory: Option<u64> = "memory",
        /// `cryptosign`: the channel binding in use.
        channel_binding: Option<ByteString> = "channel_binding",
        /// `cryptosign`: the router's public key in hexadecimal.
        pubkey: Option<ByteString> = "pubkey",
        /// `cryptosign`: the router's signature of the client's challenge, in hexadecimal.
        signature: Option<ByteString> = "signature",
    }
}

message! {
    /// `[CHALLENGE, AuthMethod|string, Extra|dict]`: the router demands authentication.
    pub struct Challenge = 4 "CHALLENGE" {
        /// The authentication method.
        method: ByteString = "AuthMethod",
        /// The parameters of the method.
        extra: ChallengeExtra = "Extra",
    }
}

options! {
    /// `AUTHENTICATE.Extra`.
    pub struct AuthenticateExtra {
        /// SCRAM: the nonce of CHALLENGE.
        nonce: Option<ByteString> = "nonce",
        /// SCRAM: the channel binding of HELLO.
        channel_binding: Option<ByteString> = "channel_binding",
        /// SCRAM: the data of the channel binding, in base64.
        cbind_data: Option<ByteString> = "cbind_data",
    }
}

message! {
    /// `[AUTHENTICATE, Signature|string, Extra|dict]`: the answer to a CHALLENGE.
    pub struct Authenticate = 5 "AUTHENTICATE" {
        /// The signature, or the secret itself, depending on the method.
        signature: ByteString = "Signature",
        /// The parameters of the method.
        extra: AuthenticateExtra = "Extra",
    }
}

message! {
    /// `[GOODBYE, Details|dict, Reason|uri]`: a peer closes the session, or confirms that the other peer
    /// closed it.
    pub struct Goodbye = 6 "GOODBYE" {
        /// The details dict.
        details: CloseDetails = "Details",
        /// The reason, a URI.
        reason: Uri = "Reason",
    }
}
