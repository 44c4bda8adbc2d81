//! Our client at both ends of our router.

use wamp_client::{EventStream, Serializer, Session};

use super::events::{self, Publisher, Subscriber};
use super::{CONNECTIONS, Measured, Meter, Scenario, check, measure_calls, measure_fan, warm_up};
use crate::Failed;
use crate::callee::{self, ECHO, FLOOD};
use crate::fast::take_all;
use crate::numbered::{Numbered, Template};
use crate::options::{Options, Transport};
use crate::target::Target;

const TOPIC: &str = "bench.event";

pub(super) async fn measure(scenario: Scenario, options: &Options) -> Result<Measured, Failed> {
    let target = Target::start(options).await?;
    match scenario {
        Scenario::Stream(transport, size) => stream(&target, options, transport, size).await,
        Scenario::Fan => fan(&target, options).await,
        Scenario::Calls(many) => calls(&target, options, many).await,
        Scenario::Events(size, subscribers) => publish(&target, options, size, subscribers).await,
    }
}

async fn join(target: &Target, transport: Transport) -> Result<Session, Failed> {
    target.join(transport, Serializer::MsgPack).await
}

async fn callee(target: &Target, transport: Transport) -> Result<Session, Failed> {
    let callee = join(target, transport).await?;
    callee::register(&callee).await?;
    Ok(callee)
}

async fn stream(
    target: &Target,
    options: &Options,
    transport: Transport,
    size: usize,
) -> Result<Measured, Failed> {
    let (_callee, caller) = (callee(target, transport).await?, join(target, transport).await?);
    take_all(&caller, FLOOD, size, warm_up(options)).await?;
    let meter = Meter::start(target.pid());
    let streamed = take_all(&caller, FLOOD, size, options.secs).await?;
    Ok(meter.end(streamed.results, streamed.wrong))
}

async fn fan(target: &Target, options: &Options) -> Result<Measured, Failed> {
    let _callee = callee(target, Transport::Rs).await?;
    let mut callers = Vec::new();
    for _ in 0..CONNECTIONS {
        callers.push(join(target, Transport::Rs).await?);
    }
    measure_fan(options, target.pid(), |connection, time| {
        let caller = callers[connection].clone();
        async move {
            let streamed = take_all(&caller, FLOOD, 16, time).await?;
            Ok((streamed.results, streamed.wrong))
        }
    })
    .await
}

async fn calls(target: &Target, options: &Options, many: usize) -> Result<Measured, Failed> {
    let (_callee, caller) = (callee(target, Transport::Rs).await?, join(target, Transport::Rs).await?);
    measure_calls(many, options, target.pid(), move |number| {
        let call = caller.call(ECHO).arg(Template::new(16).with(number));
        async move {
            let answer: Numbered = call.await?.decode()?;
            check(number, 16, (answer.number, answer.bytes))
        }
    })
    .await
}

async fn publish(
    target: &Target,
    options: &Options,
    size: usize,
    subscribers: usize,
) -> Result<Measured, Failed> {
    let mut subscriptions = Vec::new();
    for _ in 0..subscribers {
        let session = join(target, Transport::Rs).await?;
        let events = session.subscribe_stream(TOPIC).await?;
        subscriptions.push(Subscription { events, size, _session: session });
    }
    let publisher = Ours { session: join(target, Transport::Rs).await?, template: Template::new(size) };
    events::measure(options, target.pid(), publisher, subscriptions).await
}

struct Ours {
    session: Session,
    template: Template,
}

impl Publisher for Ours {
    async fn publish(&mut self, number: u64) -> Result<(), Failed> {
        self.session.publish(TOPIC).arg(self.template.with(number)).await?;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failed> {
        Ok(())
    }
}

struct Subscription {
    events: EventStream,
    size: usize,
    _session: Session,
}

impl Subscriber for Subscription {
    async fn next(&mut self) -> Result<u64, Failed> {
        let event = self.events.next().await.ok_or("the session of a subscriber has ended")?;
        let Numbered { number, bytes } = event.payload().decode()?;
        check(number, self.size, (number, bytes))?;
        Ok(number)
    }
}
