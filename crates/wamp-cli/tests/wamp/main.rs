//! The program `wamp` in a process of its own, with the program `wamp-router`: exit codes, output and errors.

mod bars;
mod calling;
mod contexts;
mod pubsub;
mod registering;
mod support;
mod uploading;
