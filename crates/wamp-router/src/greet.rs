//! The beginning of a connection: the detection of its transport, and the handshake.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use wamp_transport::socket::{Peer, Probe, Socket};
use wamp_transport_rawsocket::{self as rawsocket, RawSocket};
use wamp_transport_ws::{self as ws, WebSocket};

use crate::Limits;
use crate::connections::{Admitted, Permit, TOO_MANY_NEWCOMERS};
use crate::proxies;
use crate::router::RouterState;
use crate::settings::Settings;

/// The first byte of RawSocket, which HTTP never begins with.
const RAWSOCKET: u8 = rawsocket::handshake::MAGIC;

/// The first byte of TLS: a record of its handshake.
const TLS: u8 = 0x16;

/// A stream with TLS over another one.
#[cfg(feature = "tls")]
pub(crate) type Secured<S> = wamp_tls::TlsSocket<wamp_tls::Prefixed<S>>;

/// The size of the first read; mostly it holds a whole HTTP request.
const FIRST_READ: usize = 1024;

/// The length of a RawSocket request.
const REQUEST: usize = 4;

/// The time that a refused client has to read the refusal.
pub(crate) const REFUSAL: Duration = Duration::from_secs(2);

/// The same while too many others are being refused.
const BRIEFLY: Duration = Duration::from_millis(50);

/// A connection after the handshake of its transport.
pub(crate) enum Greeted<S> {
    RawSocket(RawSocket<S>),
    WebSocket(WebSocket<S>),
}

/// The result of a handshake.
pub(crate) type Greeting<S> = Result<(Greeted<S>, Peer, Admitted), NotGreeted>;

/// The reason why a handshake failed.
#[derive(Debug)]
pub(crate) enum NotGreeted {
    /// The client is gone.
    Gone(String),
    /// The client was refused and has received the reason.
    Refused(String),
    /// The client was closed without an answer: it sent nothing, or its transport has no answer for this
    /// reason.
    Silent(&'static str),
}

impl From<io::Error> for NotGreeted {
    fn from(error: io::Error) -> Self {
        Self::Gone(error.to_string())
    }
}

impl From<ws::HandshakeError> for NotGreeted {
    fn from(error: ws::HandshakeError) -> Self {
        match error {
            ws::HandshakeError::Io(_) | ws::HandshakeError::Closed => Self::Gone(error.to_string()),
            ws::HandshakeError::Declined(why) => Self::Refused(why),
            error => Self::Refused(error.to_string()),
        }
    }
}

impl From<rawsocket::HandshakeError> for NotGreeted {
    fn from(error: rawsocket::HandshakeError) -> Self {
        match error {
            rawsocket::HandshakeError::Io(_) | rawsocket::HandshakeError::Closed => {
                Self::Gone(error.to_string())
            }
            error => Self::Refused(error.to_string()),
        }
    }
}

/// A connection during the handshake of its transport, with the limits of that.
#[derive(Debug)]
pub(crate) struct Handshake {
    state: Arc<RouterState>,
    peer: Peer,
    admitted: Admitted,
    until: Instant,
    /// The settings of the connection.
    settings: Arc<Settings>,
}

impl Handshake {
    /// Creates it for a connection established at `since`.
    pub(crate) fn new(
        state: &Arc<RouterState>,
        (peer, is_public): (Peer, bool),
        permit: Permit,
        since: Instant,
    ) -> Self {
        let newcomer = state.connections.newcomer(peer.ip());
        let settings = state.settings();
        let until = since + settings.limits.join;
        let admitted = Admitted { permit, newcomer, is_public };
        Self { state: state.clone(), peer, admitted, until, settings }
    }

    /// Returns the settings of the connection.
    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Takes the address that a proxy has told for that of the client.
    fn set_peer(&mut self, peer: Peer) {
        self.admitted.newcomer.move_to(peer.ip());
        self.peer = peer;
    }

    /// Reads the header of the PROXY protocol, if the connection has to begin with one.
    async fn proxied<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<BytesMut, NotGreeted> {
        let mut first = BytesMut::with_capacity(FIRST_READ);
        if self.settings.proxies.begins_with_header(&self.peer) {
            let told = tokio::select! {
                told = proxies::read_header(stream, &mut first) => told,
                refusal = self.refusal() => return Err(NotGreeted::Silent(refusal.why())),
            };
            match told {
                Ok(None) => {}
                Ok(Some(peer)) => self.set_peer(peer),
                Err(fault @ proxies::Fault::Wrong) => return Err(NotGreeted::Refused(fault.to_string())),
                Err(fault) => return Err(NotGreeted::Gone(fault.to_string())),
            }
        }
        Ok(first)
    }

    /// Waits until the client must stop.
    async fn refusal(&self) -> Refusal {
        tokio::select! {
            () = sleep_until(self.until) => Refusal::TooSlow,
            () = self.admitted.newcomer.gives_way() => Refusal::GivesWay,
            () = self.state.closing.cancelled() => Refusal::Closing,
        }
    }

    /// Gives the client time to read the refusal: closing a socket with unread input may discard the last
    /// output.
    async fn linger<S: AsyncRead + Unpin>(&mut self, stream: &mut S) {
        let time = if self.state.connections.refuse(&mut self.admitted.permit) && !self.state.is_closing() {
            REFUSAL
        } else {
            BRIEFLY
        };
        tokio::select! {
            _ = timeout(time, discard(stream)) => {}
            () = self.state.closing.cancelled() => drop(timeout(BRIEFLY, discard(stream)).await),
        }
    }

    /// Returns the result of a RawSocket handshake, with the refusal as the reason for the log.
    fn refused<T>(&self, accepted: Result<T, rawsocket::HandshakeError>) -> Result<T, NotGreeted> {
        accepted.map_err(|error| {
            let error = NotGreeted::from(error);
            if let NotGreeted::Refused(why) = &error {
                self.state.refusals.handshake(&self.peer, why);
            }
            error
        })
    }

    /// Returns the result of a handshake, with the reason for the log. After a failure the client gets time
    /// to read it.
    async fn ended<S, T>(&mut self, greeted: Result<T, NotGreeted>, stream: &mut S) -> Result<T, NotGreeted>
    where
        S: AsyncRead + Unpin,
    {
        if let Err(why) = &greeted {
            match why {
                NotGreeted::Refused(why) => {
                    self.state.refusals.handshake(&self.peer, why);
                    self.linger(stream).await;
                }
                NotGreeted::Silent(why) => self.state.refusals.handshake(&self.peer, why),
                NotGreeted::Gone(why) => tracing::debug!(peer = %self.peer, why, "no handshake"),
            }
        }
        greeted
    }
}

/// The reason why a client must stop its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    TooSlow,
    GivesWay,
    Closing,
}

impl Refusal {
    fn why(self) -> &'static str {
        match self {
            Refusal::TooSlow => "the handshake took too long",
            Refusal::GivesWay => TOO_MANY_NEWCOMERS,
            Refusal::Closing => "the router is shutting down",
        }
    }

    fn http(self) -> ws::Refusal {
        match self {
            Refusal::TooSlow => ws::Refusal::timeout(self.why()),
            Refusal::GivesWay | Refusal::Closing => ws::Refusal::unavailable(self.why()),
        }
    }
}

/// A connection whose first bytes have been read: a whole request of RawSocket, or one byte or more of anything else.
pub(crate) struct Opened<S> {
    socket: S,
    first: BytesMut,
    handshake: Handshake,
}

/// Where a stream begins.
pub(crate) enum Begins {
    /// At the beginning of its connection, where a proxy may have added a header.
    Connection,
    /// Within TLS.
    #[cfg(feature = "tls")]
    Tls,
}

/// Waits for the first bytes of a connection.
pub(crate) async fn open<S: Socket>(
    mut socket: S,
    mut handshake: Handshake,
    begins: Begins,
) -> Result<Opened<S>, NotGreeted> {
    let opened = async {
        socket.set_nodelay()?;
        let begun = match begins {
            Begins::Connection => handshake.proxied(&mut socket).await?,
            #[cfg(feature = "tls")]
            Begins::Tls => BytesMut::with_capacity(FIRST_READ),
        };
        first(&mut socket, begun, &handshake).await
    };
    let opened = opened.await;
    let first = handshake.ended(opened, &mut socket).await?;
    Ok(Opened { socket, first, handshake })
}

#[cfg(feature = "tls")]
impl<S: Socket> Opened<S> {
    /// Returns whether the connection begins with a TLS handshake.
    pub(crate) fn is_tls(&self) -> bool {
        self.first[0] == TLS
    }

    /// Does the TLS handshake, and waits for the first bytes inside.
    pub(crate) async fn secure(self, server: &wamp_tls::Server) -> Result<Opened<Secured<S>>, NotGreeted> {
        let Self { socket, first, mut handshake } = self;
        let accepted = tokio::select! {
            accepted = server.accept(&first, socket) => accepted,
            refusal = handshake.refusal() => {
                handshake.state.refusals.handshake(&handshake.peer, refusal.why());
                return Err(NotGreeted::Silent(refusal.why()));
            }
        };
        match accepted {
            Ok(socket) => open(socket, handshake, Begins::Tls).await,
            // The client has been sent an alert.
            Err((error, mut socket)) => {
                let why = match error.kind() {
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                        NotGreeted::Gone("closed in the TLS handshake".to_owned())
                    }
                    _ => NotGreeted::Refused(format!("no TLS: {error}")),
                };
                handshake.ended(Err(why), &mut socket).await
            }
        }
    }

    /// Refuses a client without TLS on a port that requires it. RawSocket has no answer for that.
    pub(crate) async fn wants_tls(self) {
        let Self { mut socket, first, mut handshake } = self;
        let why = if first[0] == RAWSOCKET {
            NotGreeted::Silent("RawSocket without TLS, on a port that requires rss://")
        } else {
            const WHY: &str = "this port requires TLS: connect to wss:// instead of ws://";
            tokio::select! {
                refused = ws::refuse_for(&mut socket, &first, ws::Refusal::upgrade_required(WHY)) => match refused {
                    Ok(()) => NotGreeted::Refused("HTTP without TLS, on a port that requires wss://".to_owned()),
                    Err(error) => error.into(),
                },
                refusal = handshake.refusal() => NotGreeted::Silent(refusal.why()),
            }
        };
        // The log has the reason.
        let _ = handshake.ended::<_, ()>(Err(why), &mut socket).await;
    }
}

/// Does the handshake of a connection.
pub(crate) async fn greet<S: Socket>(opened: Opened<S>) -> Greeting<S> {
    let Opened { mut socket, first, mut handshake } = opened;
    let begun = async {
        if first[0] == RAWSOCKET {
            // Some RawSocket clients do not answer a PING, so the operating system checks whether the peer is
            // still there.
            socket.set_probe(&probe(&handshake.settings.limits))?;
        }
        http(&mut socket, first, &handshake).await
    };
    let begun = begun.await;
    let greeted = match handshake.ended(begun, &mut socket).await? {
        Begun::WebSocket(accepted) => {
            if let Ok(Some(client)) = client_of(&accepted, &handshake) {
                // Its port is not known.
                handshake.set_peer(Peer::Tcp((client, 0).into()));
            }
            Greeted::WebSocket(accepted.over(socket))
        }
        Begun::RawSocket(first) => {
            let config = rawsocket_config(&handshake.settings.limits);
            let accepted = rawsocket::accept(socket, &first, &config).await;
            Greeted::RawSocket(handshake.refused(accepted)?)
        }
    };
    Ok((greeted, handshake.peer, handshake.admitted))
}

/// Returns the address of the client that a trusted proxy at the other end of the connection has noted.
fn client_of(accepted: &ws::Accepted, handshake: &Handshake) -> Result<Option<IpAddr>, ws::NoAddress> {
    accepted.forwarded_for(|address| handshake.settings.proxies.has_ip(address))
}

/// Tells a client that there is no room for it. A client that begins with TLS gets no answer, since an answer
/// would require the handshake.
pub(crate) async fn refuse<S: Socket>(mut socket: S, has_tls: bool) -> io::Result<()> {
    socket.set_nodelay()?;
    let first = [socket.read_u8().await?];
    // A client that is gone needs no answer.
    if first == [RAWSOCKET] {
        let _ = rawsocket::refuse(&mut socket, &first, rawsocket::ErrorCode::ConnectionLimit).await;
    } else if has_tls && first == [TLS] {
        let _ = socket.shutdown().await;
    } else {
        let refusal = ws::Refusal::unavailable("there are too many connections");
        let _ = ws::refuse_for(&mut socket, &first, refusal).await;
    }
    // Closing a socket with unread input may discard the last output.
    discard(&mut socket).await
}

/// A connection whose transport is known.
enum Begun {
    /// RawSocket, with the whole request.
    RawSocket(BytesMut),
    WebSocket(ws::Accepted),
}

/// Does the handshake of a WebSocket, unless the connection uses another transport.
async fn http<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    first: BytesMut,
    handshake: &Handshake,
) -> Result<Begun, NotGreeted> {
    if first[0] == RAWSOCKET {
        return Ok(Begun::RawSocket(first));
    }
    let refusal = async { handshake.refusal().await.http() };
    let config = ws_config(handshake);
    // The connection of the proxy would have no limits by address, so a client without an address is refused.
    let check = |accepted: &ws::Accepted| match client_of(accepted, handshake) {
        Ok(_) => Ok(()),
        Err(error) => Err(ws::Refusal::bad_request(error.to_string())),
    };
    let accepted = ws::accept_if(stream, &first, &config, refusal, check);
    // Later, for a client that does not even read its refusal.
    match timeout_at(handshake.until + REFUSAL, accepted).await {
        Ok(accepted) => Ok(Begun::WebSocket(accepted?)),
        Err(_) => Err(NotGreeted::Silent(Refusal::TooSlow.why())),
    }
}

/// Reads and discards further input.
async fn discard<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Reads the beginning: a whole request of RawSocket, or at least one byte of anything else.
async fn first<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mut first: BytesMut,
    handshake: &Handshake,
) -> Result<BytesMut, NotGreeted> {
    while first.is_empty() || (first[0] == RAWSOCKET && first.len() < REQUEST) {
        let refusal = tokio::select! {
            read = stream.read_buf(&mut first) => match read? {
                0 => return Err(NotGreeted::Gone("closed before the handshake was complete".to_owned())),
                _ => continue,
            },
            refusal = handshake.refusal() => refusal,
        };
        // RawSocket has an answer to this reason only, and before the first byte the transport is unknown.
        if first.first() == Some(&RAWSOCKET) && refusal == Refusal::GivesWay {
            stream.write_all(&rawsocket::handshake::refusal(rawsocket::ErrorCode::ConnectionLimit)).await?;
            stream.shutdown().await?;
            return Err(NotGreeted::Refused(refusal.why().to_owned()));
        }
        return Err(NotGreeted::Silent(refusal.why()));
    }
    Ok(first)
}

/// Returns when the operating system checks whether a peer is still there.
fn probe(limits: &Limits) -> Probe {
    Probe { silence: limits.silence, answer: limits.pong, write: limits.give_up }
}

fn rawsocket_config(limits: &Limits) -> rawsocket::Config {
    rawsocket::Config { max_receive: limits.message, ..rawsocket::Config::default() }
}

fn ws_config(handshake: &Handshake) -> ws::Config {
    let Handshake { settings, peer, .. } = handshake;
    let is_proxy = settings.proxies.has(peer);
    let mut origins = settings.origins.clone();
    // The name of the host is for the proxy.
    if peer.is_loopback() && !is_proxy {
        origins = origins.over_loopback();
    }
    ws::Config {
        max_receive: settings.limits.message,
        max_send: settings.limits.websocket_message,
        origins,
        // Others may write anything into it.
        forwarded: settings.proxies.http_header().filter(|_| is_proxy),
        ..ws::Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operating_system_watches_over_a_rawsocket_peer() {
        let limits = Limits::default();
        let probe = probe(&limits);
        assert_eq!((probe.silence, probe.answer), (limits.silence, limits.pong));
        // The operating system does not give up before the router does.
        assert_eq!(probe.write, limits.give_up);
    }
}
