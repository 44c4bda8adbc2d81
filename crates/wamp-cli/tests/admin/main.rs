//! The admin listener of the program `wamp-router`, over HTTP.

mod acts;
mod answers;
mod client;
mod events;
mod figures;
mod http;
#[path = "../service/mod.rs"]
mod process;
#[path = "../rawsocket/mod.rs"]
mod rawsocket;
mod refusals;
mod reloads;
mod service;
