//! The rows. `lib/transport/serializer`; caller -> callee.

use crate::peer::Peer;
use crate::routers::Which;

/// Rows that share a router.
pub struct Section {
    pub title: &'static str,
    pub router: Which,
    pub rows: &'static [&'static str],
}

pub const SECTIONS: &[Section] = &[
    Section {
        title: "A: foreign caller, our router, our callee",
        router: Which::Embedded,
        rows: &[
            "py/ws/json       -> ours/rs/msgpack",
            "py/ws/msgpack    -> ours/ws/cbor",
            "py/ws/cbor       -> ours/rs/json",
            "py/rs/json       -> ours/ws/json",
            "py/rs/msgpack    -> ours/rs/msgpack",
            "py/rs/cbor       -> ours/ws/msgpack",
            "js/ws/json       -> ours/rs/cbor",
            "js/ws/msgpack    -> ours/ws/json",
            "js/ws/cbor       -> ours/ws/cbor",
            "js/rs/json       -> ours/rs/cbor",
            "wampy/ws/json    -> ours/ws/msgpack",
            "wampy/ws/msgpack -> ours/rs/json",
            "wampy/ws/cbor    -> ours/ws/cbor",
        ],
    },
    Section {
        title: "B: our caller, our router, foreign callee",
        router: Which::Embedded,
        rows: &[
            "ours/rs/msgpack -> py/ws/json",
            "ours/ws/cbor    -> py/ws/msgpack",
            "ours/rs/json    -> py/ws/cbor",
            "ours/ws/json    -> py/rs/json",
            "ours/rs/msgpack -> py/rs/msgpack",
            "ours/ws/msgpack -> py/rs/cbor",
            "ours/rs/cbor    -> js/ws/json",
            "ours/ws/json    -> js/ws/msgpack",
            "ours/ws/cbor    -> js/ws/cbor",
            "ours/rs/cbor    -> js/rs/json",
            "ours/ws/msgpack -> wampy/ws/json",
            "ours/rs/json    -> wampy/ws/msgpack",
            "ours/ws/cbor    -> wampy/ws/cbor",
        ],
    },
    Section {
        title: "C: foreign caller, our program wamp-router, foreign callee",
        router: Which::Program,
        rows: &[
            "py/ws/json    -> js/ws/cbor",
            "py/rs/msgpack -> js/rs/json",
            "js/ws/msgpack -> py/rs/cbor",
            "js/rs/json    -> wampy/ws/msgpack",
            "wampy/ws/cbor -> py/ws/msgpack",
            "py/rs/cbor    -> wampy/ws/json",
            "wampy/ws/json -> js/ws/msgpack",
            "js/ws/cbor    -> py/rs/json",
        ],
    },
    Section {
        title: "D: our caller, Crossbar.io, our callee",
        router: Which::Crossbar,
        rows: &[
            "ours/ws/json    -> ours/ws/json",
            "ours/ws/msgpack -> ours/ws/msgpack",
            "ours/ws/cbor    -> ours/ws/cbor",
            "ours/rs/json    -> ours/rs/json",
            "ours/rs/msgpack -> ours/rs/msgpack",
            "ours/rs/cbor    -> ours/rs/cbor",
        ],
    },
    Section {
        title: "E: mixed pairs, Crossbar.io",
        router: Which::Crossbar,
        rows: &[
            "ours/ws/cbor    -> ours/rs/json",
            "ours/rs/msgpack -> py/ws/json",
            "js/ws/cbor      -> ours/rs/msgpack",
            "ours/ws/json    -> wampy/ws/cbor",
        ],
    },
    Section {
        title: "F: foreign caller cancels at the first progressive result, our router",
        router: Which::Embedded,
        rows: &[
            "js/ws/json cancels kill          -> ours/rs/msgpack",
            "js/ws/cbor cancels kill          -> py/ws/json",
            "js/ws/msgpack cancels kill       -> js/ws/json",
            "wampy/ws/json cancels kill       -> ours/ws/cbor",
            "wampy/ws/cbor cancels kill       -> py/rs/msgpack",
            "wampy/ws/msgpack cancels kill    -> wampy/ws/json",
            "py/ws/msgpack cancels default    -> ours/rs/json",
            "py/ws/json cancels default       -> py/rs/cbor",
            "js/ws/json cancels skip          -> ours/ws/msgpack",
            "js/ws/cbor cancels killnowait    -> ours/rs/cbor",
            "js/ws/json cancels killnowait    -> py/ws/cbor",
            "js/ws/msgpack cancels skip       -> js/ws/cbor",
            "wampy/ws/json cancels skip       -> ours/rs/msgpack",
            "wampy/ws/cbor cancels killnowait -> ours/ws/json",
        ],
    },
    Section {
        title: "G: one side goes away after the first progressive result, our router",
        router: Which::Embedded,
        rows: &[
            "py/rs/msgpack dies -> ours/ws/json",
            "js/ws/cbor dies    -> ours/rs/msgpack",
            "wampy/ws/json dies -> ours/ws/cbor",
            "ours/ws/json       -> py/rs/cbor dies",
            "ours/rs/msgpack    -> js/ws/json dies",
            "ours/ws/cbor       -> wampy/ws/msgpack dies",
            "py/ws/json         -> ours/rs/cbor leaves",
            "js/ws/msgpack      -> ours/ws/json leaves",
            "wampy/ws/cbor      -> ours/rs/msgpack leaves",
            "py/rs/cbor         -> ours/ws/msgpack dies",
            "js/rs/json         -> ours/rs/json dies",
            "wampy/ws/json      -> ours/ws/cbor dies",
        ],
    },
    Section {
        title: "H: silence for longer than our router waits before it sends a PING",
        router: Which::Impatient,
        rows: &[
            "py/rs/json idles    -> py/rs/cbor",
            "py/rs/msgpack idles -> ours/rs/msgpack",
            "ours/rs/cbor idles  -> py/rs/msgpack",
            "py/ws/json idles    -> py/ws/cbor",
            "js/rs/json idles    -> js/rs/json",
            "js/ws/msgpack idles -> wampy/ws/json",
            "wampy/ws/cbor idles -> js/ws/json",
        ],
    },
    Section {
        title: "I: a caller that takes the details of results, our router",
        router: Which::Embedded,
        rows: &[
            "py/ws/json details    -> ours/ws/json",
            "py/ws/msgpack details -> ours/rs/msgpack",
            "py/ws/cbor details    -> py/ws/json",
            "py/rs/json details    -> ours/ws/cbor",
            "py/rs/msgpack details -> js/ws/json",
            "py/rs/cbor details    -> wampy/ws/cbor",
        ],
    },
    Section {
        title: "M: over TLS, our router",
        router: Which::EmbeddedTls,
        rows: &[
            "py/ws/json    -> ours/ws/cbor",
            "py/ws/msgpack -> wampy/ws/json",
            "wampy/ws/cbor -> py/ws/cbor",
            "js/ws/json    -> ours/rs/msgpack",
            "ours/rs/cbor  -> wampy/ws/msgpack",
        ],
    },
    Section {
        title: "N: over TLS, Crossbar.io",
        router: Which::CrossbarTls,
        rows: &["ours/ws/json    -> ours/rs/msgpack", "ours/ws/cbor    -> py/ws/json"],
    },
];

/// Peers whose HELLO is recorded.
pub const HELLOS: &[&str] = &[
    "py/ws/json",
    "py/ws/msgpack",
    "py/ws/cbor",
    "py/rs/json",
    "py/rs/msgpack",
    "py/rs/cbor",
    "js/ws/json",
    "js/ws/msgpack",
    "js/ws/cbor",
    "js/rs/json",
    "wampy/ws/json",
    "wampy/ws/msgpack",
    "wampy/ws/cbor",
];

/// Clients, and their reaction to a restart of the router.
pub const RETURNS: &[&str] = &[
    "js/ws/json comes back",
    "js/ws/msgpack comes back",
    "js/ws/cbor comes back",
    "wampy/ws/json comes back",
    "wampy/ws/msgpack comes back",
    "wampy/ws/cbor comes back",
    "py/ws/json comes back",
    "py/rs/msgpack comes back",
    "py/ws/cbor comes back after goodbye",
    "js/ws/json stays away after goodbye",
];

/// A parsed row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub caller: Peer,
    pub callee: Peer,
    pub plot: Plot,
}

/// The plot of a row.
#[derive(Clone, Copy, Debug)]
pub enum Plot {
    /// The call runs to its end.
    Streams,
    /// The same, with a long silence in the middle.
    Idles,
    /// The same, and the caller takes results with their details.
    Details,
    /// The caller cancels it in this mode.
    CallerCancels(&'static str),
    /// The caller's connection breaks: a program is killed.
    CallerDies,
    /// The callee's connection breaks.
    CalleeDies,
    /// The callee says GOODBYE.
    CalleeLeaves,
}

impl Row {
    pub fn read(text: &'static str) -> Option<Self> {
        let (caller, callee) = text.split_once("->")?;
        let (mut caller, mut callee) = (caller.split_whitespace(), callee.split_whitespace());
        let peers = (Peer::read(caller.next()?)?, Peer::read(callee.next()?)?);
        let plot = match (caller.next(), callee.next()) {
            (None, None) => Plot::Streams,
            (Some("cancels"), None) => Plot::CallerCancels(caller.next()?),
            (Some("idles"), None) => Plot::Idles,
            (Some("details"), None) => Plot::Details,
            (Some("dies"), None) => Plot::CallerDies,
            (None, Some("dies")) => Plot::CalleeDies,
            (None, Some("leaves")) => Plot::CalleeLeaves,
            _ => return None,
        };
        Some(Self { caller: peers.0, callee: peers.1, plot })
    }
}
