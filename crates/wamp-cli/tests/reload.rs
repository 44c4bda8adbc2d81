//! The program `wamp-router` whose configuration is read again, and that systemd has started.

mod rawsocket;
mod service;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rawsocket::{Client, PATIENCE, tcp};
use service::{Service, folder, lines};

impl Service {
    fn start(name: &str, configuration: &str) -> Self {
        Self::spawn(folder(name), configuration, |command| command)
    }

    /// The next address that it prints.
    fn address(&self) -> String {
        let line = self.line();
        let (_, rs) = line.strip_prefix("Listening on ").unwrap().rsplit_once("://").unwrap();
        rs.to_owned()
    }

    fn end(mut self) {
        self.signal("TERM");
        assert!(self.child.wait().unwrap().success());
    }
}

/// A client that has said HELLO.
fn joining(address: &str, realm: &str) -> Client<TcpStream> {
    let mut client = tcp(address);
    client.say(&format!(r#"[1,"{realm}",{{"roles":{{"caller":{{}},"subscriber":{{}}}}}}]"#));
    client
}

const FIRST: &str = r#"
listen = ["127.0.0.1:0"]
[log]
filter = "info"
[[realm]]
name = "kept"
[[realm]]
name = "old"
"#;

#[test]
fn a_configuration_is_read_again_and_sessions_that_it_does_not_concern_stay() {
    let service = Service::start("again", FIRST);
    let address = service.address();
    let started = service.logged("started");
    for part in ["version=", "kept, old", &*address, "connections_from=\"file descriptors\""] {
        assert!(started.contains(part), "{part}: {started}");
    }
    let (mut kept, mut old) = (joining(&address, "kept"), joining(&address, "old"));
    assert!(kept.hear().starts_with("[2,") && old.hear().starts_with("[2,"));
    service.reload(
        r#"
listen = ["127.0.0.1:0", "127.0.0.1:0"]
[log]
filter = "debug"
format = "json"
[limits]
connections = 1000
[[realm]]
name = "kept"
anonymous = "guest"
[[realm.role]]
name = "guest"
call = ["com.example.**"]
[realm.credit]
window = 1000
[[realm]]
name = "new"
credit = false
"#,
    );
    // The role of the session in the realm that stays is not the one that it had.
    assert!(kept.hear().contains("wamp.error.authentication_failed"));
    assert!(old.hear().contains("wamp.close.close_realm"));
    assert!(service.logged("only when").contains("setting=\"log.format\""));
    assert!(service.logged("only when").contains("setting=\"realm.credit.window of kept\""));
    let reloaded = service.logged("reloaded the configuration");
    for part in ["realms_added=\"new\"", "realms_removed=\"old\"", "closed=\"\""] {
        assert!(reloaded.contains(part), "{part}: {reloaded}");
    }
    let another = service.address();
    assert_ne!(another, address);
    let (mut kept, mut new) = (joining(&address, "kept"), joining(&another, "new"));
    assert!(kept.hear().contains(r#""authrole":"guest""#) && new.hear().starts_with("[2,"));
    kept.say(r#"[32,1,{},"com.example.topic"]"#);
    assert!(kept.hear().contains("wamp.error.not_authorized"));
    // The filter has changed, too: this is a line of level debug.
    drop(TcpStream::connect(&address).unwrap());
    service.logged("DEBUG");
    service.reload(FIRST);
    let closed = service.logged("reloaded the configuration");
    assert!(closed.contains(&format!("closed=\"ws://{another}")), "{closed}");
    assert!(new.hear().contains("wamp.close.close_realm"));
    assert!(TcpStream::connect(&another).is_err());
    service.end();
}

#[test]
fn a_configuration_with_faults_changes_nothing_and_the_log_has_all_of_them() {
    let service = Service::start("faulty", FIRST);
    let address = service.address();
    let mut old = joining(&address, "old");
    assert!(old.hear().starts_with("[2,"));
    service.reload(
        "listen = [\"127.0.0.1:0\"]\n[limits]\nstall = \"2x\"\nmassage = 1\n[[realm]]\nname = \"new\"\n",
    );
    let file = service.folder.join("router.toml").display().to_string();
    let stall = service.logged("ERROR");
    assert!(stall.contains(&format!("{file}:3:9: \"2x\" is not a duration")), "{stall}");
    let massage = service.logged("ERROR");
    assert!(massage.contains(&format!("{file}:4:1: unknown key `massage`")), "{massage}");
    service.logged("the router goes on with the configuration that it has");
    // An address that is in use is found only when it is opened.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (taken, address)).unwrap();
    service.reload(&format!("listen = [\"127.0.0.1:0\", \"{}\"]\n[[realm]]\nname = \"new\"\n", taken.1));
    assert!(service.logged("ERROR").contains(&format!("cannot listen on {}", taken.1)));
    service.reload("listen = [\"0.0.0.0:0\"]\n");
    assert!(service.logged("ERROR").contains("will not listen on 0.0.0.0:0"));
    old.say(r#"[48,1,{},"com.example.nothing"]"#);
    assert!(old.hear().contains("wamp.error.no_such_procedure"));
    assert!(joining(&address, "new").hear().contains("wamp.error.no_such_realm"));
    assert!(joining(&address, "old").hear().starts_with("[2,"));
    service.end();
}

#[test]
fn web_pages_and_proxies_are_those_of_the_configuration_and_change_with_it() {
    let service = Service::start("origins", FIRST);
    let address = service.address();
    let status = |header: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wamp.2.json\r\n{header}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        String::from_utf8_lossy(&head[9..]).into_owned()
    };
    let app = "Origin: https://app.example\r\nX-Forwarded-For: 192.0.2.1\r\n";
    assert_eq!(status(app), "403");
    let refused = service.logged("https://app.example");
    assert!(refused.contains("peer=127.0.0.1:") && refused.contains("`allowed_origins`"), "{refused}");
    let more = "allowed_origins = [\"https://app.example\"]\nproxies = { addresses = [\"127.0.0.1\"] }\n";
    service.reload(&format!("{more}{FIRST}"));
    service.logged("reloaded the configuration");
    assert_eq!(status(app), "101");
    let faulty = "allowed_origins = [\"app.example\"]\n[proxies]\naddresses = [\"proxy.example\"]\nclient_address = \"x\"\n";
    service.reload(faulty);
    for fault in [
        "1:20: \"app.example\" is not an origin",
        "3:14: \"proxy.example\" is not an address",
        "4:18: \"x\" is not one of",
    ] {
        assert!(service.logged("ERROR").contains(fault), "{fault}");
    }
    assert_eq!(status(app), "101");
    service.end();
}

#[test]
fn systemd_is_told_that_it_is_ready_and_alive_and_what_it_does() {
    let path = std::env::temp_dir().join(format!("wamp-router-{}-notify.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let service = Service::spawn(folder("notify"), FIRST, |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000")
    });
    let told = |wanted: &str| {
        loop {
            let mut buffer = [0; 1024];
            let length = socket.recv(&mut buffer).unwrap();
            let state = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if state.lines().any(|line| line == wanted) {
                return state;
            }
        }
    };
    assert!(told("READY=1").contains("STATUS=0 sessions, 0 connections"));
    let address = service.address();
    let mut client = joining(&address, "kept");
    assert!(client.hear().starts_with("[2,"));
    told("STATUS=1 sessions, 1 connections");
    told("WATCHDOG=1");
    service.signal("HUP");
    assert!(told("RELOADING=1").contains("MONOTONIC_USEC="));
    told("READY=1");
    service.signal("TERM");
    // 5 s for the clients, and 5 s for the process.
    assert!(told("STOPPING=1").contains("EXTEND_TIMEOUT_USEC=10000000"));
    std::fs::remove_file(&path).unwrap();
}

/// `systemd-socket-activate` is a part of systemd; without it this test does nothing.
#[test]
fn it_serves_the_sockets_that_systemd_has_opened() {
    let has = Command::new("systemd-socket-activate").arg("--version").output().is_ok();
    if !has {
        return;
    }
    // A free port, and a path.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = std::env::temp_dir().join(format!("wamp-router-{}-sockets", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let unix = folder.join("router.sock");
    let mut command = Command::new("systemd-socket-activate");
    command.args(["-l", &format!("127.0.0.1:{port}"), "-l"]).arg(&unix);
    command.arg(env!("CARGO_BIN_EXE_wamp-router")).args(["--listen", "systemd", "--realm", "kept"]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let output = lines(child.stdout.take().unwrap());
    let address = format!("127.0.0.1:{port}");
    // The first connection starts the router, and waits for it.
    let start = std::time::Instant::now();
    while TcpStream::connect(&address).is_err() {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(joining(&address, "kept").hear().starts_with("[2,"));
    let mut said = [(); 2].map(|()| output.recv_timeout(PATIENCE).unwrap());
    said.sort_unstable();
    let expected = [
        format!("Listening on rs+unix://{}", unix.display()),
        format!("Listening on ws://{address} rs://{address}"),
    ];
    assert_eq!(said, expected);
    let mut stream = std::os::unix::net::UnixStream::connect(&unix).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[0x7f, 0xf1, 0, 0]).unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    let _ = child.kill();
    let _ = child.wait();
    std::fs::remove_dir_all(&folder).unwrap();
    // Without sockets it says so.
    let alone =
        Command::new(env!("CARGO_BIN_EXE_wamp-router")).args(["--listen", "systemd"]).output().unwrap();
    let stderr = String::from_utf8(alone.stderr).unwrap();
    assert!(stderr.starts_with("Error: `listen` names \"systemd\", which has passed no sockets"), "{stderr}");
}
