//! A buffer of each thread, into which values are written before they are sent.

use std::cell::Cell;

use wamp_proto::PayloadBuffer;

/// A buffer with more memory than this is not kept.
const KEPT_CAPACITY: usize = 8 * 1024;

thread_local! {
    static BUFFER: Cell<PayloadBuffer> = const { Cell::new(PayloadBuffer::new()) };
}

/// Runs a function with the thread's buffer, which may have memory. A nested call gets another buffer.
pub(crate) fn with<R>(write: impl FnOnce(&mut PayloadBuffer) -> R) -> R {
    // A thread that ends has none.
    let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
    let written = write(&mut buffer);
    if (1..=KEPT_CAPACITY).contains(&buffer.capacity()) {
        let _ = BUFFER.try_with(|kept| kept.set(buffer));
    }
    written
}
