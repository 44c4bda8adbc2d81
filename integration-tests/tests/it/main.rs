//! The router from outside: peers whose messages the tests write themselves, over pipes and over loopback.

#![allow(unreachable_pub, reason = "what the modules share is public among them")]

mod bad_input;
mod longop;
mod one_port;
mod support;
mod wire;
