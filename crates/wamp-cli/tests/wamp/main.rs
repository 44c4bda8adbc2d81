//! The program `wamp` in a process of its own, with the program `wamp-router`: exit codes, output and errors.

mod bars;
mod bench;
mod calling;
mod connecting;
mod contexts;
mod message_options;
mod meta;
mod pubsub;
mod registering;
mod router;
mod subscribing;
mod support;
mod uploading;
