//! The tables of limits and choices: their keys and descriptions.
//!
//! These tables serve the reader, `check --print` and the file of `init`.

use wamp_proto::uri::UriRules;
use wamp_router::{Credit, Disclosure, Limits, Meta, RealmConfig, Retention, SessionLimits, Testaments};

use super::settings::Value::{AnyCount, Boolean, Bytes, Bytes64, Choice, Count, Duration};
use super::settings::{Row, row, words};
use crate::options::{Ending, LogFormat};

words! { LogFormat: "text" => LogFormat::Text, "json" => LogFormat::Json }
words! { Ending: "goodbye" => Ending::Goodbye, "restart" => Ending::Restart }
words! { UriRules: "loose" => UriRules::Loose, "strict" => UriRules::Strict }
words! {
    Disclosure: "on_request" => Disclosure::OnRequest, "always" => Disclosure::Always, "never" => Disclosure::Never
}
words! { Meta: "own" => Meta::Own, "read" => Meta::Read, "control" => Meta::Control }

/// The settings outside of all tables, except the addresses.
pub(crate) fn of_program<'a>(anonymous_on_public: &'a mut bool, shutdown: &'a mut Ending) -> Vec<Row<'a>> {
    vec![
        row(
            "allow_anonymous_on_public",
            Boolean(anonymous_on_public),
            "Listen on addresses that other machines can reach, although every client there may join.",
        ),
        row(
            "shutdown",
            Choice(shutdown),
            "Message to clients at the end: \"goodbye\", or \"restart\" for a router that will be back.",
        ),
    ]
}

/// `[log]`, without its filter.
pub(crate) fn of_log(format: &mut LogFormat) -> Vec<Row<'_>> {
    vec![row("format", Choice(format), "Lines of \"text\", or one \"json\" object per line.")]
}

/// `[limits]`.
pub(crate) fn of_links(limits: &mut Limits) -> Vec<Row<'_>> {
    vec![
        row("message", Bytes(&mut limits.message), "Longest message in either direction."),
        row(
            "message_before_welcome",
            Bytes(&mut limits.message_before_welcome),
            "Longest message of a client that has not joined.",
        ),
        row(
            "failed_proofs",
            Count(&mut limits.failed_proofs),
            "Failed proofs from one address at once; one is forgiven each 6 s.",
        ),
        row("depth", Count(&mut limits.depth), "Deepest nesting of lists and dicts in a message."),
        row("join", Duration(&mut limits.join), "Time from the connection to WELCOME."),
        row("silence", Duration(&mut limits.silence), "Silence after which a PING is sent."),
        row("pong", Duration(&mut limits.pong), "Time after the PING until a silent client is dropped."),
        row(
            "message_rate",
            Bytes(&mut limits.message_rate),
            "Least rate of an incoming message, per second.",
        ),
        row(
            "high_water",
            Bytes(&mut limits.high_water),
            "Outbound queue above which the senders that fill it have to wait.",
        ),
        row("low_water", Bytes(&mut limits.low_water), "Outbound queue below which they continue."),
        row(
            "memory",
            Bytes(&mut limits.memory),
            "Memory that all clients together can make the router hold.",
        ),
        row(
            "max_link_queue",
            Bytes(&mut limits.max_link_queue),
            "Outbound queue above which a client is dropped.",
        ),
        row(
            "stall",
            Duration(&mut limits.stall),
            "Time after which the calls of a client that accepts no data, and holds others, are canceled.",
        ),
        row("give_up", Duration(&mut limits.give_up), "Time after which such a client is dropped."),
        row(
            "connections",
            AnyCount(&mut limits.connections),
            "Most connections at a time. By default that is the limit of file descriptors, less a reserve.",
        ),
        row(
            "websocket_message",
            Bytes(&mut limits.websocket_message),
            "Longest message to a WebSocket client, which does not announce a limit.",
        ),
        row("shutdown", Duration(&mut limits.shutdown), "Time for which a shutdown waits for the clients."),
        row(
            "shutdown_spread",
            Duration(&mut limits.shutdown_spread),
            "Time over which a shutdown spreads the ends of sessions, so that clients do not all come back at once.",
        ),
    ]
}

/// `[realm.limits]`.
pub(crate) fn of_sessions(limits: &mut SessionLimits) -> Vec<Row<'_>> {
    vec![
        row("calls", Count(&mut limits.calls), "Running calls that a session has made."),
        row(
            "progressive_calls",
            Count(&mut limits.progressive_calls),
            "Calls among these that may ask for progressive results.",
        ),
        row("invocations", Count(&mut limits.invocations), "Running calls that a session has to answer."),
        row(
            "invocations_from_one_caller",
            Count(&mut limits.invocations_from_one_caller),
            "Calls among these that may come from one caller.",
        ),
        row(
            "kept_bytes",
            Bytes(&mut limits.kept_bytes),
            "Bytes of the calls of a session that could still go to another callee.",
        ),
        row("registrations", Count(&mut limits.registrations), "Registrations of a session."),
        row("subscriptions", Count(&mut limits.subscriptions), "Subscriptions of a session."),
        row(
            "table_bytes",
            Bytes(&mut limits.table_bytes),
            "Bytes of the registrations and subscriptions of a session.",
        ),
        row("uri_bytes", Bytes(&mut limits.uri.bytes), "Length of a URI."),
        row("uri_components", Count(&mut limits.uri.components), "Components of a URI."),
        row(
            "wildcard_shapes",
            Count(&mut limits.wildcard_shapes),
            "Shapes of the wildcard patterns of the realm, for each number of components.",
        ),
        row(
            "holding",
            Duration(&mut limits.holding),
            "Time in each window for which a session that does not read may hold others.",
        ),
        row("holding_window", Duration(&mut limits.holding_window), "That window."),
    ]
}

/// `[realm.retention]`.
pub(crate) fn of_retention(retention: &mut Retention) -> Vec<Row<'_>> {
    vec![
        row("topics", Count(&mut retention.topics), "Topics with retained events; 0 retains nothing."),
        row("bytes", Bytes(&mut retention.bytes), "Bytes of all retained events."),
        row("event_bytes", Bytes(&mut retention.event_bytes), "Bytes of one retained event."),
        row(
            "restricted",
            Count(&mut retention.restricted),
            "Retained events with lists of receivers, for each topic.",
        ),
        row("sent", Count(&mut retention.sent), "Retained events sent for one SUBSCRIBE."),
        row(
            "sent_bytes",
            Bytes(&mut retention.sent_bytes),
            "Bytes of retained events after which one SUBSCRIBE gets no more.",
        ),
    ]
}

/// `[realm.testaments]`.
pub(crate) fn of_testaments(testaments: &mut Testaments) -> Vec<Row<'_>> {
    vec![
        row("count", Count(&mut testaments.count), "Testaments of a session."),
        row("bytes", Bytes(&mut testaments.bytes), "Bytes of the testaments of a session."),
        row("all_bytes", Bytes(&mut testaments.all_bytes), "Bytes of the testaments of all sessions."),
    ]
}

/// `[realm.credit]`.
pub(crate) fn of_credit(credit: &mut Credit) -> Vec<Row<'_>> {
    vec![
        row("window", Bytes64(&mut credit.window), "Bytes granted to each stream when it begins."),
        row("max_window", Bytes64(&mut credit.max_window), "Largest window of a stream."),
        row(
            "patience",
            Duration(&mut credit.patience),
            "Time for which a receiver may grant nothing to a waiting sender.",
        ),
    ]
}

/// `[[realm]]`, without its name and its tables.
pub(crate) fn of_realm(realm: &mut RealmConfig) -> Vec<Row<'_>> {
    let realm = &mut **realm;
    vec![
        row(
            "strict_features",
            Boolean(&mut realm.strict_features),
            "Callees that do not announce canceling get no calls with progressive results.",
        ),
        row(
            "strict_request_ids",
            Boolean(&mut realm.strict_request_ids),
            "Request ids of every session are 1, 2, 3, and so on.",
        ),
        row("uri_rules", Choice(&mut realm.uri_rules), "Rules for URIs: \"loose\" or \"strict\"."),
        row(
            "disclose_caller",
            Choice(&mut realm.disclosure),
            "Whether callers are disclosed to callees: \"on_request\", \"always\" or \"never\".",
        ),
        row(
            "disclose_publisher",
            Choice(&mut realm.publisher_disclosure),
            "Whether publishers are disclosed to subscribers: \"on_request\", \"always\" or \"never\".",
        ),
        row(
            "meta",
            Choice(&mut realm.meta),
            "Part of the meta API for sessions whose role does not set it: \"own\", \"read\" or \"control\".",
        ),
        row(
            "call_queue",
            Count(&mut realm.call_queue),
            "Calls of each registration that wait while its callees have as many as they take (`concurrency`).",
        ),
        row(
            "kill_timeout",
            Duration(&mut realm.kill_timeout),
            "Time in which a callee has to answer the cancel of a call in mode \"kill\".",
        ),
        row(
            "takeover_after",
            Duration(&mut realm.takeover_after),
            "Time in which the callee of a procedure must give a sign of life when another client of its principal \
             registers the procedure; \"0s\": no callee is asked.",
        ),
        row(
            "goodbye_timeout",
            Duration(&mut realm.goodbye_timeout),
            "Time in which a client has to answer GOODBYE.",
        ),
    ]
}
