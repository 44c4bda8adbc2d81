//! `/metrics`, for Prometheus. Everything is read when it is asked for.

use std::fmt;
use std::sync::Arc;

use axum::Router as Routes;
use axum::extract::State as Of;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::prometheus_text::{CONTENT_TYPE, encode};
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;
use wamp_router::{Histogram, RealmFigures, Router};

use super::State;
use super::process::Process;

pub(super) fn routes() -> Routes<Arc<State>> {
    Routes::new().route("/metrics", get(metrics))
}

async fn metrics(Of(state): Of<Arc<State>>) -> Response {
    let started = state.started_at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures {
        router: state.router.clone(),
        started: started.as_secs_f64(),
    }));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

struct Figures {
    router: Router,
    /// Seconds since the epoch of Unix.
    started: f64,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}

type Labels = Vec<(&'static str, String)>;

/// Writes metrics, a family at a time.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn counters<V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            let none: Option<&Exemplar<NoLabelSet, f64>> = None;
            match labels.is_empty() {
                true => family.encode_counter(&value, none)?,
                false => family.encode_family(&labels)?.encode_counter(&value, none)?,
            }
        }
        Ok(())
    }

    fn gauges<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            match labels.is_empty() {
                true => family.encode_gauge(&value)?,
                false => family.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: impl EncodeCounterValue) -> fmt::Result {
        self.counters(name, help, [(Labels::new(), value)])
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.gauges(name, help, [(Labels::new(), value)])
    }

    fn histograms<'h>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels, &'h Histogram)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, histogram) in values {
            let bounds = Histogram::BOUNDS.iter().map(|bound| bound.as_secs_f64());
            // The last bucket, without a bound, is the count.
            let buckets: Vec<_> = bounds.zip(histogram.counts().iter().copied()).collect();
            let count = histogram.counts().iter().sum();
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                histogram.sum().as_secs_f64(),
                count,
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}

fn of(realm: &RealmFigures) -> Labels {
    vec![("realm", realm.name.to_string())]
}

fn with(realm: &RealmFigures, label: &'static str, value: &str) -> Labels {
    let mut labels = of(realm);
    labels.push((label, value.to_owned()));
    labels
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (realms, mut out) = (self.router.realms(), Out(encoder));
        realm_metrics(&realms, &mut out)?;
        router_metrics(&self.router, &mut out)?;
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        out.gauges("wamp_build_info", "The version of the router", [(version, 1_u64)])?;
        out.gauge(
            "process_start_time_seconds",
            "Start of the process since the epoch of Unix",
            self.started,
        )?;
        let Some(process) = Process::read() else { return Ok(()) };
        out.counter("process_cpu_seconds", "Processor time in user and system mode", process.cpu)?;
        out.gauge("process_resident_memory_bytes", "Resident memory", process.resident)?;
        out.gauge("process_open_fds", "Open file descriptors", process.open_files)?;
        match process.max_files {
            Some(files) => out.gauge("process_max_fds", "Limit of file descriptors", files),
            None => Ok(()),
        }
    }
}

/// Metrics with the label `realm`.
fn realm_metrics(realms: &[RealmFigures], out: &mut Out<'_>) -> fmt::Result {
    let now = |number: fn(&RealmFigures) -> usize| {
        realms.iter().map(move |realm| (of(realm), number(realm) as u64))
    };
    let total = |number: fn(&RealmFigures) -> u64| realms.iter().map(move |realm| (of(realm), number(realm)));
    out.gauges("wamp_sessions", "Sessions", now(|realm| realm.now.sessions))?;
    out.gauges("wamp_calls_in_flight", "Running calls", now(|realm| realm.now.calls))?;
    out.gauges("wamp_registrations", "Registrations", now(|realm| realm.now.registrations))?;
    out.gauges("wamp_subscriptions", "Topics and patterns with subscribers", now(|realm| realm.now.topics))?;
    out.gauges(
        "wamp_links_held",
        "Sessions that are not read from, since a link is full",
        now(|realm| realm.now.held),
    )?;
    out.gauges(
        "wamp_streams_starved",
        "Streams whose receivers grant no credit",
        now(|realm| realm.now.starved),
    )?;
    out.gauges(
        "wamp_requests_waiting",
        "Requests that wait for an authorizer",
        now(|realm| realm.now.waiting),
    )?;
    out.gauges(
        "wamp_retained_bytes",
        "Retained events and histories",
        now(|realm| realm.now.retained_bytes + realm.now.past_bytes),
    )?;

    let joins = realms.iter().flat_map(|realm| {
        realm.joins.by_method().map(move |(method, count)| (with(realm, "authmethod", method), count))
    });
    out.counters("wamp_joins", "Sessions that have joined", joins)?;
    out.counters("wamp_calls", "Calls that went to a callee", total(|realm| realm.total.calls))?;
    let results = realms.iter().flat_map(|realm| {
        let stats = &realm.total;
        let last = stats.results - stats.progressive_results - stats.callee_errors;
        let kinds = [("progress", stats.progressive_results), ("last", last)];
        kinds.map(|(kind, count)| (with(realm, "kind", kind), count))
    });
    out.counters("wamp_results", "Results sent to callers", results)?;
    let errors = realms.iter().flat_map(|realm| {
        let stats = &realm.total;
        let classes =
            [("callee", stats.callee_errors), ("router", stats.ended), ("refused", stats.requests_refused)];
        classes.map(|(class, count)| (with(realm, "class", class), count))
    });
    out.counters(
        "wamp_errors",
        "ERRORs: of callees, for calls that the router has ended, and for refused requests",
        errors,
    )?;
    out.counters("wamp_chunks", "Chunks sent to callees", total(|realm| realm.total.chunks))?;
    out.counters("wamp_events", "Events sent to subscribers", total(|realm| realm.total.events))?;
    out.counters(
        "wamp_events_dropped",
        "Events that were dropped",
        total(|realm| realm.total.events_dropped),
    )?;
    out.counters("wamp_late", "Replies to calls that were over", total(|realm| realm.total.late))?;
    out.counters("wamp_timeouts", "Calls that exceeded their timeout", total(|realm| realm.total.timeouts))?;
    let cancels = realms.iter().flat_map(|realm| {
        let stats = &realm.total;
        let modes = [
            ("skip", stats.cancels_skip),
            ("killnowait", stats.cancels_killnowait),
            ("kill", stats.cancels_kill),
        ];
        modes.map(|(mode, count)| (with(realm, "mode", mode), count))
    });
    out.counters("wamp_cancels", "Calls that were canceled by their callers", cancels)?;
    let slow = total(|realm| realm.total.slow_consumers);
    out.counters("wamp_slow_consumers", "Calls that ended since one end did not keep up", slow)?;
    let unavailable = total(|realm| realm.total.unavailable);
    out.counters("wamp_unavailable", "Calls that were refused since no callee had room", unavailable)?;
    out.counters(
        "wamp_violations",
        "Sessions that broke the protocol",
        total(|realm| realm.total.violations),
    )?;
    let held = realms.iter().map(|realm| (of(realm), realm.held_time.as_secs_f64()));
    out.counters("wamp_link_held_seconds", "Time for which sessions were held, in all", held)?;
    let durations = realms.iter().map(|realm| (of(realm), &realm.timings.duration));
    out.histograms("wamp_call_duration_seconds", "Durations of one call in 64", durations)?;
    let first = realms.iter().map(|realm| (of(realm), &realm.timings.first_result));
    out.histograms("wamp_first_result_seconds", "Times to the first result, of one call in 64", first)
}

fn router_metrics(router: &Router, out: &mut Out<'_>) -> fmt::Result {
    let (stats, traffic) = (router.stats(), router.traffic());
    let failures = router
        .join_failures()
        .into_iter()
        .map(|(reason, count)| (vec![("reason", reason.to_owned())], count));
    out.counters("wamp_join_failures", "Refused attempts to join", failures)?;
    out.gauge("wamp_connections", "Connections", stats.connections as u64)?;
    let refused = "Connections that were refused since there were too many";
    out.counter("wamp_refused_connections", refused, stats.refusals)?;
    out.gauge("wamp_queued_bytes", "Bytes that wait for peers to read them", stats.bytes_queued as u64)?;
    let memory = [("queued", stats.memory.queued), ("receiving", stats.memory.receiving)];
    let memory = memory.map(|(kind, bytes)| (vec![("kind", kind.to_owned())], bytes as u64));
    out.gauges("wamp_memory_bytes", "Memory that is held for peers", memory)?;
    out.counter("wamp_gave_way", "Links that were dropped since the memory was used up", stats.gave_way)?;
    let bytes = [("in", traffic.received), ("out", traffic.sent)];
    let bytes = bytes.map(|(direction, bytes)| (vec![("direction", direction.to_owned())], bytes));
    out.counters("wamp_bytes", "Bytes of all connections, without those of TLS", bytes)
}
