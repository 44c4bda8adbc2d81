//! Tests of the router from outside: peers whose messages the tests write themselves, over pipes and loopback.

#![allow(unreachable_pub, reason = "what the modules share is public among them")]

mod authentication;
mod authenticator_procedures;
mod authenticators;
mod authorizers;
mod bad_input;
mod behind_proxies;
mod dead_holders;
mod dialing;
mod documents;
mod ends;
mod held;
mod history;
mod hostile;
mod joining;
mod limits;
mod longop;
mod many;
mod memory;
mod meta_api;
mod newcomers;
mod one_port;
mod one_read;
mod own_sockets;
mod payloads;
mod peer;
mod ping;
mod reconnecting;
mod reloading;
mod rotating;
mod router_tls;
mod shutdown;
mod silence;
mod sizes;
mod slow;
mod snapshots;
mod stalled;
mod support;
mod tls;
mod turns;
mod wire;
