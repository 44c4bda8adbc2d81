//! Many quiet peers: subscribed or joined, and read by one thread for all of them.

use std::io;
use std::net::TcpStream;
use std::thread::JoinHandle;

use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::process::be_nice;
use crate::wire::Peer;

/// Peers that read until this is dropped.
pub struct Crowd {
    over: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.over.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Crowd {
    /// This many subscribers of a topic.
    pub fn of_subscribers(port: u16, count: usize, topic: &str) -> io::Result<Self> {
        let subscriber = || {
            let mut peer = Peer::join(port)?;
            peer.subscribe(topic)?;
            Ok(peer.socket)
        };
        Self::reading((0..count).map(|_| subscriber()).collect::<io::Result<_>>()?)
    }

    pub fn reading(sockets: Vec<TcpStream>) -> io::Result<Self> {
        let (over, ends) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            be_nice();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(read_all(sockets, ends));
            }
        });
        Ok(Self { over: Some(over), thread: Some(thread) })
    }
}

async fn read_all(sockets: Vec<TcpStream>, ends: oneshot::Receiver<()>) {
    let mut readers = JoinSet::new();
    for socket in sockets {
        readers.spawn(async move {
            socket.set_nonblocking(true)?;
            let mut socket = tokio::net::TcpStream::from_std(socket)?;
            let mut bytes = vec![0; 1 << 16];
            while socket.read(&mut bytes).await? > 0 {}
            io::Result::Ok(())
        });
    }
    let _ = ends.await;
}
