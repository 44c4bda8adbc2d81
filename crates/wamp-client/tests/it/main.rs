//! The client against a peer that plays the router, message by message. Messages are JSON and are written
//! here as the specification writes them.

mod back_pressure;
mod calls;
mod canceling;
mod chunks;
mod closing;
mod connecting;
mod credit;
mod ended;
mod ending;
mod errors;
mod evil_router;
mod faulty;
mod futures;
mod gathering;
mod lone_calls;
mod meta;
mod opaque;
mod options;
mod peer;
mod procedures;
mod pubsub;
mod pubsub_options;
mod reconnecting;
mod replies;
mod runs;
mod silence;
mod stream_procedures;
mod streams;
mod whole;
