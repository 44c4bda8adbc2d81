//! `wamp bench`.

use crate::support::Router;

fn measured(router: &Router, arguments: &[&str]) -> serde_json::Value {
    let ended = router.run(&[&["bench"], arguments, &["--json"]].concat());
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn each_load_counts_its_operations_and_their_times() {
    let router = Router::start();
    for (kind, counted) in
        [("stream", "results"), ("call", "calls"), ("publish", "events"), ("join", "joins")]
    {
        let report = measured(&router, &[kind, "--time", "200ms", "--concurrency", "2"]);
        assert_eq!((&report["type"], &report["kind"]), (&"bench".into(), &kind.into()));
        let count = report[counted].as_u64().unwrap();
        assert!(count > 0 && report["lost"] == 0, "{report}");
        let times: Vec<f64> = ["min", "p50", "p90", "p99", "p99.9", "max"]
            .iter()
            .map(|column| report["latency_us"][column].as_f64().unwrap())
            .collect();
        assert!(times[0] > 0.0 && times.is_sorted(), "{report}");
        let seconds = report["seconds"].as_f64().unwrap();
        let rate = count as f64 / seconds;
        assert!((report["per_second"].as_f64().unwrap() / rate - 1.0).abs() < 0.01, "{report}");
    }
}

#[test]
fn a_load_with_a_rate_has_as_many_operations_as_its_time_allows() {
    let router = Router::start();
    for (kind, counted) in [("stream", "results"), ("call", "calls"), ("join", "joins")] {
        let report = measured(&router, &[kind, "--time", "500ms", "--rate", "40"]);
        assert_eq!(report[counted], 20, "{report}");
    }
    let load = ["publish", "--time", "500ms", "--rate", "40", "--subscribers", "3", "--ack"];
    assert_eq!(measured(&router, &load)["events"], 60);
}

#[test]
fn a_report_for_people_has_three_lines() {
    let router = Router::start();
    let ended = router.run(&["bench", "call", "--time", "100ms", "--size", "1KiB"]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!((ended.code, lines.len()), (Some(0), 3), "{ended:?}");
    assert!(lines[0].starts_with("call: 1 at a time, 1.0 KiB each, for 0.1 s"), "{lines:?}");
    assert!(lines[1].starts_with("calls ") && lines[1].contains("/s"), "{lines:?}");
    assert!(lines[2].starts_with("latency ") && lines[2].contains(" p99.9 "), "{lines:?}");
}

#[test]
fn a_load_that_cannot_be_is_an_error() {
    let router = Router::start();
    let reserved = router.run(&["bench", "call", "--uri", "wamp.mine"]);
    assert_eq!((reserved.code, &*reserved.stdout), (Some(1), ""), "{reserved:?}");
    let size = router.run(&["bench", "call", "--size", "2MiB"]);
    assert!(size.code == Some(2) && size.stderr.contains("more than 1 MiB"), "{size:?}");
    router.kill();
    assert_eq!(router.run(&["bench", "join"]).code, Some(3));
    let running = Router::start();
    let bench = running.spawn(&["bench", "stream", "--time", "1h"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    bench.signal("INT");
    assert_eq!(bench.end().code, Some(130));
}
