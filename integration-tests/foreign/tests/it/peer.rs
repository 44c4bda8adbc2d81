//! The peers of a row: `lib/transport/serializer`.

use wamp_client::Serializer;

#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub library: Library,
    pub transport: Transport,
    pub serializer: Serializer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// `wamp-client`, in the test's process.
    Ours,
    AutobahnPython,
    AutobahnJs,
    Wampy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    WebSocket,
    RawSocket,
}

impl Peer {
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.split('/');
        let library = match words.next()? {
            "ours" => Library::Ours,
            "py" => Library::AutobahnPython,
            "js" => Library::AutobahnJs,
            "wampy" => Library::Wampy,
            _ => return None,
        };
        let transport = match words.next()? {
            "ws" => Transport::WebSocket,
            "rs" => Transport::RawSocket,
            _ => return None,
        };
        Some(Self { library, transport, serializer: words.next()?.parse().ok()? })
    }
}
