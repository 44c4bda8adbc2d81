//! `wamp ps calls` and `wamp top`.

use std::process::{Command, Output};
use std::time::Duration;

use wamp_client::Invocation;

use crate::http::{get, get_with};
use crate::rawsocket::tcp;
use crate::service::{Service, TOKEN, open_realm, until};

fn wamp(arguments: &[&str], token: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamp"));
    command
        .args(arguments)
        .env_remove("WAMP_ADMIN")
        .env_remove("WAMP_ADMIN_TOKEN")
        .env("XDG_CONFIG_HOME", "/nonexistent");
    if let Some(token) = token {
        command.env("WAMP_ADMIN_TOKEN", token);
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_running_calls_are_printed_and_top_has_their_rates() {
    let service = Service::start("client", &open_realm(&format!("token = \"{TOKEN}\"")));
    let (callee, caller) = (service.join().await, service.join().await);
    let paced = async |invocation: Invocation| {
        let progress = invocation.progress().unwrap();
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while invocation.cancel_reason().is_none() {
            ticks.tick().await;
            progress.send(1).await?;
        }
        Ok(())
    };
    callee.register("com.a.paced", paced).await.unwrap();
    let mut results = caller.call("com.a.paced").progressive::<u64>().await.unwrap();
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = results.try_next().await {} });
    until(|| get_with(&service.admin, "/api/v1/calls", TOKEN), |answer| answer.json()["total"] == 1);

    let url = format!("http://{}", service.admin);
    let output = wamp(&["ps", "calls", "--admin", &url], Some(TOKEN));
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let shown = text(&output.stdout);
    let [head, row] = shown.lines().collect::<Vec<_>>()[..] else { panic!("{shown}") };
    assert!(head.starts_with("ID") && head.ends_with("STATE"), "{shown}");
    assert!(row.contains("com.a.paced  anonymous-") && row.ends_with("running"), "{shown}");

    let output = wamp(&["ps", "calls", "--json", "--admin", &url], Some(TOKEN));
    let row: serde_json::Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert_eq!((&row["type"], &row["callee"]["session"]), (&"call".into(), &callee.id().get().into()));
    let output = wamp(&["ps", "calls", "--filter", "nothing", "--admin", &url], Some(TOKEN));
    assert_eq!(text(&output.stdout).lines().count(), 1);
    let output = wamp(&["-r", "other", "ps", "calls", "--admin", &url], Some(TOKEN));
    assert_eq!(text(&output.stdout).lines().count(), 1);

    let output = wamp(&["top", "--once", "--admin", &url], Some(TOKEN));
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(shown.contains("2 sessions, 1 calls, 0 held"), "{shown}");
    let row = shown.lines().find(|line| line.contains("com.a.paced")).unwrap();
    let rate =
        row.split_whitespace().find_map(|word| word.strip_suffix("/s")).unwrap().parse::<f64>().unwrap();
    // 100 in each second, with room for other programs on the machine.
    assert!((20.0..130.0).contains(&rate), "{shown}");
    let output = wamp(&["top", "--once", "--json", "--admin", &url], Some(TOKEN));
    let object: serde_json::Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert_eq!((&object["type"], &object["rows"][0]["procedure"]), (&"top".into(), &"com.a.paced".into()));
    assert!(object["results_per_second"].as_f64().unwrap() > 20.0, "{object}");
    reading.abort();

    let output = wamp(&["ps", "calls", "--admin", &url], Some("wrong-wrong-wrong"));
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(
        said.starts_with(&format!("Error: admin: {url}: the listener wants its token\nhint: ")),
        "{said}"
    );
}

#[test]
fn a_listener_that_is_not_there_and_a_url_that_is_none_are_told() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    for command in [&["ps", "calls"][..], &["top", "--once"]] {
        let output = wamp(&[command, &["--admin", &url]].concat(), None);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let said = text(&output.stderr);
        assert!(said.starts_with(&format!("Error: admin: {url}: ")), "{said}");
        assert!(said.contains("hint: switch it on with: wamp-router --admin 127.0.0.1:9090"), "{said}");
        for wrong in ["9090", "ftp://127.0.0.1", "http://"] {
            assert_eq!(
                wamp(&[command, &["--admin", wrong]].concat(), None).status.code(),
                Some(2),
                "{wrong}"
            );
        }
    }
    // A WAMP port is no admin listener.
    let service = Service::start("no-admin", &open_realm(""));
    let url = format!("http://{}", service.router);
    assert_eq!(wamp(&["ps", "calls", "--admin", &url], None).status.code(), Some(1));
}

#[test]
fn names_of_clients_cannot_write_to_the_terminal() {
    const AUTHID: &str = "\\u001b[31mred\\u0007";
    let configuration =
        open_realm("").replace(
            "name = \"realm1\"",
            "name = \"realm1\"\n[[realm.role]]\nname = \"r\"\ncall = [\"**\"]\nregister = [\"**\"]\n",
        ) + &format!("[[realm.principal]]\nauthid = \"{AUTHID}\"\nrole = \"r\"\nticket = \"ticket\"\n");
    let service = Service::start("terminal", &configuration);
    let mut client = tcp(&service.router);
    client.say(&format!(
        r#"[1,"realm1",{{"roles":{{"caller":{{}},"callee":{{}}}},"authmethods":["ticket"],"authid":"{AUTHID}"}}]"#
    ));
    client.hear();
    client.say(r#"[5,"ticket",{}]"#);
    client.hear();
    client.say(r#"[64,1,{},"com.a.b"]"#);
    client.hear();
    client.say(r#"[48,2,{},"com.a.b"]"#);
    client.hear();
    assert_eq!(get(&service.admin, "/api/v1/calls").json()["total"], 1);
    let url = format!("http://{}", service.admin);
    for command in [&["ps", "calls"][..], &["top", "--once"]] {
        let output = wamp(&[command, &["--admin", &url]].concat(), None);
        let shown = text(&output.stdout);
        assert!(shown.contains(r"\u{1b}[31mred\u{7}") && !shown.contains('\u{1b}'), "{shown}");
    }
}
