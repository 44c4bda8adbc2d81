//! The transport, the serializer and the sizes of a measurement.

use std::fmt;

use wamp_client::{Serializer, Session};

use crate::options::{Options, Transport};
use crate::target::Target;
use crate::{Failed, null};

/// One way to measure a scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) transport: Transport,
    pub(super) caller: Serializer,
    pub(super) callee: Serializer,
    /// Bytes of a result.
    pub(super) payload: usize,
}

impl Case {
    /// The case of the command line, with these sizes if it gives none.
    pub(super) fn all(options: &Options, sizes: &[usize]) -> Vec<Self> {
        let caller = options.serializer.unwrap_or(Serializer::MsgPack);
        let callee = options.callee_serializer.unwrap_or(caller);
        let transport = options.transport();
        let asked: Vec<usize> = options.payload.iter().map(|bytes| *bytes as usize).collect();
        let sizes = if asked.is_empty() { sizes } else { &asked };
        sizes.iter().map(|payload| Self { transport, caller, callee, payload: *payload }).collect()
    }

    /// The other serializers, transcoding and the other transport, if the command line chooses nothing.
    pub(super) fn others(options: &Options) -> Vec<Self> {
        use Serializer::{Cbor, Json, MsgPack};
        let chosen = options.serializer.is_some() || options.callee_serializer.is_some();
        if chosen || options.transport.is_some() || options.router.is_some() || !options.payload.is_empty() {
            return Vec::new();
        }
        let rs = |caller, callee| Self { transport: Transport::Rs, caller, callee, payload: 16 };
        let ws = |payload| Self { transport: Transport::Ws, caller: MsgPack, callee: MsgPack, payload };
        vec![rs(Json, Json), rs(Cbor, Cbor), rs(Json, MsgPack), ws(16), ws(1024)]
    }

    /// Both transports, unless the command line chooses.
    pub(super) fn transports(options: &Options) -> Vec<Transport> {
        match options.transport {
            Some(transport) => vec![transport],
            None if options.router.is_some() => vec![options.transport()],
            None => vec![Transport::Rs, Transport::Ws],
        }
    }

    pub(super) async fn join_caller(&self, target: &Target) -> Result<Session, Failed> {
        target.join(self.transport, self.caller).await
    }

    pub(super) async fn join_callee(&self, target: &Target) -> Result<Session, Failed> {
        target.join(self.transport, self.callee).await
    }

    /// The length of a frame of the null relay that stands for a result.
    pub(super) fn frame(&self) -> Result<usize, Failed> {
        null::frame(self.caller, self.payload)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} B, {:?}, {}", self.payload, self.transport, self.callee)?;
        if self.caller != self.callee {
            write!(f, " to {}", self.caller)?;
        }
        Ok(())
    }
}
