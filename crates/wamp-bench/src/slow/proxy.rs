//! A TCP proxy before the router that can stop reading from it, or read slowly.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinSet;

use super::outcome::Span;
use crate::Failed;

/// The size of the kernel's buffer for bytes that the proxy does not read.
const RECEIVE_BUFFER: u32 = 64 * 1024;

/// The bytes of one read, if there is no limit.
const BLOCK: usize = 64 * 1024;

/// A proxy, which ends with this. Everything that goes to the router is passed on at once.
pub(super) struct Proxy {
    url: String,
    open: watch::Sender<bool>,
    stopped: OnceCell<Span>,
    _connections: JoinSet<()>,
}

impl Proxy {
    /// Starts in front of the router at this URL, and reads at most this many bytes a second from it.
    pub(super) async fn start(url: &str, rate: Option<u64>) -> Result<Self, Failed> {
        let (scheme, rest) = url.split_once("://").ok_or("no URL")?;
        let (address, path) =
            rest.split_once('/').map_or((rest, String::new()), |(a, p)| (a, format!("/{p}")));
        if !matches!(scheme, "ws" | "rs") {
            return Err(format!("{url}: the proxy needs TCP").into());
        }
        let router = lookup_host(address).await?.next().ok_or("no such host")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("{scheme}://{}{path}", listener.local_addr()?);
        let (open, gate) = watch::channel(true);
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut couples = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let gate = gate.clone();
                couples.spawn(async move {
                    let socket = if router.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
                    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
                    couple(client, socket.connect(router).await?, gate, rate).await
                });
            }
        });
        Ok(Self { url, open, stopped: OnceCell::new(), _connections: connections })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Reads nothing from the router for this time, on any connection, and returns the span. A second call
    /// only returns it.
    pub(super) async fn stop_for(&self, pause: Duration) -> Span {
        let stop = async {
            let from = Instant::now();
            self.open.send_replace(false);
            tokio::time::sleep(pause).await;
            self.open.send_replace(true);
            Span { from, to: Instant::now() }
        };
        *self.stopped.get_or_init(|| stop).await
    }
}

async fn couple(
    client: TcpStream,
    router: TcpStream,
    gate: watch::Receiver<bool>,
    rate: Option<u64>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    router.set_nodelay(true)?;
    let (mut from_client, to_client) = client.into_split();
    let (from_router, mut to_router) = router.into_split();
    let forth = async {
        tokio::io::copy(&mut from_client, &mut to_router).await?;
        to_router.shutdown().await
    };
    tokio::try_join!(forth, back(from_router, to_client, gate, rate)).map(drop)
}

async fn back(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut gate: watch::Receiver<bool>,
    rate: Option<u64>,
) -> io::Result<()> {
    // Of a slow link, fifty pieces a second.
    let mut block = vec![0; rate.map_or(BLOCK, |rate| (rate / 50).max(1) as usize)];
    let mut free = Instant::now();
    loop {
        if gate.wait_for(|open| *open).await.is_err() {
            return Ok(());
        }
        let bytes = from.read(&mut block).await?;
        if bytes == 0 {
            return to.shutdown().await;
        }
        to.write_all(&block[..bytes]).await?;
        if let Some(rate) = rate {
            free = free.max(Instant::now()) + Duration::from_secs_f64(bytes as f64 / rate as f64);
            tokio::time::sleep_until(free.into()).await;
        }
    }
}
