//! No traces: the feature `otel` is off.

use std::future::Future;

use wamp_core::Failure;
use wamp_proto::message::{CallOptions, Extra};
use wamp_proto::{Payload, Uri};

use crate::error::CallError;

pub(crate) fn send_current(_: &mut Extra) {}

/// The span of a call.
pub(crate) struct CallSpan;

impl CallSpan {
    pub(crate) fn begin(_: &Uri, _: &mut CallOptions) -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn progress(&mut self, _: usize) {}

    #[inline(always)]
    pub(crate) fn end(&mut self, _: &Result<Payload, CallError>) {}
}

/// The span of an invocation.
#[derive(Clone)]
pub(crate) struct InvocationSpan;

impl InvocationSpan {
    pub(crate) fn begin(_: &Uri, _: &Extra) -> Self {
        Self
    }

    pub(crate) fn within<F: Future>(&self, future: F) -> F {
        future
    }

    #[inline(always)]
    pub(crate) fn progress(&self, _: usize) {}

    pub(crate) fn end(self, _: &Result<Payload, Failure>) {}
}
