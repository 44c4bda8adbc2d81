//! `/metrics` says what was done.

use wamp_client::{Failure, Invocation};

use crate::http::get;
use crate::rawsocket::tcp;
use crate::service::{Service, open_realm, until};

/// The sum of all values of a metric whose labels have this text.
fn sum(metrics: &str, name: &str, label: &str) -> f64 {
    let lines = metrics.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])) && line.contains(label)
    });
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sums_of_metrics_are_what_was_done() {
    let service = Service::start("figures", &open_realm(""));
    let (callee, caller) = (service.join().await, service.join().await);
    let count = async |invocation: Invocation| {
        let (n,): (u64,) = invocation.args()?;
        if let Some(progress) = invocation.progress() {
            for i in 0..n {
                progress.send(i).await?;
            }
        }
        if n == 13 { Err(Failure::new("com.a.unlucky")) } else { Ok(n) }
    };
    callee.register("com.a.count", count).await.unwrap();
    let subscription = caller.subscribe("com.a.topic", |_: wamp_client::Event| async {}).await.unwrap();
    for n in 0..20_u64 {
        let mut seen = 0;
        let ended = caller.call("com.a.count").args((n,)).on_progress(|_: u64| seen += 1).await;
        assert_eq!((seen, ended.is_err()), (n, n == 13));
    }
    assert!(caller.call("com.a.unknown").await.is_err());
    for _ in 0..7 {
        callee.publish("com.a.topic").acknowledge().await.unwrap();
    }
    // Three refused joins, and a violation.
    for realm in ["no1", "no2"] {
        let mut client = tcp(&service.router);
        client.say(&format!(r#"[1,"{realm}",{{"roles":{{"caller":{{}}}}}}]"#));
        assert!(client.hear().contains("no_such_realm"));
    }
    let mut client = tcp(&service.router);
    client.say(r#"[48,1,{},"com.a"]"#);
    client.hear();
    let mut client = tcp(&service.router);
    client.say(r#"[1,"realm1",{"roles":{"caller":{}}}]"#);
    client.hear();
    client.say(r#"[70,1,{}]"#);
    client.hear();

    let answer = until(
        || get(&service.admin, "/metrics"),
        |answer| {
            sum(&answer.body, "wamp_sessions", "") == 2.0 && sum(&answer.body, "wamp_connections", "") == 2.0
        },
    );
    let metrics = &answer.body;
    let expected = [
        ("wamp_joins_total", "authmethod=\"anonymous\"", 3.0),
        ("wamp_joins_total", "", 3.0),
        ("wamp_join_failures_total", "no_such_realm", 2.0),
        ("wamp_join_failures_total", "protocol_violation", 1.0),
        ("wamp_violations_total", "realm=\"realm1\"", 1.0),
        ("wamp_calls_total", "", 20.0),
        ("wamp_results_total", "kind=\"progress\"", 190.0),
        ("wamp_results_total", "kind=\"last\"", 19.0),
        ("wamp_errors_total", "class=\"callee\"", 1.0),
        ("wamp_errors_total", "class=\"refused\"", 1.0),
        ("wamp_events_total", "", 7.0),
        ("wamp_calls_in_flight", "", 0.0),
        ("wamp_registrations", "", 1.0),
        ("wamp_call_duration_seconds_count", "", 1.0),
        ("wamp_first_result_seconds_count", "", 1.0),
        ("wamp_build_info", "", 1.0),
    ];
    for (name, label, value) in expected {
        assert_eq!(sum(metrics, name, label), value, "{name} {label}\n{metrics}");
    }
    assert!(sum(metrics, "wamp_bytes_total", "direction=\"in\"") > 190.0 * 10.0);
    assert!(sum(metrics, "wamp_bytes_total", "direction=\"out\"") > 190.0 * 10.0);
    assert!(
        sum(metrics, "process_resident_memory_bytes", "") > 1e6 && sum(metrics, "process_open_fds", "") > 5.0
    );
    // No label has a name that clients choose.
    for word in ["com.a", "127.0.0.1", "unlucky"] {
        assert!(!metrics.contains(word), "{word}");
    }
    drop(subscription);
}
