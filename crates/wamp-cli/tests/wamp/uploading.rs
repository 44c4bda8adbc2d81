//! Standard input as the chunks of a call.

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Ended, Program, Router};

fn done(stdout: &str) -> Ended {
    Ended { code: Some(0), stdout: stdout.to_owned(), stderr: String::new() }
}

#[test]
fn items_are_chunks_and_results_are_printed_meanwhile() {
    let router = Router::start();
    let _peer = router.peer();
    let sum =
        |format: &str, input: &str| router.run_with(&["call", "com.test.chunks", "--in", format], input);
    assert_eq!(sum("lines", "1\n2\n3\n"), done("1\n2\n3\n6\n"));
    assert_eq!(sum("json", "1 2\n\n3"), done("1\n2\n3\n6\n"));
    assert_eq!(sum("lines", "5"), done("5\n5\n"), "one item is a plain call");
    assert_eq!(sum("lines", ""), done("0\n"), "and no item is one, too");
    let first = ["call", "com.test.chunks", "10", "--in", "lines"];
    assert_eq!(router.run_with(&first, "1\n"), done("10\n1\n11\n"), "arguments are before all chunks");
    let raw = ["call", "com.test.bytes", "--in", "raw=2"];
    assert_eq!(router.run_with(&raw, "abcde"), done("2\n2\n1\n5\n"));
}

#[test]
fn input_that_is_not_json_cancels_the_call() {
    let router = Router::start();
    let _peer = router.peer();
    let sum =
        |format: &str, input: &str| router.run_with(&["call", "com.test.chunks", "--in", format], input);
    let lines = sum("lines", "1\n2\n[3\n");
    assert_eq!(
        (lines.code, &*lines.stderr),
        (Some(2), "Error: standard input: item 3: not JSON at column 2: [3\n")
    );
    let json = sum("json", "1 2 ]");
    assert_eq!(json.code, Some(2));
    assert!(json.stderr.starts_with("Error: standard input: document 3: "), "{json:?}");
}

#[test]
fn input_is_read_as_fast_as_the_callee_takes_it() {
    let router = Router::start();
    let _peer = router.peer();
    let mut command = router.command(&["call", "com.test.slow", "--in", "raw"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let counted = written.clone();
    let writer = thread::spawn(move || {
        while stdin.write_all(&[b'x'; 4096]).is_ok() {
            counted.fetch_add(4096, Ordering::Relaxed);
        }
    });
    // The callee takes nothing, so that after a while nothing is read.
    let mut before = 0;
    loop {
        thread::sleep(Duration::from_secs(1));
        let now = written.load(Ordering::Relaxed);
        if now == before && now > 0 {
            break;
        }
        before = now;
    }
    assert!(before < 16 << 20, "{before} bytes were read for a callee that takes none");
    child.kill().unwrap();
    child.wait().unwrap();
    writer.join().unwrap();
}

#[test]
fn ctrl_c_ends_an_upload() {
    let router = Router::start();
    let peer = router.peer();
    let mut command = router.command(&["call", "com.test.slow", "x", "--in", "lines"]);
    command.stdin(Stdio::piped());
    let (call, mut stdin) = Program::spawn_with_input(command);
    stdin.write_all(b"1\n2\n").unwrap();
    assert_eq!(call.line(), "1");
    call.signal("INT");
    assert_eq!(call.end().code, Some(130));
    peer.canceled();
}
