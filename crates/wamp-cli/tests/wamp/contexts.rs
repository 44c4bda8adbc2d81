//! `wamp context`, credentials, `wamp completion` and `wamp man`.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::{Directory, Ended, Program, Router, wamp};

fn done(stdout: &str) -> Ended {
    Ended { code: Some(0), stdout: stdout.to_owned(), stderr: String::new() }
}

/// A router with the principal joe, whose ticket is t1 and whose password is s1.
fn router(directory: &Directory) -> Router {
    let mut passwd = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
    passwd.args(["passwd", "--iterations", "1000"]);
    let (passwd, mut stdin) = Program::spawn_with_input(passwd);
    stdin.write_all(b"s1\n").unwrap();
    drop(stdin);
    let keys = passwd.end().stdout;
    let ticket = directory.file("router-ticket", "t1\n");
    router_of(directory, "joe", &format!("ticket = {{ file = \"{ticket}\" }}\n{keys}"))
}

/// A router with a principal that has these credentials.
fn router_of(directory: &Directory, authid: &str, credentials: &str) -> Router {
    let config = format!(
        r#"
[[realm]]
name = "realm1"
[[realm.role]]
name = "user"
call = ["**"]
[[realm.principal]]
authid = "{authid}"
role = "user"
{credentials}"#
    );
    Router::with(&["--config", &directory.file("router.toml", &config)])
}

#[test]
fn a_context_has_the_connection_and_can_be_selected() {
    let directory = Directory::new("context");
    let router = Router::start();
    let _peer = router.peer();
    let run = |arguments: &[&str]| directory.run(arguments);
    assert_eq!(run(&["context", "add", "here", "--url", &router.url, "--realm", "realm1"]), done(""));
    assert_eq!(run(&["context", "add", "gone", "--url", "ws://127.0.0.1:1/ws"]), done(""));
    assert_eq!(run(&["context", "ls"]), done("  gone\n  here\n"));
    assert_eq!(run(&["context", "select", "here"]), done(""));
    assert_eq!(run(&["context", "ls"]), done("  gone\n* here\n"));
    assert_eq!(run(&["context", "show"]), done(&format!("url = [\"{}\"]\nrealm = \"realm1\"\n", router.url)));
    let gone = done("url = [\"ws://127.0.0.1:1/ws\"]\n");
    assert_eq!(
        (run(&["context", "show", "gone"]), run(&["context", "show", "-c", "gone"])),
        (gone.clone(), gone)
    );
    assert_eq!(run(&["call", "com.test.sum", "1", "2"]), done("3\n"));
    assert_eq!(run(&["call", "com.test.sum", "1", "2", "--context", "gone"]).code, Some(3));
    assert_eq!(run(&["call", "com.test.sum", "1", "2", "-c", "gone", "--url", &router.url]), done("3\n"));
    let checked = run(&["context", "check", "here"]);
    assert!(
        checked.code == Some(0) && checked.stdout.starts_with("joined realm1 as session "),
        "{checked:?}"
    );
    let again = run(&["context", "add", "here"]);
    assert_eq!(
        (again.code, &*again.stderr),
        (Some(2), "Error: there is a context \"here\"\nhint: --replace writes it anew\n")
    );
    assert_eq!(run(&["context", "add", "here", "--replace", "--url", "ws://127.0.0.1:2/ws"]), done(""));
    assert_eq!(run(&["context", "show", "here"]), done("url = [\"ws://127.0.0.1:2/ws\"]\n"));
    assert_eq!(std::fs::read_dir(directory.0.join("wamp/contexts")).unwrap().count(), 2);
    assert_eq!(run(&["context", "rm", "here"]), done(""));
    assert_eq!(run(&["context", "ls"]), done("  gone\n"));
    let unknown = run(&["ping", "--context", "here"]);
    assert_eq!(
        (unknown.code, unknown.stderr.starts_with("Error: there is no context \"here\"\n")),
        (Some(2), true)
    );
}

#[test]
fn a_context_that_others_may_read_is_told_and_one_with_a_fault_is_refused() {
    let directory = Directory::new("modes");
    assert_eq!(directory.run(&["context", "add", "it", "--realm", "r"]), done(""));
    let path = directory.0.join("wamp/contexts/it.toml");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&path), mode(path.parent().unwrap()), mode(&directory.0.join("wamp"))),
        (0o600, 0o700, 0o700)
    );
    assert_eq!(directory.run(&["context", "add", "it", "--replace", "--realm", "r"]), done(""));
    assert_eq!(mode(&path), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let shown = directory.run(&["context", "show", "it"]);
    assert!(shown.code == Some(0) && shown.stderr.contains("others may read it"), "{shown:?}");
    std::fs::write(&path, "relam = \"x\"\n").unwrap();
    let fault = directory.run(&["context", "show", "it"]);
    assert!(fault.code == Some(2) && fault.stderr.contains("unknown field `relam`"), "{fault:?}");
    for name in ["../x", "", ".x", "a/b"] {
        assert_eq!(directory.run(&["context", "add", name]).code, Some(2), "{name}");
    }
}

#[test]
fn an_option_is_stronger_than_the_environment_and_that_than_the_context() {
    let directory = Directory::new("precedence");
    let router = Router::start();
    let add = ["context", "add", "it", "--url", &router.url, "--realm", "of.context"];
    assert_eq!(directory.run(&add), done(""));
    let realm = |arguments: &[&str], env: &[(&str, &str)]| {
        let mut command = wamp(&[&["ping", "--count", "1"], arguments].concat());
        command.env("XDG_CONFIG_HOME", &directory.0).envs(env.iter().copied());
        let ended = Program::spawn(command).end();
        // The realm is named in the error, unless it is there.
        let named = ended
            .stderr
            .split_once("there is no realm \"")
            .map(|(_, rest)| rest.split('"').next().unwrap().to_owned());
        named.unwrap_or_else(|| ended.stdout.split(' ').nth(1).unwrap_or_default().to_owned())
    };
    let context = [("WAMP_CONTEXT", "it")];
    assert_eq!(realm(&[], &context), "of.context");
    assert_eq!(realm(&["-c", "it"], &[]), "of.context");
    let env = [("WAMP_CONTEXT", "it"), ("WAMP_REALM", "of.env")];
    assert_eq!(realm(&[], &env), "of.env");
    assert_eq!(realm(&["-r", "of.option"], &env), "of.option");
    assert_eq!(realm(&[], &[("WAMP_URL", &router.url)]), "realm1", "the default");
}

#[test]
fn the_environment_names_serializer_and_key() {
    let directory = Directory::new("environment");
    let seed = "09".repeat(32);
    let public = wamp_client::auth::PrivateKey::from_hex(&seed).unwrap().public();
    let router = router_of(&directory, "device", &format!("cryptosign = [\"{public}\"]"));
    let joined = |arguments: &[&str], env: &[(&str, &str)]| {
        let mut command = router.command(&[&["ping", "--count", "1"], arguments].concat());
        command.envs(env.iter().copied());
        Program::spawn(command).end()
    };
    let file = directory.file("key", &format!("{seed}\n"));
    for (arguments, env) in [
        (&["--key-file", &*file, "--serializer", "cbor"][..], &[][..]),
        (&[], &[("WAMP_PRIVATE_KEY", &*seed), ("WAMP_SERIALIZER", "cbor")]),
    ] {
        let ended = joined(arguments, env);
        assert!(
            ended.code == Some(0) && ended.stdout.contains(", cbor, authid device, role user"),
            "{ended:?}"
        );
    }
    assert_eq!(joined(&["--serializer", "xml"], &[]).code, Some(2));
    assert_eq!(joined(&[], &[("WAMP_SERIALIZER", "xml")]).code, Some(2));
    let short = joined(&["--key-file", &directory.file("short", "12\n")], &[]);
    assert!(
        short.code == Some(2) && short.stderr.contains("not a key of 64 hexadecimal digits"),
        "{short:?}"
    );
}

#[test]
fn a_context_is_changed_with_an_editor() {
    let directory = Directory::new("editor");
    assert_eq!(directory.run(&["context", "add", "it", "--realm", "before"]), done(""));
    let edit = |editor: &str| {
        let mut command = wamp(&["context", "edit", "it"]);
        command.env("XDG_CONFIG_HOME", &directory.0).env_remove("VISUAL").env("EDITOR", editor);
        Program::spawn(command).end()
    };
    assert_eq!(edit("sed -i s/before/after/"), done(""));
    assert_eq!(directory.run(&["context", "show", "it"]), done("realm = \"after\"\n"));
    let fault = edit("sed -i s/realm/relam/");
    assert!(fault.code == Some(2) && fault.stderr.contains("unknown field `relam`"), "{fault:?}");
    let failed = edit("false");
    assert_eq!((failed.code, &*failed.stderr), (Some(2), "Error: false: exit status: 1\n"));
    let none = edit("");
    assert!(
        none.code == Some(2) && none.stderr.starts_with("Error: there is no editor\nhint: set EDITOR"),
        "{none:?}"
    );
}

#[test]
fn a_context_has_no_passwords() {
    let directory = Directory::new("passwords");
    for (option, url) in [
        ("--url", "ws://joe:hunter2@127.0.0.1/ws"),
        ("--url", "WSS:/\\joe:hun@ter2@127.0.0.1"),
        ("--proxy", "http://joe:hunter2@127.0.0.1"),
    ] {
        let refused = directory.run(&["context", "add", "it", option, url]);
        let text = format!("Error: {option}: a context has no passwords\nhint: ");
        assert!(refused.code == Some(2) && refused.stderr.starts_with(&text), "{refused:?}");
        assert!(!refused.stderr.contains("ter2"), "{refused:?}");
    }
    let plain = ["context", "add", "it", "--url", "ws://joe@127.0.0.1:1/a:b@c", "--proxy", "none"];
    assert_eq!(directory.run(&plain), done(""));
    let path = directory.0.join("wamp/contexts/it.toml");
    std::fs::write(&path, "url = [\"ws://joe:hunter2@127.0.0.1/ws\"]\nproxy = \"http://a:b@c\"\n").unwrap();
    let masked = "url = [\"ws://joe:***@127.0.0.1/ws\"]\nproxy = \"http://a:***@c\"\n";
    assert_eq!(directory.run(&["context", "show", "it"]), done(masked));
}

#[test]
fn secrets_in_the_environment_are_not_shown() {
    let mut help = wamp(&["call", "--help"]);
    help.env("WAMP_URL", "ws://joe:hunter2@127.0.0.1/ws");
    let help = Program::spawn(help).end();
    assert!(help.stdout.contains("WAMP_URL") && !help.stdout.contains("hunter2"), "{help:?}");
    let mut ping = wamp(&["ping", "--authid", "joe"]);
    ping.env("WAMP_TICKET", OsStr::from_bytes(b"hunter2\xff"));
    let ping = Program::spawn(ping).end();
    assert_eq!((ping.code, &*ping.stderr), (Some(2), "Error: WAMP_TICKET: is not UTF-8\n"));
}

#[test]
fn without_a_terminal_the_option_is_named() {
    let mut command = Command::new("setsid");
    command.args([env!("CARGO_BIN_EXE_wamp"), "ping", "--authid", "joe", "--secret-file", "-"]);
    let ended = Program::spawn(command).end();
    let text = "Error: --secret-file -: there is no terminal: ";
    assert!(ended.code == Some(2) && ended.stderr.starts_with(text), "{ended:?}");
}

#[test]
fn credentials_are_read_from_files_the_environment_and_commands() {
    let directory = Directory::new("credentials");
    let router = router(&directory);
    let ticket = directory.file("ticket", "t1\n");
    let secret = directory.file("secret", "s1\n");
    let as_joe = |ended: &Ended| ended.code == Some(0) && ended.stdout.contains("authid joe, role user");
    let run = |arguments: &[&str], env: &[(&str, &str)]| {
        let mut command = router.command(&[&["ping", "--count", "1"], arguments].concat());
        command.env("XDG_CONFIG_HOME", &directory.0).envs(env.iter().copied());
        Program::spawn(command).end()
    };
    for (arguments, env) in [
        (&["--authid", "joe", "--ticket-file", &*ticket][..], &[][..]),
        (&["--authid", "joe", "--secret-file", &secret], &[]),
        (&[], &[("WAMP_AUTHID", "joe"), ("WAMP_TICKET", "t1")]),
        (&[], &[("WAMP_AUTHID", "joe"), ("WAMP_SECRET", "s1")]),
    ] {
        let joined = run(arguments, env);
        assert!(as_joe(&joined), "{arguments:?} {env:?} {joined:?}");
    }
    let add =
        ["context", "add", "joe", "--url", &router.url, "--authid", "joe", "--ticket", "command:echo t1"];
    assert_eq!(directory.run(&add), done(""));
    let joined = directory.run(&["context", "check", "joe"]);
    assert!(as_joe(&joined), "{joined:?}");
    let wrong = run(&["--authid", "joe"], &[("WAMP_TICKET", "t2")]);
    assert!(wrong.code == Some(3) && wrong.stderr.starts_with("Error: denied: "), "{wrong:?}");
    assert!(!wrong.stderr.contains("t2"), "{wrong:?}");
    let nobody = run(&["--ticket-file", &ticket], &[]);
    assert_eq!((nobody.code, &*nobody.stderr), (Some(2), "Error: ticket: --authid is missing\n"));
    let missing = run(&["--authid", "joe", "--ticket-file", "/no/such/file"], &[]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.starts_with("Error: /no/such/file: No such file"), "{missing:?}");
}

#[test]
fn a_certificate_is_accepted_if_its_authority_is_given_or_none_is_asked_for() {
    let directory = Directory::new("tls");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = directory.file("certificate.pem", &made.cert.pem());
    let key = directory.file("key.pem", &made.signing_key.serialize_pem());
    let router = Router::with(&["--tls-certificate", &certificate, "--tls-key", &key]);
    let url = router.url.replace("ws://", "wss://");
    let ping =
        |arguments: &[&str]| directory.run(&[&["ping", "--count", "1", "--url", &url], arguments].concat());
    let unknown = ping(&[]);
    assert!(unknown.code == Some(3) && unknown.stderr.starts_with("Error: tls: "), "{unknown:?}");
    assert_eq!(
        (ping(&["--ca", &certificate]).code, ping(&["--ca", "/no/such/file"]).code),
        (Some(0), Some(2))
    );
    let insecure = ping(&["--insecure", "--quiet"]);
    assert!(
        insecure.code == Some(0) && insecure.stderr.starts_with("warning: any certificate"),
        "{insecure:?}"
    );
}

#[test]
fn completion_scripts_are_good_for_their_shells() {
    let directory = Directory::new("completion");
    let run = |arguments: &[&str]| Program::spawn(wamp(arguments)).end();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completion", shell]);
        assert_eq!((script.code, &*script.stderr), (Some(0), ""));
        assert!(script.stdout.contains("subscribe"), "{shell}");
    }
    let script = directory.file("wamp.bash", &run(&["completion", "bash"]).stdout);
    let complete = format!(
        "source {script}; COMP_WORDS=(wamp sub); COMP_CWORD=1; _wamp wamp sub wamp; echo \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &complete]);
    assert_eq!(Program::spawn(bash).end(), done("subscribe\n"));
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let directory = Directory::new("man");
    let pages = directory.0.join("pages");
    assert_eq!(directory.run(&["man", pages.to_str().unwrap()]), done(""));
    for page in ["wamp.1", "wamp-call.1", "wamp-context-add.1"] {
        let text = std::fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(".TH wamp"), "{page}: {text}");
    }
}
