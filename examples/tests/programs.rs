//! Runs the examples as a reader would, and checks their output.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

const FOUR_LINES: &str = "Progress: 0\nProgress: 1\nProgress: 2\nFinal: 3\n";

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A program that runs until it is dropped.
struct Running(Child);

impl Running {
    /// Starts it and waits for its first line.
    fn start(program: &str, arguments: &[&str]) -> (Self, String) {
        let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Self(child), line.trim_end().to_owned())
    }

    /// Ends it with SIGTERM.
    fn terminate(mut self) -> bool {
        // The shell's own `kill` exists on every machine.
        Command::new("sh").args(["-c", &format!("kill {}", self.0.id())]).status().unwrap();
        self.0.wait().unwrap().success()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A router in this process, with its URLs for WebSocket and RawSocket.
fn with_router(test: impl FnOnce(&str, &str)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _entered = runtime.enter();
    let router = wamp_router::Router::default();
    let address = runtime.block_on(router.listen("127.0.0.1:0")).unwrap().to_string();
    let (ws, rs) = address.split_once(' ').unwrap();
    test(ws, rs);
}

#[test]
fn longop_prints_the_four_lines() {
    assert_eq!(stdout(&run(env!("CARGO_BIN_EXE_longop"), &["--interval-ms", "10"])), FOUR_LINES);
}

#[test]
fn caller_and_callee_speak_over_every_transport_and_serializer() {
    with_router(|ws, rs| {
        for url in [ws, rs] {
            for serializer in ["json", "msgpack", "cbor"] {
                let common = ["--url", url, "--serializer", serializer, "--interval-ms", "1"];
                let (callee, line) = Running::start(env!("CARGO_BIN_EXE_longop-callee"), &common);
                assert_eq!(line, "Registered com.myapp.longop");
                let caller = run(env!("CARGO_BIN_EXE_longop-caller"), &common);
                assert_eq!(stdout(&caller), FOUR_LINES, "{url} {serializer}");
                assert!(callee.terminate(), "the callee ends cleanly on SIGTERM");
            }
        }
    });
}

#[test]
fn the_environment_gives_the_defaults() {
    with_router(|_, rs| {
        let program = |program: &str| {
            let mut command = Command::new(program);
            command.env("WAMP_URL", rs).env("WAMP_SERIALIZER", "cbor").env("WAMP_PROCEDURE", "com.example.x");
            command.env("WAMP_N", "1").env("WAMP_INTERVAL_MS", "1").env("WAMP_REALM", "realm1");
            command
        };
        let mut callee = program(env!("CARGO_BIN_EXE_longop-callee")).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(callee.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let callee = Running(callee);
        assert_eq!(line, "Registered com.example.x\n");
        let caller = program(env!("CARGO_BIN_EXE_longop-caller")).output().unwrap();
        assert_eq!(stdout(&caller), "Progress: 0\nFinal: 1\n");
        drop(callee);
    });
}

#[test]
fn an_error_is_one_line_with_a_cause_and_an_exit_code() {
    with_router(|ws, rs| {
        let refused = "127.0.0.1:1";
        for (arguments, expected) in [
            (
                vec!["--url", ws],
                "Error: wamp.error.no_such_procedure: no procedure \"com.myapp.longop\" is registered\n"
                    .to_owned(),
            ),
            (
                vec!["--url", rs, "--procedure", "com..x"],
                "Error: wamp.error.invalid_uri: \"com..x\" is not a valid URI: a component is empty\n"
                    .to_owned(),
            ),
            (
                vec!["--url", ws, "--realm", "nowhere"],
                format!(
                    "Error: refused: {ws}: the router aborted the session with wamp.error.no_such_realm: there is no realm \"nowhere\"\n"
                ),
            ),
            (
                vec!["--url", "ws://127.0.0.1:1"],
                format!(
                    "Error: connect: ws://{refused}: cannot connect to {refused}: Connection refused (os error 111)\n"
                ),
            ),
            (
                vec!["--url", "wss://127.0.0.1:1"],
                format!(
                    "Error: connect: wss://{refused}: cannot connect to {refused}: Connection refused (os error 111)\n"
                ),
            ),
        ] {
            let output = run(env!("CARGO_BIN_EXE_longop-caller"), &arguments);
            assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
            assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
        }
    });
}

#[test]
fn the_arguments_of_an_error_are_shown() {
    with_router(|ws, rs| {
        let runtime = tokio::runtime::Handle::current();
        let session = runtime.block_on(async {
            let session = wamp_client::connect(rs).await.unwrap();
            let fail = |_| async {
                let failure = wamp_client::Failure::new("com.myapp.error.bad");
                Err::<(), _>(failure.arg("no room").arg(17).kwarg("left", 2))
            };
            session.register("com.myapp.longop", fail).await.unwrap();
            session
        });
        let output = run(env!("CARGO_BIN_EXE_longop-caller"), &["--url", ws]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "Error: com.myapp.error.bad: no room, 17 (left: 2)\n");
        runtime.block_on(session.leave());
    });
}

/// The end of a session is described in words.
#[test]
fn a_callee_that_loses_its_router_says_so() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _entered = runtime.enter();
    let router = wamp_router::Router::default();
    let address = runtime.block_on(router.listen("127.0.0.1:0")).unwrap().to_string();
    let (ws, _) = address.split_once(' ').unwrap();
    let mut callee = Command::new(env!("CARGO_BIN_EXE_longop-callee"))
        .args(["--url", ws])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(callee.stdout.take().unwrap()).read_line(&mut line).unwrap();
    runtime.block_on(router.shut_down());
    let output = callee.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said,
        "Error: the session is over: the router closed the session with wamp.close.system_shutdown: the router is \
         shutting down\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn no_interval_is_no_pause() {
    with_router(|_, rs| {
        // A tick of the timer for each of them would be 20 s.
        let common = ["--url", rs, "--interval-ms", "0", "-n", "20000"];
        let (callee, _) = Running::start(env!("CARGO_BIN_EXE_longop-callee"), &common);
        let start = std::time::Instant::now();
        let caller = run(env!("CARGO_BIN_EXE_longop-caller"), &common);
        assert!(stdout(&caller).ends_with("Final: 20000\n"));
        assert!(start.elapsed() < std::time::Duration::from_secs(15), "{:?}", start.elapsed());
        drop(callee);
    });
}

fn codec(direction: &str, lines: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_codec"))
        .arg(direction)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    stdout(&child.wait_with_output().unwrap())
}

#[test]
fn codec_shows_the_contents_of_a_frame() {
    let table = [
        // A RESULT with progress, as MessagePack; 2^64 - 1 stays an integer.
        (
            "msgpack 94320781a870726f6772657373c391cfffffffffffffffff",
            r#"[50,7,{"progress":true},[18446744073709551615]]"#,
        ),
        // Binary as WAMP writes it; an unknown key is kept; 1.0 is a float.
        (
            "cbor 84183201a1625f780183430102031bfffffffffffffffffb3ff0000000000000",
            r#"[50,1,{"_x":1},["\u0000AQID",18446744073709551615,1.0]]"#,
        ),
        ("json 5b36382c312c322c7b7d2c5b5d2c7b2261223a317d5d", r#"[68,1,2,{},[],{"a":1}]"#),
        (
            "msgpack 91cd0151",
            "ERROR EVENT_RECEIVED, element 2 (EVENT.Publication): missing: expected EVENT.Publication",
        ),
        ("msgpack 9163", "ERROR expected code of a message, found 99"),
        ("msgpack zz", "ERROR 'z' is not a hex digit"),
        ("msgpack 1", "ERROR an odd number of hex digits"),
        ("bson 00", "ERROR unknown serializer \"bson\": expected one of msgpack, cbor, json"),
        ("", "ERROR unknown serializer \"\": expected one of msgpack, cbor, json"),
        ("json 5b365d", "ERROR GOODBYE, element 2 (Details): missing: expected Details"),
    ];
    let (lines, expected): (Vec<&str>, Vec<&str>) = table.into_iter().unzip();
    assert_eq!(codec("decode", &lines.join("\n")), expected.join("\n") + "\n");
}

#[test]
fn codec_encodes_its_own_output() {
    let message = r#"[50,1,{"_x":1},["\u0000AQID",18446744073709551615,1.0,null,{"a":[true,-1]}]]"#;
    for serializer in ["json", "msgpack", "cbor"] {
        let hex = codec("encode", &format!("{serializer} {message}\n"));
        assert_eq!(codec("decode", &format!("{serializer} {hex}")), format!("{message}\n"), "{serializer}");
    }
    let wrong = codec("encode", "cbor [50\ncbor [50,1,{}]\n");
    assert_eq!(wrong, "ERROR RESULT, element 2 (CALL.Request): ends in the middle of a value\n83183201a0\n");
}

#[test]
fn the_other_examples_print_the_documented_output() {
    let list = stdout(&run(env!("CARGO_BIN_EXE_chunked-list"), &[]));
    assert!(list.starts_with("user 20 of is, 20\n"), "{list}");
    assert!(list.ends_with("12 users, 25.5 years old on average\n"), "{list}");
    let upload = stdout(&run(env!("CARGO_BIN_EXE_upload"), &[]));
    assert!(upload.ends_with("100 %\nupload.rs has arrived: all of it\n"), "{upload}");
    let transcription = stdout(&run(env!("CARGO_BIN_EXE_transcription"), &[]));
    assert_eq!(
        transcription,
        "It was a bright cold day in April.\nThe clocks were striking thirteen.\nNobody minded.\n(15 words)\n"
    );
    assert!(stdout(&run(env!("CARGO_BIN_EXE_own-transport"), &[])).starts_with("42, over channels"));
    assert_eq!(stdout(&run(env!("CARGO_BIN_EXE_axum"), &[])), "GET /sum/40/2: 42\n");
    let protocol = stdout(&run(env!("CARGO_BIN_EXE_protocol-test"), &[]));
    assert_eq!(protocol, "progress 0, progress 1, wamp.error.timeout\n");
}
