//! The RawSocket reader: all at once, byte by byte, in steps and in runs, it reads the same.

#![no_main]

#[path = "stream/mod.rs"]
mod stream;

use libfuzzer_sys::fuzz_target;
use stream::{Pieces, Stream, block_on, read_all};
use wamp_transport::Incoming;
use wamp_transport::socket::AnyStream;
use wamp_transport_rawsocket::{Config, accept};

fuzz_target!(|input: &[u8]| {
    let Some((&first, frames)) = input.split_first() else { return };
    let bytes = [&[0x7f, 0xf1, 0, 0], frames].concat();
    let read = |pieces, runs| -> Option<(Vec<Incoming>, String)> {
        block_on(async {
            let mut config = Config::default();
            // The smallest maximum, or a larger one: messages that are too long occur with either.
            config.max_receive = 512 << (first % 5);
            let transport = accept(AnyStream(Stream::new(&bytes, pieces)), &[], &config).await.ok()?;
            Some(read_all(transport, runs).await)
        })
    };
    let wanted = read(Pieces::All, false);
    for (pieces, runs) in [
        (Pieces::All, true),
        (Pieces::Of(1), false),
        (Pieces::Of(1), true),
        (Pieces::Of(2 + usize::from(first)), true),
        (Pieces::Growing, false),
        (Pieces::Growing, true),
    ] {
        assert_eq!(read(pieces, runs), wanted, "{pieces:?}, runs: {runs}");
    }
});
