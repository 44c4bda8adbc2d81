//! Proxies in front of a router, whose word about the address of a client is believed.

use std::fmt;
use std::io;
use std::net::IpAddr;

use bytes::{Buf, BytesMut};
use ipnet::IpNet;
use proxy_header::{Error, ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};
use wamp_transport::socket::Peer;
use wamp_transport_ws::ForwardedHeader;

/// The entry that stands for all Unix sockets.
const UNIX: &str = "unix";

/// The longest header of the PROXY protocol that is read.
const MAX_HEADER: usize = 4096;

/// How a proxy tells the address of its client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAddress {
    /// By the HTTP header `X-Forwarded-For`, for WebSocket.
    #[default]
    XForwardedFor,
    /// By the HTTP header `Forwarded` (RFC 7239), for WebSocket.
    Forwarded,
    /// By a header of the PROXY protocol, version 1 or 2, at the beginning of each connection, before TLS. Each
    /// connection of a proxy must have one.
    ProxyProtocol,
}

/// The proxies in front of a router. Limits by address, the log and the meta API then have the addresses of the clients
/// behind them.
///
/// Others are not believed: their headers have no effect.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wamp_router::{ClientAddress, Proxies, Router};
///
/// let mut proxies = Proxies::new(ClientAddress::ProxyProtocol);
/// proxies.add("10.0.0.0/8")?;
/// let router = Router::builder().proxies(proxies).build();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    networks: Vec<IpNet>,
    has_unix: bool,
    client: ClientAddress,
}

/// A text that is not the address of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an address: write \"10.0.0.7\", \"10.0.0.0/8\", \"fd00::/8\", or \"unix\" for Unix sockets"
)]
pub struct NotAnAddress(String);

impl Proxies {
    /// No proxies, which tell the addresses of clients in this way.
    pub fn new(client: ClientAddress) -> Self {
        Self { client, ..Self::default() }
    }

    /// Adds a proxy: an address, a network (`10.0.0.0/8`), or `unix` for all that connect over Unix sockets.
    ///
    /// # Errors
    /// The text is none of these.
    pub fn add(&mut self, address: &str) -> Result<(), NotAnAddress> {
        if address == UNIX {
            self.has_unix = true;
            return Ok(());
        }
        let network = address.parse::<IpNet>().or_else(|_| address.parse::<IpAddr>().map(IpNet::from));
        self.networks.push(network.map_err(|_| NotAnAddress(address.to_owned()))?.trunc());
        Ok(())
    }

    /// Returns how the proxies tell the addresses of clients.
    pub fn client(&self) -> ClientAddress {
        self.client
    }

    /// Returns the proxies, as [`add`](Self::add) reads them.
    pub fn addresses(&self) -> Vec<String> {
        let networks = self.networks.iter().map(ToString::to_string);
        networks.chain(self.has_unix.then(|| UNIX.to_owned())).collect()
    }

    pub(crate) fn has(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Tcp(address) => self.has_ip(address.ip()),
            Peer::Unix(_) => self.has_unix,
            _ => false,
        }
    }

    pub(crate) fn has_ip(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Returns whether the connection of a peer begins with a header of the PROXY protocol.
    pub(crate) fn begins_with_header(&self, peer: &Peer) -> bool {
        self.client == ClientAddress::ProxyProtocol && self.has(peer)
    }

    /// Returns the HTTP header that has the address of the client.
    pub(crate) fn http_header(&self) -> Option<ForwardedHeader> {
        match self.client {
            _ if self.networks.is_empty() && !self.has_unix => None,
            ClientAddress::XForwardedFor => Some(ForwardedHeader::XForwardedFor),
            ClientAddress::Forwarded => Some(ForwardedHeader::Forwarded),
            ClientAddress::ProxyProtocol => None,
        }
    }
}

/// A fault in a header of the PROXY protocol.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    Wrong,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Wrong => f.write_str("a trusted proxy has sent no header of the PROXY protocol"),
        }
    }
}

/// Reads a header of the PROXY protocol, and leaves the bytes behind it in the buffer. Returns the address of the client;
/// `None` if the proxy itself is the client, as for a health check.
pub(crate) async fn read_header<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
) -> Result<Option<Peer>, Fault> {
    loop {
        match ProxyHeader::parse(buffer, ParseConfig::default()) {
            Ok((header, length)) => {
                let client = header.proxied_address().map(|address| Peer::Tcp(address.source));
                buffer.advance(length);
                return Ok(client);
            }
            Err(Error::BufferTooShort) if buffer.len() < MAX_HEADER => {}
            Err(_) => return Err(Fault::Wrong),
        }
        buffer.reserve(256);
        match stream.read_buf(buffer).await {
            Ok(0) => return Err(Fault::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => return Err(Fault::Io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_those_of_proxies() {
        let mut proxies = Proxies::default();
        for wrong in ["", "proxy.example", "10.0.0.0/33", "unix:///a"] {
            assert!(proxies.add(wrong).is_err(), "{wrong}");
        }
        assert!(proxies.http_header().is_none());
        for right in ["10.1.2.3/8", "192.0.2.7", "fd00::/8"] {
            proxies.add(right).unwrap();
        }
        let tcp = |text: &str| Peer::Tcp((text.parse::<IpAddr>().unwrap(), 1).into());
        for (address, expected) in [
            ("10.255.0.1", true),
            ("::ffff:10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd12::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(proxies.has(&tcp(address)), expected, "{address}");
        }
        let unix = Peer::Unix(std::path::Path::new("/run/a").into());
        assert!(!proxies.has(&unix) && !proxies.has(&Peer::Other));
        proxies.add("unix").unwrap();
        assert!(proxies.has(&unix) && !proxies.has(&Peer::Other));
        assert_eq!(proxies.addresses(), ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "unix"]);
    }

    #[tokio::test]
    async fn a_header_is_read_however_it_arrives() {
        let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\x7f\0\0\x01\x12\x67\x1f\x90";
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        let table: [(&[u8], Option<&str>); 5] = [
            (b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 8080\r\n", Some("192.0.2.1:4711")),
            (b"PROXY TCP6 2001:db8::1 ::1 4711 8080\r\n", Some("[2001:db8::1]:4711")),
            (b"PROXY UNKNOWN\r\n", None),
            (v2, Some("192.0.2.1:4711")),
            (local, None),
        ];
        for (header, expected) in table {
            for chunk in [1, 7, 1000] {
                let all = [header, b"\x7f\xf1"].concat();
                let mut stream = tokio_stream_of(&all, chunk);
                let mut buffer = BytesMut::new();
                let client = read_header(&mut stream, &mut buffer).await.unwrap();
                assert_eq!(client.map(|peer| peer.to_string()).as_deref(), expected);
                let mut rest = buffer.to_vec();
                stream.read_to_end(&mut rest).await.unwrap();
                assert_eq!(rest, b"\x7f\xf1");
            }
        }
        for wrong in [&b"GET / HTTP/1.1\r\n"[..], b"\x7f\xf1\0\0", b"PROXY TCP4 a b 1 2\r\n", b"PROXY", b""] {
            let mut stream = tokio_stream_of(wrong, 1000);
            assert!(read_header(&mut stream, &mut BytesMut::new()).await.is_err(), "{wrong:?}");
        }
    }

    /// A stream that gives so many bytes at a time.
    fn tokio_stream_of(bytes: &[u8], chunk: usize) -> impl AsyncRead + Unpin + use<> {
        let (mut write, read) = tokio::io::duplex(chunk);
        let bytes = bytes.to_vec();
        tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut write, &bytes).await });
        read
    }
}
