//! The spans of calls and invocations.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::{FutureExt, SpanKind, Status, TraceContextExt, Tracer, WithContext};
use opentelemetry::{Context, KeyValue, global};
use wamp_core::Failure;
use wamp_proto::message::{CallOptions, Extra};
use wamp_proto::{Payload, Uri};

use super::context;
use crate::error::CallError;

/// The name of the tracer.
const TRACER: &str = "wamp-client";

/// The progressive results of a call that become events of its span; further ones are only counted.
const EVENTS: u64 = 32;

/// The span of a call. Without a recorder it takes no memory.
pub(crate) struct CallSpan(Option<Box<Results>>);

impl CallSpan {
    /// Begins the span of a call, below the current context, and adds its context to the options.
    pub(crate) fn begin(procedure: &Uri, options: &mut CallOptions) -> Self {
        let parent = Context::current();
        let span = begin("CALL", procedure, SpanKind::Client, &parent);
        context::send(&span, &mut options.extra);
        Self(span.span().is_recording().then(|| Box::new(Results::new(span.clone()))))
    }

    /// Counts a progressive result of so many bytes.
    pub(crate) fn progress(&mut self, bytes: usize) {
        if let Some(results) = &self.0 {
            results.add(bytes);
        }
    }

    /// Ends the span with its call.
    pub(crate) fn end(&mut self, end: &Result<Payload, CallError>) {
        let Some(results) = self.0.take() else { return };
        match end {
            Ok(payload) => results.end(payload.len()),
            Err(error) => results.fail(error.uri().map_or("", |uri| uri), error.to_string()),
        }
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        if let Some(results) = self.0.take() {
            results.set("wamp.dropped", true);
            results.finish(0);
        }
    }
}

/// The span of an invocation.
#[derive(Clone)]
pub(crate) struct InvocationSpan {
    context: Context,
    results: Option<Arc<Results>>,
}

impl InvocationSpan {
    /// Begins the span of an invocation, below the context of its caller.
    pub(crate) fn begin(procedure: &Uri, extra: &Extra) -> Self {
        let context = begin("INVOCATION", procedure, SpanKind::Server, &context::received(extra));
        let results = context.span().is_recording().then(|| Arc::new(Results::new(context.clone())));
        Self { context, results }
    }

    /// Makes the span the current one while a future is polled.
    pub(crate) fn within<F: Future>(&self, future: F) -> WithContext<F> {
        future.with_context(self.context.clone())
    }

    /// Counts a progressive result of so many bytes.
    pub(crate) fn progress(&self, bytes: usize) {
        if let Some(results) = &self.results {
            results.add(bytes);
        }
    }

    /// Ends the span with the answer.
    pub(crate) fn end(self, answer: &Result<Payload, Failure>) {
        let Some(results) = &self.results else { return };
        match answer {
            Ok(payload) => results.end(payload.len()),
            Err(failure) => results.fail(&failure.error, failure.error.to_string()),
        }
    }
}

fn begin(message: &str, procedure: &Uri, kind: SpanKind, parent: &Context) -> Context {
    let tracer = global::tracer(TRACER);
    let attributes =
        [KeyValue::new("rpc.system", "wamp"), KeyValue::new("rpc.method", procedure.to_string())];
    let builder = tracer.span_builder(format!("{message} {procedure}")).with_kind(kind);
    let span = builder.with_attributes(attributes).start_with_context(&tracer, parent);
    parent.with_span(span)
}

/// The results of a span so far.
struct Results {
    span: Context,
    count: AtomicU64,
    bytes: AtomicU64,
}

impl Results {
    fn new(span: Context) -> Self {
        Self { span, count: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        if number < EVENTS {
            self.span.span().add_event("progress", vec![KeyValue::new("wamp.bytes", integer(bytes as u64))]);
        }
    }

    fn set(&self, name: &'static str, value: impl Into<opentelemetry::Value>) {
        self.span.span().set_attribute(KeyValue::new(name, value));
    }

    fn end(&self, last: usize) {
        self.span.span().set_status(Status::Ok);
        self.finish(last);
    }

    fn fail(&self, uri: &str, text: String) {
        self.set("error.type", uri.to_owned());
        self.span.span().set_status(Status::error(text));
        self.finish(0);
    }

    fn finish(&self, last: usize) {
        self.set("wamp.progressive_results", integer(self.count.load(Ordering::Relaxed)));
        self.set("wamp.result_bytes", integer(self.bytes.load(Ordering::Relaxed) + last as u64));
        self.span.span().end();
    }
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
