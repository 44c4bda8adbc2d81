//! The rules of the protocol, one behaviour a module. No socket, no clock, no sleeping.

mod broker;
mod calls;
mod credit;
mod join;
mod net;
mod progressive_invocations;
mod progressive_results;
mod registrations;
mod slow;
mod violations;
