//! The events of one subscriber, and their end.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use wamp_proto::message::{EventDetails, Extra, Ppt};
use wamp_proto::{ByteString, Payload, PublicationId, SessionId, Uri};

use crate::ended::{End, Ended};
use crate::engine::inbox::{Hand, Inbox, LimitReached, Next};

/// An event for a subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) id: PublicationId,
    /// `None`: the topic that was subscribed to.
    pub(crate) topic: Option<Uri>,
    pub(crate) payload: Payload,
    /// Details that few events have.
    pub(crate) about: Option<Arc<About>>,
}

/// The details of a publication beside its topic.
#[derive(Debug, Default)]
pub(crate) struct About {
    pub(crate) retained: bool,
    pub(crate) publisher: Option<SessionId>,
    pub(crate) authid: Option<ByteString>,
    pub(crate) authrole: Option<ByteString>,
    pub(crate) trustlevel: Option<u64>,
    pub(crate) ppt: Option<Box<Ppt>>,
    pub(crate) extra: Extra,
}

impl About {
    /// `None` if the details have none of them.
    pub(crate) fn new(details: &EventDetails) -> Option<Arc<Self>> {
        let retained = details.retained == Some(true);
        if !retained && details.peer.is_none() && details.ppt.is_none() && details.extra.is_empty() {
            return None;
        }
        // Copied, since a slice would keep the frame in memory.
        let ppt = details.ppt.as_deref().map(|ppt| Box::new(ppt.detached()));
        let mut about = Self { retained, ppt, extra: details.extra.detached(), ..Self::default() };
        if let Some(peer) = &details.peer {
            let text = |text: &Option<ByteString>| text.as_ref().map(|text| ByteString::from(&**text));
            about.publisher = peer.publisher;
            about.authid = text(&peer.publisher_authid);
            about.authrole = text(&peer.publisher_authrole);
            about.trustlevel = peer.trustlevel;
        }
        Some(Arc::new(about))
    }

    /// Returns the memory of the details, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let len = |text: &Option<ByteString>| text.as_ref().map_or(0, |text| text.len());
        let ppt = self.ppt.as_deref().map_or(0, Ppt::len);
        size_of::<Self>() + len(&self.authid) + len(&self.authrole) + ppt + self.extra.encoded_len()
    }
}

/// The events of one subscriber. It ends with the subscription.
pub(crate) struct Feed {
    events: Inbox<Published, ()>,
    end: Arc<End>,
}

impl Feed {
    /// Creates an empty feed with this limit in bytes.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { events: Inbox::new(limit), end: End::new() })
    }

    /// Appends an event; see [`Inbox::push`].
    pub(crate) fn push(
        &self,
        bytes: usize,
        wakers: &mut Vec<Waker>,
        make: impl FnOnce(bool) -> Published,
    ) -> Result<(), LimitReached> {
        self.events.push(bytes, wakers, make)
    }

    /// The next event; see [`Inbox::poll_next`]. Events cost no credit.
    pub(crate) fn poll_next(
        &self,
        cx: &mut Context<'_>,
        hand: &mut Hand<Published>,
    ) -> Poll<Next<Published, ()>> {
        self.events.poll_next(cx, hand, &mut 0)
    }

    /// Ends it. A second end changes nothing.
    pub(crate) fn finish(&self, ended: Ended) {
        self.end.set(ended);
        self.events.finish(());
    }

    /// Whether the end has come; events may be left before it.
    pub(crate) fn is_finished(&self) -> bool {
        self.events.is_finished()
    }

    /// The reason of the end.
    pub(crate) fn end(&self) -> &Arc<End> {
        &self.end
    }
}
