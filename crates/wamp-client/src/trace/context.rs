//! The context of a trace in options and details (W3C Trace Context).

use std::str::FromStr;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use wamp_proto::message::Extra;

const TRACEPARENT: &str = "_traceparent";

const TRACESTATE: &str = "_tracestate";

/// Adds the current context, unless the options have one.
pub(crate) fn send_current(extra: &mut Extra) {
    send(&Context::current(), extra);
}

/// Adds a context, unless the options have one.
pub(super) fn send(context: &Context, extra: &mut Extra) {
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() || extra.contains(TRACEPARENT) {
        return;
    }
    let flags = span.trace_flags().to_u8();
    let parent = format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id());
    // Every serializer can express these texts.
    let _ = extra.insert(TRACEPARENT, &*parent);
    let state = span.trace_state().header();
    if !state.is_empty() && !extra.contains(TRACESTATE) {
        let _ = extra.insert(TRACESTATE, &*state);
    }
}

/// The context that came with a message; the current one if none came.
pub(crate) fn received(extra: &Extra) -> Context {
    let current = Context::current();
    match extra.text(TRACEPARENT).and_then(|parent| read(&parent, extra.text(TRACESTATE).as_deref())) {
        Some(span) => current.with_remote_span_context(span),
        None => current,
    }
}

fn read(parent: &str, state: Option<&str>) -> Option<SpanContext> {
    let mut parts = parent.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace = TraceId::from_hex(hex(parts.next()?, 32)?).ok()?;
    let span = SpanId::from_hex(hex(parts.next()?, 16)?).ok()?;
    let flags = u8::from_str_radix(hex(parts.next()?, 2)?, 16).ok()?;
    // Later versions may have further parts.
    if version == "ff" || version == "00" && parts.next().is_some() {
        return None;
    }
    let state = state.and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    let context = SpanContext::new(trace, span, TraceFlags::new(flags) & TraceFlags::SAMPLED, true, state);
    Some(context).filter(SpanContext::is_valid)
}

/// A text of so many lower-case hexadecimal digits.
fn hex(text: &str, len: usize) -> Option<&str> {
    let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == len && is_hex).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_survives_the_way_through_options() {
        let span = read(PARENT, Some("a=1,b=2")).unwrap();
        let mut extra = Extra::default();
        send(&Context::new().with_remote_span_context(span), &mut extra);
        assert_eq!(extra.text("_traceparent").as_deref(), Some(PARENT));
        assert_eq!(extra.text("_tracestate").as_deref(), Some("a=1,b=2"));
        let received = received(&extra);
        let span = received.span().span_context().clone();
        assert!(span.is_remote() && span.is_sampled());
        assert_eq!(span.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn options_with_a_context_of_their_own_keep_it() {
        let mut extra = Extra::default();
        extra.insert("_traceparent", "mine").unwrap();
        send(&Context::new().with_remote_span_context(read(PARENT, None).unwrap()), &mut extra);
        assert_eq!((extra.text("_traceparent").as_deref(), extra.len()), (Some("mine"), 1));
    }

    #[test]
    fn a_context_that_is_not_of_the_form_is_none() {
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(read(wrong, None).is_none(), "{wrong}");
        }
        assert!(read("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", Some("?")).is_some());
    }
}
