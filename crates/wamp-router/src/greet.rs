//! The beginning of a connection: what it speaks, and the handshake of its transport.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use wamp_transport_rawsocket as rawsocket;
use wamp_transport_ws as ws;

use crate::Limits;
use crate::connections::{Newcomer, Place, TOO_MANY_NEWCOMERS};
use crate::peer::Peer;
use crate::router::Shared;

/// What RawSocket begins with, and HTTP never.
pub(crate) const RAWSOCKET: u8 = rawsocket::handshake::MAGIC;

/// So many bytes are asked for at first: an HTTP request mostly.
const FIRST_READ: usize = 1024;

/// The length of a RawSocket request.
const REQUEST: usize = 4;

/// How many probes without an answer end a TCP connection.
const KEEPALIVE_PROBES: u32 = 3;

/// How long a client that is refused may take to hear that.
pub(crate) const REFUSAL: Duration = Duration::from_secs(2);

/// The same while too many others are being refused.
const BRIEFLY: Duration = Duration::from_millis(50);

/// A connection after the handshake of its transport.
pub(crate) enum Greeted<R, W> {
    RawSocket(R),
    WebSocket(W),
}

/// What comes of a handshake.
pub(crate) type Greeting<R, W> = Result<(Greeted<R, W>, Place, Newcomer), NotGreeted>;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NotGreeted {
    /// The client is gone.
    Gone(String),
    /// It was refused, and has been told.
    Refused(String),
    /// It was closed: it has said nothing, or what it speaks has no answer for that.
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

/// A connection in the handshake of its transport: how long that may take.
#[derive(Debug)]
pub(crate) struct Handshake {
    shared: Arc<Shared>,
    peer: Peer,
    place: Place,
    newcomer: Newcomer,
    until: Instant,
}

impl Handshake {
    /// For a connection that stands since then.
    pub(crate) fn new(shared: &Arc<Shared>, peer: Peer, place: Place, since: Instant) -> Self {
        let newcomer = shared.connections.newcomer(peer.ip());
        Self { shared: shared.clone(), peer, place, newcomer, until: since + shared.limits.join }
    }

    /// Waits until the client may not go on.
    async fn refusal(&self) -> Refusal {
        tokio::select! {
            () = sleep_until(self.until) => Refusal::TooSlow,
            () = self.newcomer.gives_way() => Refusal::GivesWay,
            () = self.closing() => Refusal::Closing,
        }
    }

    /// Waits until the router shuts down.
    async fn closing(&self) {
        // The sender is in `shared`, so it is never gone.
        let _ = self.shared.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// Gives the client time to hear why it was refused: a socket that is closed over what its peer has sent may
    /// take back what was written last.
    async fn linger<S: AsyncRead + Unpin>(&mut self, stream: &mut S) {
        let time = if self.place.be_refused() && !self.shared.is_closing() { REFUSAL } else { BRIEFLY };
        tokio::select! {
            _ = timeout(time, discard(stream)) => {}
            () = self.closing() => drop(timeout(BRIEFLY, discard(stream)).await),
        }
    }

    /// What came of the handshake of a RawSocket, for the log. The refusal is all that it says.
    fn refused<T>(&self, accepted: Result<T, rawsocket::HandshakeError>) -> Result<T, NotGreeted> {
        accepted.map_err(|error| {
            let error = NotGreeted::from(error);
            if let NotGreeted::Refused(why) = &error {
                self.shared.refusals.handshake(&self.peer, why);
            }
            error
        })
    }

    /// What came of a handshake, for the log. Where it came to nothing the client is given time to hear that.
    async fn ended<S, T>(&mut self, greeted: Result<T, NotGreeted>, stream: &mut S) -> Result<T, NotGreeted>
    where
        S: AsyncRead + Unpin,
    {
        if let Err(why) = &greeted {
            match why {
                NotGreeted::Refused(why) => {
                    self.shared.refusals.handshake(&self.peer, why);
                    self.linger(stream).await;
                }
                NotGreeted::Silent(why) => self.shared.refusals.handshake(&self.peer, why),
                NotGreeted::Gone(why) => tracing::debug!(peer = %self.peer, why, "no handshake"),
            }
        }
        greeted
    }
}

/// Why a client may not go on with its handshake.
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

/// Does the handshake of a TCP connection.
pub(crate) async fn greet_tcp(
    mut stream: TcpStream,
    mut handshake: Handshake,
) -> Greeting<rawsocket::Tcp, ws::WebSocket<TcpStream>> {
    let begun = async {
        stream.set_nodelay(true)?;
        let first = first(&mut stream, &handshake).await?;
        if first[0] == RAWSOCKET {
            keep_alive(&stream, &handshake.shared.limits)?;
        }
        http(&mut stream, first, &handshake).await
    };
    let begun = begun.await;
    let greeted = match handshake.ended(begun, &mut stream).await? {
        Begun::WebSocket(accepted) => Greeted::WebSocket(accepted.over(stream)),
        Begun::RawSocket(first) => {
            let config = rawsocket_config(&handshake.shared);
            let accepted = rawsocket::accept_tcp_after(stream, &first, &config).await;
            Greeted::RawSocket(handshake.refused(accepted)?)
        }
    };
    Ok((greeted, handshake.place, handshake.newcomer))
}

/// Does the handshake of a connection to a Unix socket.
pub(crate) async fn greet_unix(
    mut stream: UnixStream,
    mut handshake: Handshake,
) -> Greeting<rawsocket::Unix, ws::WebSocket<UnixStream>> {
    let begun = async {
        let first = first(&mut stream, &handshake).await?;
        http(&mut stream, first, &handshake).await
    };
    let begun = begun.await;
    let greeted = match handshake.ended(begun, &mut stream).await? {
        Begun::WebSocket(accepted) => Greeted::WebSocket(accepted.over(stream)),
        Begun::RawSocket(first) => {
            let config = rawsocket_config(&handshake.shared);
            let accepted = rawsocket::accept_unix_after(stream, &first, &config).await;
            Greeted::RawSocket(handshake.refused(accepted)?)
        }
    };
    Ok((greeted, handshake.place, handshake.newcomer))
}

/// A connection of which it is known what it speaks.
enum Begun {
    /// This is what has come: a whole request.
    RawSocket(BytesMut),
    WebSocket(ws::Accepted),
}

/// Does the handshake of a WebSocket, unless that is not what the connection speaks.
async fn http<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    first: BytesMut,
    handshake: &Handshake,
) -> Result<Begun, NotGreeted> {
    if first[0] == RAWSOCKET {
        return Ok(Begun::RawSocket(first));
    }
    let refusal = async { handshake.refusal().await.http() };
    let config = ws_config(&handshake.shared);
    let accepted = ws::accept_unless(stream, &first, &config, refusal);
    // Later, for a client that does not even read its refusal.
    match timeout_at(handshake.until + REFUSAL, accepted).await {
        Ok(accepted) => Ok(Begun::WebSocket(accepted?)),
        Err(_) => Err(NotGreeted::Silent(Refusal::TooSlow.why())),
    }
}

/// Reads what still comes.
pub(crate) async fn discard<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// What comes first: a whole request of RawSocket, or one byte or more of anything else.
async fn first<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    handshake: &Handshake,
) -> Result<BytesMut, NotGreeted> {
    let mut first = BytesMut::with_capacity(FIRST_READ);
    while first.is_empty() || (first[0] == RAWSOCKET && first.len() < REQUEST) {
        let refusal = tokio::select! {
            read = stream.read_buf(&mut first) => match read? {
                0 => return Err(NotGreeted::Gone("closed before the handshake was complete".to_owned())),
                _ => continue,
            },
            refusal = handshake.refusal() => refusal,
        };
        // RawSocket has an answer to this one and none to the others; before the first byte it is not known what
        // the client speaks.
        if first.first() == Some(&RAWSOCKET) && refusal == Refusal::GivesWay {
            stream.write_all(&rawsocket::handshake::refusal(rawsocket::ErrorCode::ConnectionLimit)).await?;
            stream.shutdown().await?;
            return Err(NotGreeted::Refused(refusal.why().to_owned()));
        }
        return Err(NotGreeted::Silent(refusal.why()));
    }
    Ok(first)
}

/// Has the operating system find out whether the peer is still there, since a RawSocket client may not answer a
/// PING. A Unix socket needs none of this: its peer is on the same machine, and the kernel says when it is gone.
fn keep_alive(stream: &TcpStream, limits: &Limits) -> io::Result<()> {
    let socket = SockRef::from(stream);
    // Whole seconds, and at least one, is what the options can say.
    let interval = (limits.pong / KEEPALIVE_PROBES).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new().with_time(limits.silence.max(Duration::from_secs(1)));
    #[cfg(not(target_os = "windows"))]
    let keepalive = keepalive.with_interval(interval).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some((limits.silence + limits.pong).max(limits.give_up)))?;
    Ok(())
}

fn rawsocket_config(shared: &Shared) -> rawsocket::Config {
    let mut config = rawsocket::Config::default();
    config.max_receive = shared.limits.message;
    config
}

fn ws_config(shared: &Shared) -> ws::Config {
    let mut config = ws::Config::default();
    config.max_receive = shared.limits.message;
    config.max_send = shared.limits.websocket_message;
    config
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_operating_system_watches_over_a_rawsocket_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let limits = Limits::default();
        keep_alive(&stream, &limits).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), limits.silence);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limits.silence + limits.pong));
        // What an option cannot say is rounded up, not refused.
        let mut short = Limits::default();
        (short.silence, short.pong) = (Duration::from_millis(1), Duration::ZERO);
        keep_alive(&stream, &short).unwrap();
    }
}
