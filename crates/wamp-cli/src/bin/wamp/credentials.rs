//! Credentials, from files, the environment, commands and the terminal. None is on a command line.

use std::env::VarError;
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use wamp_client::Connect;
use wamp_client::auth::{Credential, PrivateKey, Secret};

use crate::fail::{Code, Fail};

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// A file, whose first line it is.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
    /// A command of the shell, of whose output it is the first line.
    Command(String),
    /// The terminal, which asks for it once.
    #[serde(skip)]
    Terminal,
}

impl Source {
    /// A file, or `-` for the terminal.
    pub(crate) fn file(path: &str) -> Self {
        if path == "-" { Source::Terminal } else { Source::File(path.into()) }
    }

    fn read(&self, kind: Kind) -> Result<Secret, Fault> {
        let text = match self {
            Source::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
            }
            Source::Env(name) => std::env::var(name).map_err(|error| match error {
                VarError::NotPresent => format!("{name}: is not set"),
                // The error would show the secret.
                VarError::NotUnicode(_) => format!("{name}: is not UTF-8"),
            })?,
            Source::Command(command) => {
                let output = Command::new("sh").arg("-c").arg(command).stderr(Stdio::inherit()).output();
                let output = output.map_err(|error| format!("{command}: {error}"))?;
                if !output.status.success() {
                    return Err(format!("{command}: {}", output.status).into());
                }
                String::from_utf8(output.stdout).map_err(|_| format!("{command}: the output is not UTF-8"))?
            }
            Source::Terminal => {
                let text = rpassword::prompt_password(format!("{}: ", kind.name()));
                text.map_err(|error| match error.kind() {
                    std::io::ErrorKind::Interrupted => Fault::Interrupted,
                    _ => Fault::Text(format!("{} -: there is no terminal: {error}", kind.option())),
                })?
            }
        };
        match text.lines().next() {
            Some(line) if !line.is_empty() => Ok(Secret::from(line)),
            _ => Err(format!("{self}: is empty").into()),
        }
    }
}

/// Never the secret.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Env(name) => f.write_str(name),
            Source::Command(command) => f.write_str(command),
            Source::Terminal => f.write_str("the terminal"),
        }
    }
}

/// A secret, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ticket,
    Secret,
    Key,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Ticket => "Ticket",
            Kind::Secret => "Secret",
            Kind::Key => "Key",
        }
    }

    /// The option that names its file.
    fn option(self) -> &'static str {
        match self {
            Kind::Ticket => "--ticket-file",
            Kind::Secret => "--secret-file",
            Kind::Key => "--key-file",
        }
    }
}

/// The reason for which a credential cannot be read.
enum Fault {
    /// Ctrl-C at the prompt.
    Interrupted,
    Text(String),
}

impl From<String> for Fault {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Fault> for Fail {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Interrupted => Fail::silent(Code::Interrupted),
            Fault::Text(text) => Fail::usage(text),
        }
    }
}

/// The credentials of a client, and where they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    pub(crate) authid: Option<String>,
    pub(crate) ticket: Option<Source>,
    pub(crate) secret: Option<Source>,
    pub(crate) key: Option<Source>,
}

impl Credentials {
    /// Whether one of them is asked for on the terminal.
    pub(crate) fn asks(&self) -> bool {
        [&self.key, &self.secret, &self.ticket].into_iter().any(|source| *source == Some(Source::Terminal))
    }

    /// Whether there is no secret.
    pub(crate) fn are_none(&self) -> bool {
        self.key.is_none() && self.secret.is_none() && self.ticket.is_none()
    }

    /// Offers all of them. They are read now, and again each time the session connects again.
    ///
    /// # Errors
    /// One cannot be read, or its authid is missing.
    pub(crate) fn offer(self, mut connect: Connect) -> Result<Connect, Fail> {
        let sources = [(Kind::Key, &self.key), (Kind::Secret, &self.secret), (Kind::Ticket, &self.ticket)];
        let mut is_alone = true;
        for (kind, source) in sources {
            let Some(source) = source else { continue };
            is_alone = false;
            let first = read(kind, source, self.authid.as_deref())?;
            for number in 0..first.len() {
                let later = Later {
                    kind,
                    source: source.clone(),
                    authid: self.authid.clone(),
                    number,
                    first: Mutex::new(first.get(number).cloned()),
                };
                let later = Arc::new(later);
                connect = connect.auth(move || later.clone().credential());
            }
        }
        Ok(match self.authid {
            Some(authid) if is_alone => connect.authid(authid),
            _ => connect,
        })
    }
}

/// The credentials that a secret makes, best first.
fn read(kind: Kind, source: &Source, authid: Option<&str>) -> Result<Vec<Credential>, Fault> {
    let secret = source.read(kind)?;
    let needed = || {
        let authid = authid.map(str::to_owned);
        authid.ok_or_else(|| format!("{}: --authid is missing", kind.name().to_lowercase()))
    };
    Ok(match kind {
        Kind::Ticket => vec![Credential::ticket(needed()?, secret)],
        Kind::Secret => {
            let authid = needed()?;
            vec![
                Credential::scram(authid.clone(), secret.clone()),
                Credential::autobahn_scram(authid.clone(), secret.clone()),
                Credential::wampcra(authid, secret),
            ]
        }
        Kind::Key => {
            let key = secret.text().and_then(|text| PrivateKey::from_hex(text.trim()).ok());
            let key = key.ok_or_else(|| format!("{source}: not a key of 64 hexadecimal digits"))?;
            let credential = Credential::cryptosign(key);
            vec![match authid {
                Some(authid) => credential.with_authid(authid.to_owned()),
                None => credential,
            }]
        }
    })
}

/// A credential that is read again for each connection but the first.
struct Later {
    kind: Kind,
    source: Source,
    authid: Option<String>,
    /// Its place among those of the same secret.
    number: usize,
    first: Mutex<Option<Credential>>,
}

impl Later {
    async fn credential(self: Arc<Self>) -> Result<Credential, String> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(first) => Ok(first),
            None => {
                tokio::task::spawn_blocking(move || self.again()).await.map_err(|error| error.to_string())?
            }
        }
    }

    fn again(&self) -> Result<Credential, String> {
        if self.source == Source::Terminal {
            return Err("the terminal is asked once only".to_owned());
        }
        let credentials =
            read(self.kind, &self.source, self.authid.as_deref()).map_err(|fault| match fault {
                Fault::Interrupted => "interrupted".to_owned(),
                Fault::Text(text) => text,
            })?;
        let credential = credentials.into_iter().nth(self.number);
        credential.ok_or_else(|| format!("{}: is empty", self.source))
    }
}
