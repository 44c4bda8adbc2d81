//! Builders that are futures.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future of any type.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A request: its settings before the first poll, its future from then on.
pub(crate) enum Deferred<'a, S, T> {
    New(Box<S>),
    Running(Boxed<'a, T>),
    Over,
}

impl<'a, S, T> Deferred<'a, S, T> {
    pub(crate) fn new(settings: S) -> Self {
        Self::New(Box::new(settings))
    }

    /// Changes the settings. A request that is under way stays as it is.
    pub(crate) fn set(&mut self, change: impl FnOnce(&mut S)) {
        if let Self::New(settings) = self {
            change(settings);
        }
    }

    /// Polls the future that `start` creates from the settings.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, start: impl FnOnce(S) -> Boxed<'a, T>) -> Poll<T> {
        let mut running = match std::mem::replace(self, Self::Over) {
            Self::New(settings) => start(*settings),
            Self::Running(running) => running,
            Self::Over => panic!("a request was polled after it was ready"),
        };
        let polled = running.as_mut().poll(cx);
        if polled.is_pending() {
            *self = Self::Running(running);
        }
        polled
    }
}
