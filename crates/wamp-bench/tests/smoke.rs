//! The program runs, measures and reports no mistakes; its speed does not matter here.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_wamp-bench")).args(arguments).output().expect("it starts");
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    (output, text)
}

/// The rows of the table, each as its cells.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().skip(2).map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn all_fast_scenarios_run_and_nothing_is_lost() {
    let (output, text) = run(&["--secs", "0.1", "--sessions", "20", "--registrations", "100", "--reps", "1"]);
    assert!(output.status.success(), "{text}{output:?}");
    let rows = rows(&text);
    assert_eq!(rows.len(), 19, "{text}");
    let checked = rows.iter().filter(|row| row.contains(&"0 / 0 / 0")).count();
    // Streams, the fan and calls.
    assert_eq!(checked, 11, "{text}");
    assert!(rows.iter().all(|row| !row.iter().any(|cell| cell.starts_with("failed"))), "{text}");
}

#[test]
fn one_scenario_in_another_serializer_and_payload() {
    let (output, text) =
        run(&["stream", "--secs", "0.1", "--serializer", "json", "--payload", "100", "--transport", "ws"]);
    assert!(output.status.success(), "{text}{output:?}");
    assert!(text.contains("| stream, 100 B, Ws, json |"), "{text}");
    assert_eq!(rows(&text).len(), 1, "{text}");
}

#[test]
fn slow_scenarios_report_a_verdict_and_the_exit_code_agrees() {
    let (output, text) =
        run(&["slow", "flood", "duplex", "--results", "1000", "--pause", "0.3", "--stop", "socket"]);
    let rows = rows(&text);
    assert_eq!(rows.len(), 2, "{text}");
    for row in &rows {
        assert_eq!(row[2], "1000", "{text}");
        assert_eq!(row[3], "0 / 0 / 0", "{text}");
        assert_eq!(row[4], "result", "{text}");
    }
    let verdicts: Vec<_> = rows.iter().filter_map(|row| row.last()).collect();
    assert!(
        verdicts.iter().all(|verdict| verdict.starts_with("PASS") || verdict.starts_with("FAIL")),
        "{text}"
    );
    let passed = verdicts.iter().all(|verdict| verdict.starts_with("PASS"));
    assert_eq!(output.status.success(), passed, "{text}");
}

#[test]
fn nonsense_is_refused() {
    for arguments in [&["--secs", "0"][..], &["--payload", "3"], &["nothing"], &["--pid", "1"]] {
        assert_eq!(run(arguments).0.status.code(), Some(2), "{arguments:?}");
    }
}

/// NATS takes part where there is a nats-server: NATS_SERVER names it.
#[cfg(feature = "peers")]
#[test]
fn peers_are_measured_beside_us() {
    let (output, text) = run(&["peers", "--secs", "0.1"]);
    assert!(output.status.success(), "{text}{output:?}");
    assert!(!text.contains("failed"), "{text}");
    let skipped = String::from_utf8_lossy(&output.stderr).contains("skipped NATS");
    let rows = rows(&text);
    assert_eq!(rows.len(), 28, "{text}");
    let count = |column: usize| rows.iter().filter(|row| !row[column].is_empty()).count();
    // Streams over RawSocket, calls and many streams; calls and events.
    let by_nats = if skipped { 0 } else { 14 };
    assert_eq!((count(2), count(3), count(4)), (28, 16, by_nats), "{text}");
}
