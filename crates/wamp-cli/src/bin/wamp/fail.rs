//! The ways in which a command ends, with their exit codes.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use wamp_client::{CallError, ConnectError, ConnectErrorKind, Ended, RequestError, Uri};

use crate::output;

/// An exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Done.
    Done = 0,
    /// The peer answered with an error.
    Answered = 1,
    /// The command line, the input or the configuration cannot be used.
    Usage = 2,
    /// There is no session.
    NoSession = 3,
    /// The session was lost.
    Lost = 4,
    /// It took too long.
    Timeout = 5,
    /// Another party has canceled the call, or this program was too slow.
    Canceled = 6,
    /// SIGHUP.
    HungUp = 129,
    /// Ctrl-C (SIGINT).
    Interrupted = 130,
    /// SIGQUIT.
    Quit = 131,
    /// SIGTERM.
    Terminated = 143,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        ExitCode::from(code as u8)
    }
}

/// The failure of a command: an exit code and a sentence, with a hint if there is one.
#[derive(Debug)]
pub(crate) struct Fail {
    code: Code,
    /// `None`: there is nothing to report.
    text: Option<String>,
    hint: Option<String>,
}

impl Fail {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: Some(text.into()), hint: None }
    }

    /// The command line, the input or the configuration cannot be used.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(Code::Usage, text)
    }

    /// An end without a message.
    pub(crate) fn silent(code: Code) -> Self {
        Self { code, text: None, hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Prints the sentence and the hint on standard error.
    pub(crate) fn report(self) -> ExitCode {
        if let Some(text) = &self.text {
            output::error(text, self.hint.as_deref());
        }
        self.code.into()
    }

    /// There is no session.
    pub(crate) fn connect(error: &ConnectError, realm: &str) -> Self {
        let code = match error.kind() {
            ConnectErrorKind::Url => Code::Usage,
            _ => Code::NoSession,
        };
        // The kind says already that the router refused the session.
        let plain = |error: &ConnectError| {
            error.to_string().replacen(": the router aborted the session with ", ": ", 1)
        };
        let sentence = unreachable(error).unwrap_or_else(|| plain(error));
        Self::new(code, format!("{}: {sentence}", error.kind())).maybe_hint(connect_hint(error, realm))
    }

    /// A call has failed.
    pub(crate) fn call(procedure: &str, error: &CallError) -> Self {
        let code = match error {
            CallError::Application { .. } => Code::Answered,
            CallError::Canceled { .. } | CallError::Lagged { .. } => Code::Canceled,
            CallError::Timeout { .. } => Code::Timeout,
            CallError::Disconnected { .. } | CallError::Protocol(_) => Code::Lost,
            CallError::Decode(_) => Code::Answered,
            _ => Code::Usage,
        };
        Self::new(code, format!("{procedure}: {error}")).maybe_hint(answer_hint(error.uri()))
    }

    /// A registration, subscription or publication has failed.
    pub(crate) fn request(uri: &str, error: &RequestError) -> Self {
        let code = match error {
            RequestError::Refused { .. } => Code::Answered,
            RequestError::Disconnected { .. } | RequestError::Protocol(_) | RequestError::Gone => Code::Lost,
            _ => Code::Usage,
        };
        Self::new(code, format!("{uri}: {error}")).maybe_hint(answer_hint(error.uri()))
    }

    /// A registration or subscription has ended.
    pub(crate) fn ended(uri: &str, ended: &Ended) -> Self {
        match ended {
            Ended::Revoked { .. } => Self::new(Code::Canceled, format!("{uri}: {ended}")),
            Ended::Refused(error) => Self::request(uri, error),
            _ => Self::new(Code::Lost, format!("{uri}: {ended}")),
        }
    }
}

/// A short sentence where no router answers: the URL, and the system's reason.
fn unreachable(error: &ConnectError) -> Option<String> {
    const USUAL: [io::ErrorKind; 4] = [
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::NetworkUnreachable,
        io::ErrorKind::NotFound,
    ];
    let kind = system_error(error).filter(|kind| USUAL.contains(kind))?;
    // Of a proxy the whole sentence is needed.
    let is_direct = error.kind() == ConnectErrorKind::Connect && !error.to_string().contains("proxy");
    Some(format!("{}: {kind}", error.url()?)).filter(|_| is_direct)
}

/// The kind of the deepest error of the system.
fn system_error(error: &ConnectError) -> Option<io::ErrorKind> {
    let sources = std::iter::successors(error.source(), |error| (*error).source());
    sources.filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind).last()
}

/// Whether this machine has no router at the address.
fn is_refused_here(error: &ConnectError) -> bool {
    let host = error.url().and_then(|url| url.split_once("://")).map(|(_, rest)| rest);
    let is_here =
        |rest: &str| ["127.0.0.1", "localhost", "[::1]", "/"].iter().any(|here| rest.starts_with(here));
    unreachable(error).is_some() && host.is_some_and(is_here)
}

fn connect_hint(error: &ConnectError, realm: &str) -> Option<String> {
    let is = |name: &str| error.uri().is_some_and(|uri| uri.as_str() == name);
    Some(match error.kind() {
        ConnectErrorKind::Url => "a URL begins with ws://, wss://, rs://, rss:// or rs+unix://".to_owned(),
        ConnectErrorKind::Connect if is_refused_here(error) => "start a router with: wamp router".to_owned(),
        ConnectErrorKind::Lost | ConnectErrorKind::Tls
            if error.to_string().contains("ertificateRequired") =>
        {
            "--cert and --cert-key show a certificate to the router".to_owned()
        }
        ConnectErrorKind::Refused if is("wamp.error.no_such_realm") => {
            format!("the realm {realm:?} is from --realm, WAMP_REALM, the context or the default")
        }
        _ => return None,
    })
}

fn answer_hint(uri: Option<&Uri>) -> Option<String> {
    Some(match uri?.as_str() {
        "wamp.error.no_such_procedure" => {
            "no client has registered the procedure in this realm; --realm chooses another one".to_owned()
        }
        "wamp.error.procedure_already_exists" => {
            "callees that share a procedure register it with --invoke, each with the same policy".to_owned()
        }
        _ => return None,
    })
}
