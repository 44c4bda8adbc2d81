//! The replies to a call, as items of one stream.

/// A progressive result, or the last result of a call. The last one may have a type of its own.
///
/// A caller gets them from [`CallStream::replies`](crate::CallStream::replies). A callee's stream of them ends with the
/// last result ([`Session::register_stream`](crate::Session::register_stream)):
///
/// ```
/// use wamp_client::Reply;
///
/// let items: Vec<Reply<u64, &str>> = vec![Reply::Progress(1), Reply::Progress(2), Reply::Result("done")];
/// # assert_eq!(items.len(), 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<T, R = T> {
    /// A progressive result.
    Progress(T),
    /// The last result. A callee's stream is not polled after it.
    Result(R),
}

impl<T> Reply<T, T> {
    /// Returns the value, for a handler of both kinds.
    pub fn into_inner(self) -> T {
        match self {
            Reply::Progress(value) | Reply::Result(value) => value,
        }
    }
}
