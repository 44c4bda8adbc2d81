//! `wamp router`, which is `wamp-router`.

use std::process::Command;

use crate::support::{Directory, Program, wamp};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let ended = Program::spawn(wamp(arguments)).end();
    (ended.code, ended.stdout, ended.stderr)
}

#[test]
fn the_router_is_a_subcommand() {
    let router = Program::spawn(wamp(&["router", "run", "--listen", "127.0.0.1:0", "--realm", "mine"]));
    let line = router.line();
    let (url, _) = line.strip_prefix("Listening on ").and_then(|rest| rest.split_once(' ')).unwrap();
    let ping = ["ping", "--count", "1", "--url", &format!("{url}/ws"), "--realm", "mine"];
    let (code, stdout, _) = run(&ping);
    assert!(code == Some(0) && stdout.starts_with("joined mine as session "), "{stdout}");
    router.signal("TERM");
    assert_eq!(router.end().code, Some(0));
}

#[test]
fn it_has_the_commands_of_the_other_program() {
    let directory = Directory::new("subcommand");
    let faulty = directory.file("router.toml", "[limits]\nno_such_limit = 1\n");
    let both = |arguments: &[&str]| {
        let mut other = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
        other.args(arguments);
        let other = Program::spawn(other).end();
        let one = run(&[&["router"], arguments].concat());
        assert_eq!(one, (other.code, other.stdout, other.stderr), "{arguments:?}");
        one
    };
    assert_eq!(both(&["check", &faulty]).0, Some(2));
    let init = directory.0.join("new.toml");
    assert_eq!(run(&["router", "init", init.to_str().unwrap()]).0, Some(0));
    assert_eq!(both(&["check", init.to_str().unwrap()]).0, Some(0));
    assert_eq!(both(&["convert", "/no/such/file"]).0, Some(1));
    assert!(both(&["init"]).1.contains("[limits]"));
}

#[test]
fn its_help_has_its_name_and_not_the_options_of_clients() {
    let (code, help, _) = run(&["router", "--help"]);
    assert!(code == Some(0) && help.contains("Usage: wamp router [OPTIONS]"), "{help}");
    assert!(help.contains("--listen") && !help.contains("--ticket-file"), "{help}");
    assert!(run(&["--help"]).1.contains("  router "), "it is among the commands");
    let (code, _, stderr) = run(&["--quiet", "router"]);
    assert!(code == Some(2) && stderr.contains("stand after the word router"), "{stderr}");
    let (code, _, stderr) = run(&["router", "--no-such-option"]);
    assert!(code == Some(2) && stderr.contains("Usage: wamp router"), "{stderr}");
}
