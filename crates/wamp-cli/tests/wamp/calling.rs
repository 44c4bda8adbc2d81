//! `wamp call` and `wamp ping`.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Instant;

use wamp_client::CancelReason;

use crate::support::{Ended, PATIENCE, Program, Router, wamp};

fn ended(code: i32, stdout: &str, stderr: &str) -> Ended {
    Ended { code: Some(code), stdout: stdout.to_owned(), stderr: stderr.to_owned() }
}

#[test]
fn a_value_is_printed_as_json_and_several_as_a_list() {
    let router = Router::start();
    let _peer = router.peer();
    let echo = |arguments: &[&str]| router.run(&[&["call", "com.test.echo"], arguments].concat());
    assert_eq!(router.run(&["call", "com.test.sum", "2", "40"]), ended(0, "42\n", ""));
    assert_eq!(echo(&["x y"]), ended(0, "\"x y\"\n", ""));
    assert_eq!(echo(&["1", "[2]"]), ended(0, "[1,[2]]\n", ""));
    assert_eq!(echo(&["-k", "a=1"]), ended(0, "{\"a\":1}\n", ""));
    assert_eq!(echo(&["7", "-k", "a=-1"]), ended(0, "{\"args\":[7],\"kwargs\":{\"a\":-1}}\n", ""));
    assert_eq!(echo(&[]), ended(0, "", ""));
    for serializer in ["json", "msgpack", "cbor"] {
        let binary = echo(&["--serializer", serializer, r#"{"$binary":"AP8="}"#]);
        assert_eq!(binary, ended(0, "{\"$binary\":\"AP8=\"}\n", ""));
    }
    assert_eq!(echo(&["--raw", "x y"]), ended(0, "x y\n", ""));
    assert_eq!(
        echo(&["--raw", r#"{"$binary":"YWI="}"#]).stdout,
        "ab\n",
        "two bytes, and the end of a line of the test"
    );
}

#[test]
fn progressive_results_are_printed_a_line_each_and_the_result_last() {
    let router = Router::start();
    let _peer = router.peer();
    assert_eq!(router.run(&["call", "com.test.longop", "3"]), ended(0, "0\n1\n2\n3\n", ""));
    assert_eq!(router.run(&["call", "com.test.longop", "3", "--no-progress"]), ended(0, "3\n", ""));
    let many = router.run(&["call", "com.test.longop", "100000"]);
    assert_eq!(many.stdout.lines().count(), 100_001);
    assert!(many.stdout.ends_with("\n99999\n100000\n"));
    assert_eq!(router.run(&["call", "com.test.endless", "--count", "2"]), ended(0, "0\n1\n", ""));
}

#[test]
fn with_json_each_reply_is_an_object_and_the_last_one_is_the_end() {
    let router = Router::start();
    let _peer = router.peer();
    let lines = |arguments: &[&str]| -> (Option<i32>, Vec<serde_json::Value>) {
        let ended = router.run(&[&["call", "--json"], arguments].concat());
        let read = |line: &str| {
            let mut object: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(object.as_object_mut().unwrap().remove("ms").unwrap().is_u64());
            object
        };
        (ended.code, ended.stdout.lines().map(read).collect())
    };
    let reply = |kind: &str, n: i32| serde_json::json!({"type": kind, "args": [n], "kwargs": {}});
    assert_eq!(lines(&["com.test.longop", "1"]), (Some(0), vec![reply("progress", 0), reply("result", 1)]));
    let error = serde_json::json!({
        "type": "error", "error": "com.test.error.bad", "args": ["too short"], "kwargs": {"least": 8},
        "message": "com.test.error.bad: too short (least: 8)",
    });
    assert_eq!(lines(&["com.test.fail"]), (Some(1), vec![error]));
    let (code, canceled) = lines(&["com.test.fail", "wamp.error.canceled"]);
    assert_eq!((code, &canceled[0]["type"]), (Some(6), &"canceled".into()));
}

#[test]
fn with_json_a_call_that_is_left_has_one_end() {
    let router = Router::start();
    let _peer = router.peer();
    let types = |stdout: &str| -> Vec<String> {
        let objects = stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        objects.map(|object| object["type"].as_str().unwrap().to_owned()).collect()
    };
    let counted = router.run(&["call", "com.test.endless", "--count", "2", "--json"]);
    assert_eq!(types(&counted.stdout), ["progress", "progress", "canceled"]);
    let stubborn = ["call", "com.test.stubborn", "--json", "--cancel-mode", "kill", "--cancel-wait", "100ms"];
    let call = router.spawn(&stubborn);
    assert_eq!(types(&call.line()), ["progress"]);
    call.signal("INT");
    let left = call.end();
    assert_eq!((left.code, types(&left.stdout)), (Some(130), vec!["canceled".to_owned()]));
    let input = router.run_with(&["call", "com.test.chunks", "--in", "lines", "--json"], "1\n2\n[3\n");
    assert_eq!((input.code, types(&input.stdout).last()), (Some(2), Some(&"error".to_owned())));
    let uri = router.run(&["call", "not a uri", "--json"]);
    assert_eq!(types(&uri.stdout), ["error"], "{uri:?}");
}

#[test]
fn options_out_of_range_are_refused() {
    let run = |arguments: &[&str]| Program::spawn(wamp(arguments)).end();
    let time = run(&["ping", "--connect-timeout", "500000000000years"]);
    assert!(time.code == Some(2) && time.stderr.contains("more than 100 years"), "{time:?}");
    for size in ["1EiB", "10EiB"] {
        let format = format!("raw={size}");
        let ended = run(&["call", "com.test.bytes", "--in", &format]);
        assert!(ended.code == Some(2) && ended.stderr.contains("more than 16 MiB"), "{ended:?}");
    }
    assert_eq!(run(&["call", "com.test.a", "com.test.b", "--each", "--raw"]).code, Some(2));
}

#[test]
fn a_log_that_nothing_reads_does_no_harm() {
    let router = Router::start();
    let _peer = router.peer();
    let mut command = router.command(&["call", "com.test.sum", "1", "2", "-vv"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), &*ended.stdout), (Some(0), &b"3\n"[..]));
}

#[test]
fn errors_are_one_sentence_with_an_exit_code_of_their_kind() {
    let router = Router::start();
    let _peer = router.peer();
    assert_eq!(
        router.run(&["call", "com.test.fail"]),
        ended(1, "", "Error: com.test.fail: com.test.error.bad: too short (least: 8)\n")
    );
    let unknown = router.run(&["call", "com.test.unknown"]);
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.starts_with("Error: com.test.unknown: wamp.error.no_such_procedure"),
        "{unknown:?}"
    );
    assert!(unknown.stderr.ends_with(
        "hint: no client has registered the procedure in this realm; --realm chooses another one\n"
    ));
    assert_eq!(
        router.run(&["call", "com.test.sum", "1", "[1 2]"]),
        ended(
            2,
            "",
            "Error: argument 2: not JSON at column 4: [1 2]\n\
             hint: a string that begins with [, { or \" is given with --string\n"
        )
    );
    assert_eq!(router.run(&["call"]).code, Some(2));
    let realm = router.run(&["call", "x.y", "--realm", "relam1"]);
    assert_eq!(realm.code, Some(3));
    assert!(realm.stderr.starts_with(&format!("Error: refused: {}: ", router.url)), "{realm:?}");
    assert!(
        realm.stderr.contains("wamp.error.no_such_realm")
            && realm.stderr.contains("\nhint: the realm \"relam1\" ")
    );
    for limit in ["--timeout", "--max-time"] {
        let late = router.run(&["call", "com.test.slow", limit, "100ms"]);
        assert_eq!((late.code, &*late.stdout), (Some(5), "1\n"), "{late:?}");
        assert!(late.stderr.starts_with("Error: com.test.slow: wamp.error.timeout"), "{late:?}");
    }
    assert_eq!(router.run(&["call", "com.test.fail", "wamp.error.canceled"]).code, Some(6));
}

#[test]
fn without_a_router_the_exit_code_is_3() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("ws://127.0.0.1:{port}/ws");
    let run = |arguments: &[&str]| Program::spawn(wamp(arguments)).end();
    let refused = run(&["call", "com.test.sum", "--url", &url]);
    assert_eq!(refused.code, Some(3));
    let text = format!("Error: connect: {url}: connection refused\nhint: start a router with: wamp router\n");
    assert_eq!(refused.stderr, text);
    let url = run(&["ping", "--url", "http://127.0.0.1/ws"]);
    assert_eq!(url.code, Some(2));
    assert!(url.stderr.starts_with("Error: url: http://127.0.0.1/ws: "), "{url:?}");
}

#[test]
fn the_loss_of_the_session_is_exit_code_4() {
    let router = Router::start();
    let _peer = router.peer();
    let call = router.spawn(&["call", "com.test.slow"]);
    assert_eq!(call.line(), "1");
    router.kill();
    let ended = call.end();
    assert_eq!(ended.code, Some(4));
    assert!(ended.stderr.starts_with("Error: com.test.slow: the session is over: "), "{ended:?}");
}

#[test]
fn ctrl_c_cancels_the_call_and_sigterm_too() {
    let router = Router::start();
    let peer = router.peer();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        for mode in ["kill", "killnowait"] {
            let call = router.spawn(&["call", "com.test.slow", "--cancel-mode", mode]);
            assert_eq!(call.line(), "1");
            call.signal(signal);
            assert_eq!(call.end(), ended(code, "", "canceled: com.test.slow\n"));
            assert_eq!(peer.canceled(), CancelReason::Canceled);
        }
    }
    let call = router.spawn(&["call", "com.test.slow", "--json"]);
    assert!(call.line().contains("progress"));
    call.signal("INT");
    let ended = call.end();
    assert_eq!((ended.code, ended.stdout.starts_with("{\"type\":\"canceled\",\"ms\":")), (Some(130), true));
}

#[test]
fn a_second_ctrl_c_leaves_at_once() {
    let router = Router::start();
    let _peer = router.peer();
    let call = router.spawn(&["call", "com.test.stubborn", "--cancel-mode", "kill", "--cancel-wait", "1h"]);
    assert_eq!(call.line(), "1");
    let start = Instant::now();
    call.signal("INT");
    std::thread::sleep(std::time::Duration::from_millis(200));
    call.signal("INT");
    assert_eq!(call.end().code, Some(130));
    assert!(start.elapsed() < PATIENCE / 2);
}

#[test]
fn a_closed_pipe_ends_the_program_without_a_word() {
    let router = Router::start();
    let peer = router.peer();
    let mut command = Command::new("bash");
    let script = "\"$0\" call com.test.endless | head -n 2; echo \"${PIPESTATUS[0]}\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_wamp")]).env("WAMP_URL", &router.url);
    assert_eq!(Program::spawn(command).end(), ended(0, "0\n1\n0\n", ""));
    drop(peer);
}

#[test]
fn ping_shows_the_session_and_the_time_of_answers() {
    let router = Router::start();
    let pinged = router.run(&["ping", "--count", "2", "--interval", "1ms"]);
    assert_eq!((pinged.code, &*pinged.stderr), (Some(0), ""));
    let lines: Vec<_> = pinged.stdout.lines().collect();
    assert!(lines[0].starts_with("joined realm1 as session ") && lines[0].contains("authid "), "{lines:?}");
    assert!(lines[1].starts_with("answer 1: ") && lines[2].starts_with("answer 2: "), "{lines:?}");
    assert!(lines[3].starts_with("2 answers: min ") && lines.len() == 4, "{lines:?}");
    let objects = router.run(&["ping", "--count", "1", "--json"]).stdout;
    let types: Vec<String> = objects
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(types, ["joined", "answer", "summary"]);
}
