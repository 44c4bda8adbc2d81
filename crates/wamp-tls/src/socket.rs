//! A stream with TLS, for transports.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};
use tokio_rustls::TlsStream;
use tokio_rustls::rustls::{CommonState, ProtocolVersion};
use wamp_transport::Security;
use wamp_transport::socket::{Peer, Probe, Socket};

/// A stream with TLS over another one. Its halves share a lock, which is held for one call only.
#[derive(Debug)]
pub struct TlsSocket<S>(pub(crate) TlsStream<S>);

impl<S> TlsSocket<S> {
    /// Returns the stream below.
    pub fn get_ref(&self) -> &S {
        self.0.get_ref().0
    }

    /// Returns the outcome of the handshake, such as the certificates of the peer.
    pub fn session(&self) -> &CommonState {
        self.0.get_ref().1
    }

    /// Returns 32 bytes that both ends of this connection know and no other connection has: the `tls-exporter` channel
    /// binding (RFC 9266). `None` with TLS 1.2, where they are unique only under conditions.
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        const LABEL: &[u8] = b"EXPORTER-Channel-Binding";
        if self.session().protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return None;
        }
        // An empty context, as the RFC says.
        let exported = match &self.0 {
            TlsStream::Client(stream) => stream.get_ref().1.export_keying_material([0; 32], LABEL, Some(b"")),
            TlsStream::Server(stream) => stream.get_ref().1.export_keying_material([0; 32], LABEL, Some(b"")),
        };
        exported.ok()
    }
}

impl<S: Socket> Socket for TlsSocket<S> {
    type Read = ReadHalf<Self>;
    type Write = WriteHalf<Self>;

    fn into_halves(self) -> (Self::Read, Self::Write) {
        split(self)
    }

    fn set_nodelay(&self) -> io::Result<()> {
        self.get_ref().set_nodelay()
    }

    fn set_probe(&self, probe: &Probe) -> io::Result<()> {
        self.get_ref().set_probe(probe)
    }

    fn peer(&self) -> Peer {
        self.get_ref().peer()
    }

    fn security(&self) -> Security {
        let certificate = self.session().peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.map(|certificate| Bytes::copy_from_slice(certificate));
        Security::tls(self.channel_binding(), certificate)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
