//! Options of messages (`-o`), and arguments from files and standard input.

use crate::support::{Directory, Ended, Program, Router};

fn done(stdout: &str) -> Ended {
    Ended { code: Some(0), stdout: stdout.to_owned(), stderr: String::new() }
}

#[test]
fn an_option_has_its_name_in_the_specification() {
    let router = Router::start();
    let caller = r#"echo "${WAMP_CALLER:-nobody}""#;
    let arguments = ["register", "com.test.who", "--command", caller, "-o", "invoke=roundrobin"];
    let callee = router.spawn(&arguments);
    assert_eq!(callee.note(), "registered com.test.who");
    assert_eq!(router.run(&["call", "com.test.who"]), done("\"nobody\"\n"));
    let told = router.run(&["call", "com.test.who", "-o", "disclose_me=true", "-o", "x_other=[1]"]);
    assert!(told.stdout.trim_end().parse::<u64>().is_ok(), "{told:?}");
    // The policy was set, or this one would be refused.
    let _other = router.spawn(&["register", "com.test.who", "--reply", "1", "--invoke", "roundrobin"]);
    let subscriber =
        router.spawn(&["subscribe", "com.test.", "-o", "match=prefix", "--count", "1", "--json"]);
    assert_eq!(subscriber.note(), "subscribed to com.test.");
    let publisher = router.run(&["publish", "com.test.a", "1", "--option", "disclose_me=true"]);
    assert_eq!(publisher, done(""));
    let event: serde_json::Value = serde_json::from_str(&subscriber.line()).unwrap();
    assert!(event["publisher"].is_u64() && event["topic"] == "com.test.a", "{event}");
}

#[test]
fn an_option_that_cannot_be_is_an_error() {
    let router = Router::start();
    for (option, text) in [
        ("x", "Error: --option: not KEY=VALUE: x\n"),
        ("x=[1", "Error: option x: not JSON at column 2: [1\n"),
        (
            "disclose_me=5",
            "Error: com.test.a: the arguments cannot be sent: key \"disclose_me\": expected boolean, found integer\n",
        ),
        (
            "progress=true",
            "Error: com.test.a: the arguments cannot be sent: a call in chunks is made by `duplex`\n",
        ),
    ] {
        let ended = router.run(&["call", "com.test.a", "-o", option]);
        assert_eq!((ended.code, &*ended.stderr), (Some(2), text));
    }
    let timeout = router.run(&["call", "com.test.a", "-o", "timeout=x"]);
    assert!(timeout.code == Some(1) && timeout.stderr.contains("wamp.error.invalid_argument"), "{timeout:?}");
}

#[test]
fn a_document_is_read_from_a_file_or_standard_input() {
    let router = Router::start();
    let _peer = router.peer();
    let directory = Directory::new("documents");
    let file = directory.file("document.json", "{\"a\": [1,\n2]}\n");
    let echo = |arguments: &[&str]| router.run(&[&["call", "com.test.echo"], arguments].concat());
    let argument = format!("@{file}");
    assert_eq!(echo(&[&argument, "x"]), done("[{\"a\":[1,2]},\"x\"]\n"));
    assert_eq!(echo(&["--kwargs", &argument]), done("{\"a\":[1,2]}\n"));
    assert_eq!(echo(&["--string", &argument]), done(&format!("\"{argument}\"\n")));
    assert_eq!(echo(&["-k", &format!("k={argument}")]), done("{\"k\":{\"a\":[1,2]}}\n"));
    assert_eq!(echo(&[r#"{"b":{"$binary":"AP8="}}"#]), done("{\"b\":{\"$binary\":\"AP8=\"}}\n"));
    let input = |arguments: &[&str], text: &str| {
        router.run_with(&[&["call", "com.test.echo"], arguments].concat(), text)
    };
    assert_eq!(input(&["@-"], "[1, 2]"), done("[1,2]\n"));
    assert_eq!(input(&["--args", "@-"], "[1, 2]"), done("[1,2]\n"));
    let fault = input(&["@-"], "[1,\n2");
    let text = "Error: argument 1: standard input: not JSON at line 2, column 1\n";
    assert_eq!((fault.code, &*fault.stderr), (Some(2), text));
}

#[test]
fn lines_of_standard_input_are_publications() {
    let router = Router::start();
    let subscriber = router.spawn(&["subscribe", "com.test.topic", "--count", "5"]);
    assert_eq!(subscriber.note(), "subscribed to com.test.topic");
    let publish = |arguments: &[&str], input: &str| {
        router.run_with(&[&["publish", "com.test.topic"], arguments].concat(), input)
    };
    assert_eq!(publish(&["--in", "lines"], "1\nx y\n[2]\n"), done(""));
    let json = publish(&["first", "--in", "json", "--json", "--every", "1ms"], "{\"a\":1} 2");
    assert_eq!((json.code, json.stdout.lines().count()), (Some(0), 2));
    let events = "1\n\"x y\"\n[2]\n[\"first\",{\"a\":1}]\n[\"first\",2]\n";
    assert_eq!(subscriber.end(), done(events));
    let fault = publish(&["--in", "lines"], "1\n[2\n");
    let text = "Error: standard input: item 2: not JSON at column 2: [2\n";
    assert_eq!((fault.code, &*fault.stderr), (Some(2), text));
    assert_eq!(publish(&["--in", "lines", "--repeat", "2"], "").code, Some(2));
}

#[test]
fn a_publication_is_repeated_at_an_interval() {
    let router = Router::start();
    let subscriber = router.spawn(&["subscribe", "com.test.topic", "--count", "3", "-q"]);
    let publisher = router.command(&["publish", "com.test.topic", "1", "--every", "50ms"]);
    let publisher = Program::spawn(publisher);
    assert_eq!(subscriber.end(), done("1\n1\n1\n"));
    publisher.signal("INT");
    assert_eq!(publisher.end().code, Some(130));
}
