//! `wamp register`.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Directory, Ended, PATIENCE, Program, Router};

fn done(stdout: &str) -> Ended {
    Ended { code: Some(0), stdout: stdout.to_owned(), stderr: String::new() }
}

/// Registers `com.test.it`.
fn registered(router: &Router, arguments: &[&str]) -> Program {
    let callee = router.spawn(&[&["register", "com.test.it"], arguments].concat());
    assert_eq!(callee.note(), "registered com.test.it");
    callee
}

#[test]
fn a_fixed_value_and_the_arguments_are_answers() {
    let router = Router::start();
    let callee = registered(&router, &["--reply", r#"{"a":[1]}"#, "--count", "2"]);
    for _ in 0..2 {
        assert_eq!(router.run(&["call", "com.test.it"]), done("{\"a\":[1]}\n"));
    }
    assert_eq!(callee.end(), done(""));
    let callee = registered(&router, &["--echo"]);
    assert_eq!(
        router.run(&["call", "com.test.it", "1", "-k", "a=2"]),
        done("{\"args\":[1],\"kwargs\":{\"a\":2}}\n")
    );
    callee.signal("INT");
    assert_eq!(callee.end().code, Some(130));
}

#[test]
fn the_lines_of_a_program_are_progressive_results_and_the_last_one_is_the_result() {
    let router = Router::start();
    let script = r#"read args; echo 1; echo "not json"; echo "$args $WAMP_KWARGS_JSON $WAMP_PROCEDURE""#;
    let _callee = registered(&router, &["--command", script]);
    let call = ["call", "com.test.it", "7", "-k", "a=x"];
    assert_eq!(router.run(&call), done("1\n\"not json\"\n\"[7] {\\\"a\\\":\\\"x\\\"} com.test.it\"\n"));
    let alone = router.run(&[&call[..], &["--no-progress"]].concat());
    assert_eq!(alone, done("\"[7] {\\\"a\\\":\\\"x\\\"} com.test.it\"\n"));
}

#[test]
fn all_output_can_be_one_string_and_none_is_an_empty_result() {
    let router = Router::start();
    let whole = registered(&router, &["--command", "printf 'a\\nb'", "--whole", "--count", "1"]);
    assert_eq!(router.run(&["call", "com.test.it"]), done("\"a\\nb\"\n"));
    assert_eq!(whole.end(), done(""));
    let _silent = registered(&router, &["--command", "true"]);
    // More input than a pipe holds, which the program does not read.
    let long = format!("\"{}\"", "x".repeat(100_000));
    assert_eq!(router.run(&["call", "com.test.it", &long]), done(""));
}

#[test]
fn a_program_that_fails_is_a_runtime_error_with_its_code_and_its_errors() {
    let router = Router::start();
    let callee = registered(&router, &["--command", "echo 1; echo 2; echo bad >&2; exit 3"]);
    let ended = router.run(&["call", "com.test.it", "--json"]);
    let last: serde_json::Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((ended.code, &last["error"]), (Some(1), &"wamp.error.runtime_error".into()));
    assert_eq!(last["kwargs"], serde_json::json!({"code": 3, "stderr": "bad\n"}));
    assert_eq!(callee.note(), "bad");
}

#[test]
fn a_canceled_call_ends_its_program() {
    let router = Router::start();
    let directory = Directory::new("canceled");
    let told = directory.0.join("terminated");
    let script = format!("trap 'echo > {}; exit 1' TERM; echo 1; echo 2; sleep 1000 & wait", told.display());
    let _callee = registered(&router, &["--command", &script]);
    for signal in ["INT", "KILL"] {
        let call = router.spawn(&["call", "com.test.it"]);
        assert_eq!(call.line(), "1");
        call.signal(signal);
        drop(call);
        appears(&told);
        std::fs::remove_file(&told).unwrap();
    }
}

fn appears(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < PATIENCE, "the program does not end");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn each_chunk_of_a_call_is_a_line_for_the_program() {
    let router = Router::start();
    let _callee = registered(&router, &["--command", "cat"]);
    assert_eq!(
        router.run_with(&["call", "com.test.it", "--in", "lines"], "1\nx\n3\n"),
        done("[1]\n[\"x\"]\n[3]\n")
    );
}

#[test]
fn a_procedure_that_exists_is_refused_and_can_be_shared() {
    let router = Router::start();
    let _peer = router.peer();
    let refused = router.run(&["register", "com.test.echo", "--echo"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("wamp.error.procedure_already_exists"), "{refused:?}");
    let _first = registered(&router, &["--reply", "1", "--invoke", "roundrobin"]);
    let _second = registered(&router, &["--reply", "2", "--invoke", "roundrobin"]);
    let mut answers = [(); 2].map(|()| router.run(&["call", "com.test.it"]).stdout);
    answers.sort();
    assert_eq!(answers, ["1\n", "2\n"]);
}

#[test]
fn output_that_is_too_long_ends_the_call_and_its_program() {
    let router = Router::start();
    let script = "echo $$; head -c 17000000 /dev/zero | tr '\\0' x; sleep 1000";
    let _callee = registered(&router, &["--command", script]);
    let call = router.spawn(&["call", "com.test.it", "--json"]);
    let first: serde_json::Value = serde_json::from_str(&call.line()).unwrap();
    let ended = call.end();
    // The first line is a result once there is a second one.
    assert_eq!((ended.code, &first["error"]), (Some(1), &"wamp.error.payload_size_exceeded".into()));
}

#[test]
fn no_program_outlives_the_callee() {
    let router = Router::start();
    let polite = "sleep 1000 & echo $!; echo 2; wait";
    let stubborn = format!("trap '' TERM; {polite}");
    for (script, signals, code) in
        [(polite, &["HUP"][..], 129), (polite, &["QUIT"], 131), (&stubborn, &["INT", "INT"], 130)]
    {
        let callee = registered(&router, &["--command", script]);
        let call = router.spawn(&["call", "com.test.it"]);
        let child = call.line();
        for signal in signals {
            callee.signal(signal);
            thread::sleep(Duration::from_millis(200));
        }
        // The calls under way have their time.
        drop(call);
        assert_eq!(callee.end().code, Some(code), "{signals:?}");
        let start = Instant::now();
        while is_running(&child) {
            assert!(start.elapsed() < PATIENCE, "{signals:?} leave a program behind");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn is_running(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

#[test]
fn a_signal_ends_the_last_of_a_number_of_calls() {
    let router = Router::start();
    let callee = registered(&router, &["--command", "echo 1; echo 2; sleep 1000", "--count", "1"]);
    let call = router.spawn(&["call", "com.test.it"]);
    assert_eq!(call.line(), "1");
    thread::sleep(Duration::from_millis(200));
    callee.signal("INT");
    assert_eq!(callee.end().code, Some(130));
    assert_ne!(call.end().code, Some(0));
}

#[test]
fn a_program_that_ends_may_write_and_its_children_have_their_time() {
    let router = Router::start();
    let directory = Directory::new("ending");
    for (name, script) in [
        (
            "writes",
            "trap 'echo ending; echo ending >&2; echo > PATH; exit 1' TERM; echo 1; echo 2; sleep 1000 & wait",
        ),
        ("child", "trap 'exit 1' TERM; (trap '' TERM; sleep 1; echo > PATH) & echo 1; echo 2; wait"),
    ] {
        let told = directory.0.join(name);
        let callee = registered(&router, &["--command", &script.replace("PATH", told.to_str().unwrap())]);
        let call = router.spawn(&["call", "com.test.it"]);
        assert_eq!(call.line(), "1");
        call.signal("INT");
        assert_eq!(call.end().code, Some(130));
        appears(&told);
        callee.signal("INT");
        assert_eq!(callee.end().code, Some(130));
    }
}
