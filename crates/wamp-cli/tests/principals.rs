//! Roles and principals of a configuration file, with the program `wamp-router` and clients.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use wamp_client::Invocation;
use wamp_client::auth::{Credential, PrivateKey};

/// A router with a configuration file, which does not outlive its test.
struct Router {
    child: Child,
    url: String,
    folder: PathBuf,
}

impl Router {
    fn start(name: &str, file: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("wamp-router-principals-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("router.toml"), file).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
        command.arg("--config").arg(folder.join("router.toml")).env("JOES_TICKET", "ticket of joe");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("Listening on ").unwrap().split(' ').next().unwrap().to_owned();
        Self { child, url, folder }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The keys that `wamp-router passwd` prints for a password. With the default of 600,000 iterations a test that is not
/// optimized would take many seconds for each login.
fn passwd(password: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
    let mut child = command
        .args(["passwd", "--iterations", "1000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn principals_join_by_each_method_with_the_rights_of_their_role() {
    const PASSWORD: &str = "correct horse";
    let private = PrivateKey::from_bytes(&[7; 32]);
    let file = format!(
        r#"
listen = "127.0.0.1:0"
[[realm]]
name = "realm1"
anonymous = "guest"
[[realm.role]]
name = "guest"
call = ["com.shop.public.**"]
[[realm.role]]
name = "user"
call = ["com.shop.**"]
register = ["com.shop.**"]
deny = ["com.shop.private.**"]
[[realm.principal]]
authid = "joe"
role = "user"
ticket = {{ env = "JOES_TICKET" }}
cryptosign = ["{}"]
{}"#,
        private.public(),
        passwd(PASSWORD)
    );
    let router = Router::start("methods", &file);
    let connect = || wamp_client::connect(&*router.url).no_reconnect();
    let credentials = [
        Credential::ticket("joe", "ticket of joe"),
        Credential::wampcra("joe", PASSWORD),
        Credential::cryptosign(private).with_authid("joe"),
        Credential::scram("joe", PASSWORD),
    ];
    for credential in credentials {
        let shown = format!("{credential:?}");
        let session = connect().auth(credential).await.unwrap_or_else(|error| panic!("{shown}: {error}"));
        session.register("com.shop.public.hello", async |_: Invocation| Ok("hello")).await.unwrap();
        let denied =
            session.register("com.shop.private.key", async |_: Invocation| Ok(())).await.unwrap_err();
        assert!(denied.to_string().contains("wamp.error.not_authorized"), "{denied}");
        let guest = connect().await.unwrap();
        let hello = guest.call("com.shop.public.hello").await.unwrap();
        assert_eq!(hello.decode::<String>().unwrap(), "hello");
        let denied = guest.call("com.shop.hello").await.map(drop).unwrap_err();
        assert!(denied.to_string().contains("wamp.error.not_authorized"), "{denied}");
    }
    let wrong = connect().auth(Credential::wampcra("joe", "wrong horse")).await.unwrap_err();
    assert!(wrong.to_string().contains("wamp.error.authentication_denied"), "{wrong}");
}

#[test]
fn passwd_prints_keys_with_another_salt_each_time_and_not_the_password() {
    let (first, second) = (passwd("correct horse"), passwd("correct horse"));
    assert!(first != second && !first.contains("correct horse"), "{first}");
    let keys: Vec<&str> =
        first.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect();
    assert_eq!(keys, ["wampcra", "wamp_scram", "scram"]);
    assert!(first.contains("iterations = 1000, "), "{first}");
}

#[test]
fn secrets_are_not_printed_with_the_configuration() {
    let folder = std::env::temp_dir().join(format!("wamp-router-principals-{}-print", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("router.toml");
    let file = "[[realm]]\nname = \"a\"\nanonymous = false\n[[realm.role]]\nname = \"r\"\ncall = [\"a.**\", \"b..c\"]\n\
                deny = [\"a.b\"]\n[[realm.principal]]\nauthid = \"joe\"\nrole = \"r\"\nticket = \"s3cret\"\n";
    std::fs::write(&path, file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
    let output = command.args(["check", "--print"]).arg(&path).output().unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    let printed = String::from_utf8(output.stdout).unwrap();
    for lines in [
        "anonymous = false\n",
        "[[realm.role]]\nname = \"r\"\ncall = [\"b..c\", \"a.**\"]\ndeny = [\"a.b\"]\nmeta = \"read\"\n",
        "[[realm.principal]]\nauthid = \"joe\"\nrole = [\"r\"]\n#ticket = \"…\"\n",
    ] {
        assert!(printed.contains(lines), "{lines}: {printed}");
    }
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!printed.contains("s3cret") && !stderr.contains("s3cret"), "{stderr}");
    assert!(stderr.contains("every user of this machine can read this secret"), "{stderr}");
}
