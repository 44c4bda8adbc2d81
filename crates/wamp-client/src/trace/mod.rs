//! Traces of OpenTelemetry, with the feature `otel`; without it all of this does nothing and takes no memory.
//!
//! A call is a span of its caller (kind `Client`), and its invocation one of the callee (kind `Server`), which has the
//! caller's as its parent. The context goes in the options `_traceparent` and `_tracestate`, in the form of W3C Trace
//! Context, which a router of this project copies into the details (behaviour 114 and 151).

#[cfg(feature = "otel")]
mod context;
#[cfg(feature = "otel")]
mod spans;

#[cfg(not(feature = "otel"))]
mod silent;

#[cfg(feature = "otel")]
pub(crate) use context::{received, send_current};
#[cfg(not(feature = "otel"))]
pub(crate) use silent::{CallSpan, InvocationSpan, send_current};
#[cfg(feature = "otel")]
pub(crate) use spans::{CallSpan, InvocationSpan};
