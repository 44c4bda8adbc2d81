//! Sessions for commands.

use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use wamp_client::auth::Credential;
use wamp_client::{Connect, ConnectionState, Session};

use crate::context::Stored;
use crate::credentials::{Credentials, Source};
use crate::fail::Fail;
use crate::insecure;
use crate::options::{Global, SerializerName};
use crate::output;
use crate::signals::Signals;

const DEFAULT_URL: &str = "ws://127.0.0.1:8080/ws";

const DEFAULT_REALM: &str = "realm1";

/// Whether a command goes on after its connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// It ends, unless `--retry` is given.
    Once,
    /// It connects again, unless `--no-retry` is given.
    Always,
}

/// Connects and joins the realm.
///
/// # Errors
/// There is no session, or a signal has arrived.
pub(crate) async fn connect(
    global: &Global,
    lasting: Lasting,
    signals: &mut Signals,
) -> Result<Session, Fail> {
    let settings = Settings::new(global)?;
    connect_with(&settings, global, lasting, signals).await
}

/// Connects with these settings.
pub(crate) async fn connect_with(
    settings: &Settings,
    global: &Global,
    lasting: Lasting,
    signals: &mut Signals,
) -> Result<Session, Fail> {
    let connect = prepare(settings, global, lasting, signals).await?;
    let session = unless_ended(signals, connect.send()).await?;
    let session = session.map_err(|error| Fail::connect(&error, settings.realm()))?;
    signals.set_session(&session);
    if comes_back(global, lasting) {
        tokio::spawn(tell(session.states()));
    }
    Ok(session)
}

/// Reads files and credentials, and does not connect yet.
pub(crate) async fn prepare(
    settings: &Settings,
    global: &Global,
    lasting: Lasting,
    signals: &mut Signals,
) -> Result<Connect, Fail> {
    let mut connect = settings.read(signals).await?.connect_timeout(global.connect_timeout);
    if !comes_back(global, lasting) {
        connect = connect.no_reconnect();
    }
    if global.retry {
        connect = connect.retry_initial();
    }
    Ok(connect)
}

/// Whether a lost connection is not the end.
fn comes_back(global: &Global, lasting: Lasting) -> bool {
    !global.no_retry && (global.retry || lasting == Lasting::Always)
}

/// The settings of a connection: those of the command line, the environment and the context.
#[derive(Clone)]
pub(crate) struct Settings {
    urls: Vec<String>,
    realm: Option<String>,
    serializer: Option<SerializerName>,
    credentials: Credentials,
    ca: Option<PathBuf>,
    cert: Option<(PathBuf, PathBuf)>,
    is_insecure: bool,
    proxy: Option<String>,
}

impl Settings {
    /// An option is stronger than the environment, and that is stronger than the context.
    ///
    /// # Errors
    /// The context cannot be read.
    pub(crate) fn new(global: &Global) -> Result<Self, Fail> {
        Ok(Self::given(global).or(Stored::chosen(global)?))
    }

    /// The settings of the command line and the environment.
    pub(crate) fn given(global: &Global) -> Self {
        let env = |name: &str| std::env::var_os(name).map(|_| Source::Env(name.to_owned()));
        let source = |file: &Option<String>, name| file.as_deref().map(Source::file).or_else(|| env(name));
        Self {
            urls: global.url.clone(),
            realm: global.realm.clone(),
            serializer: global.serializer,
            credentials: Credentials {
                authid: global.authid.clone(),
                ticket: source(&global.ticket_file, "WAMP_TICKET"),
                secret: source(&global.secret_file, "WAMP_SECRET"),
                key: source(&global.key_file, "WAMP_PRIVATE_KEY"),
            },
            ca: global.ca.clone(),
            cert: global.cert.clone().zip(global.cert_key.clone()),
            is_insecure: global.insecure,
            proxy: global.proxy.clone(),
        }
    }

    /// Takes from a context what is not given.
    pub(crate) fn or(self, stored: Stored) -> Self {
        let mut credentials = self.credentials;
        // A credential that is given replaces all of the context.
        if credentials.ticket.is_none() && credentials.secret.is_none() && credentials.key.is_none() {
            (credentials.ticket, credentials.secret, credentials.key) =
                (stored.ticket, stored.secret, stored.key);
        }
        credentials.authid = credentials.authid.or(stored.authid);
        Self {
            urls: if self.urls.is_empty() { stored.url } else { self.urls },
            realm: self.realm.or(stored.realm),
            serializer: self.serializer.or(stored.serializer),
            credentials,
            ca: self.ca.or(stored.ca),
            cert: self.cert.or_else(|| stored.cert.zip(stored.cert_key)),
            proxy: self.proxy.or(stored.proxy),
            ..self
        }
    }

    /// The realm to join.
    pub(crate) fn realm(&self) -> &str {
        self.realm.as_deref().unwrap_or(DEFAULT_REALM)
    }

    /// Reads files and credentials. A signal ends a prompt and a command, too.
    async fn read(&self, signals: &mut Signals) -> Result<Connect, Fail> {
        let terminal = if self.credentials.asks() { Terminal::open() } else { None };
        let settings = self.clone();
        let reading = tokio::task::spawn_blocking(move || settings.connect());
        match unless_ended(signals, reading).await {
            Ok(read) => read.map_err(|error| Fail::usage(error.to_string()))?,
            Err(fail) => {
                terminal.iter().for_each(Terminal::restore);
                Err(fail)
            }
        }
    }

    fn connect(&self) -> Result<Connect, Fail> {
        let mut urls = self.urls.iter().cloned();
        let mut connect = wamp_client::connect(urls.next().unwrap_or_else(|| DEFAULT_URL.to_owned()))
            .realm(self.realm().to_owned())
            .agent(concat!("wamp-", env!("CARGO_PKG_VERSION")));
        for url in urls {
            connect = connect.or(url);
        }
        if let Some(serializer) = self.serializer {
            connect = connect.serializer(serializer.into());
        }
        if let Some(path) = &self.ca {
            connect = connect.ca(read(path)?);
        }
        if let Some((chain, key)) = &self.cert {
            connect = connect.client_cert(read(chain)?, read(key)?);
            connect = connect.auth(Credential::certificate());
            // A realm may be open to all that have a certificate for the connection.
            if self.credentials.are_none() {
                connect = connect.auth(Credential::Anonymous);
            }
        }
        if self.is_insecure {
            output::warning("any certificate is accepted (--insecure); others may read the connection");
            connect = connect.tls_config(insecure::config()?);
        }
        connect = match self.proxy.as_deref() {
            Some("none") => connect.no_proxy(),
            Some(url) => connect.proxy(url),
            None => connect,
        };
        self.credentials.clone().offer(connect)
    }
}

/// The terminal of this program, as it was before a prompt that shows nothing.
struct Terminal {
    file: File,
    modes: Termios,
}

impl Terminal {
    fn open() -> Option<Self> {
        let file = File::open("/dev/tty").ok()?;
        let modes = tcgetattr(&file).ok()?;
        Some(Self { file, modes })
    }

    fn restore(&self) {
        let _ = tcsetattr(&self.file, OptionalActions::Now, &self.modes);
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Fail> {
    std::fs::read(path).map_err(|error| Fail::usage(format!("{}: {error}", path.display())))
}

/// Waits for a future, or for a signal, which is a silent failure.
pub(crate) async fn unless_ended<F: Future>(signals: &mut Signals, future: F) -> Result<F::Output, Fail> {
    tokio::select! {
        code = signals.received() => Err(Fail::silent(code)),
        output = future => Ok(output),
    }
}

/// Tells how the connection fares.
async fn tell(mut states: wamp_client::ConnectionStates) {
    while let Some(state) = states.next().await {
        match state {
            ConnectionState::Down { closed } => output::note(&format!("disconnected: {closed}")),
            ConnectionState::Up { gap, .. } => {
                output::note(&format!("connected again after {:.1} s", gap.as_secs_f64()));
            }
            ConnectionState::Lost { uri, error } => output::note(&format!("lost {uri}: {error}")),
            ConnectionState::Closed { .. } => return,
            _ => {}
        }
    }
}
