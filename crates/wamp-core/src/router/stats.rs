//! The counters of a realm, and its sizes.

use std::ops::AddAssign;

/// Makes a struct of numbers that can be added to those of another realm.
macro_rules! numbers {
    ($(#[$doc:meta])* pub struct $Name:ident { $($(#[$field_doc:meta])* pub $field:ident: $Number:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $Name {
            $($(#[$field_doc])* pub $field: $Number,)+
        }

        impl AddAssign for $Name {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)+
            }
        }
    };
}

numbers! {
/// The counters of a realm since its start.
pub struct Stats {
    /// Calls that went to a callee, those of the router itself among them.
    pub calls: u64,
    /// Results sent to their callers.
    pub results: u64,
    /// Those of them that were progressive.
    pub progressive_results: u64,
    /// Those of the results that were ERRORs of callees.
    pub callee_errors: u64,
    /// Calls that the router has ended with ERROR: canceled, timed out, or without a callee.
    pub ended: u64,
    /// Requests that were refused with ERROR.
    pub requests_refused: u64,
    /// Calls that were canceled in mode `skip`, or whose callee does not take INTERRUPT.
    pub cancels_skip: u64,
    /// Calls that were canceled in mode `killnowait`.
    pub cancels_killnowait: u64,
    /// Calls that were canceled in mode `kill`.
    pub cancels_kill: u64,
    /// Replies to calls that were over.
    pub late: u64,
    /// Chunks sent to their callees.
    pub chunks: u64,
    /// Progressive results that no caller had asked for.
    pub unsolicited: u64,
    /// Calls that exceeded their timeout.
    pub timeouts: u64,
    /// Requests that waited for an authorizer when their session ended.
    pub requests_dropped: u64,
    /// Calls that had to wait until a callee had room.
    pub calls_queued: u64,
    /// Events sent to subscribers.
    pub events: u64,
    /// Events that could not be written for a subscriber, or were too long for it.
    pub events_dropped: u64,
    /// Events that were to be retained, and were not, since they would have exceeded a limit.
    pub not_retained: u64,
    /// Publications that were refused, acknowledged or not: with an invalid topic, with a faulty payload, or
    /// with an option that this router does not have and without which the event would reach other receivers
    /// than the publisher wants.
    pub publications_refused: u64,
    /// ERRORs of callees with an invalid URI; their callers got another.
    pub invalid_error_uris: u64,
    /// Sessions that were aborted for breaking the protocol.
    pub violations: u64,
    /// CREDITs with an invalid total.
    pub void_credits: u64,
    /// Calls that were ended because their caller or their callee did not keep up.
    pub slow_consumers: u64,
    /// Calls that were refused because no callee had room, or because their caller was stalled.
    pub unavailable: u64,
    /// How often a call went to another callee, since one had refused it.
    pub rerouted: u64,
    /// How often a session was held because it had filled the link of another, or its own.
    pub holds: u64,
}
}

numbers! {
/// The present sizes of a realm.
pub struct Sizes {
    /// Sessions.
    pub sessions: usize,
    /// Running calls.
    pub calls: usize,
    /// Callees whose running calls are counted, since they said how many they take or are chosen by them.
    pub loads: usize,
    /// The bytes of calls that could still go to another callee.
    pub kept_bytes: usize,
    /// Calls among these that wait until a callee has room.
    pub queued: usize,
    /// Registrations.
    pub registrations: usize,
    /// Topics and patterns with subscribers or a history.
    pub topics: usize,
    /// Topics with retained events.
    pub retained: usize,
    /// The bytes of retained events.
    pub retained_bytes: usize,
    /// Events in histories.
    pub past_events: usize,
    /// The bytes of events in histories.
    pub past_bytes: usize,
    /// The bytes of testaments.
    pub testament_bytes: usize,
    /// Deadlines.
    pub deadlines: usize,
    /// Streams whose senders wait for credit that their receivers have not granted.
    pub starved: usize,
    /// Sessions that are held because of other links.
    pub held: usize,
    /// Requests that wait for an authorizer.
    pub waiting: usize,
}
}
