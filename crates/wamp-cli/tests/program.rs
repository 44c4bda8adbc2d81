//! The program `wamp-router` in a process of its own: its output, its exit, and its service.

mod rawsocket;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rawsocket::{Client, PATIENCE, tcp};

const HELLO: &str = r#"[1,"realm1",{"roles":{"caller":{}}}]"#;

/// The program, which does not outlive its test.
struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
        command.args(arguments);
        Self::spawn(command)
    }

    /// Starts it with this many file descriptors.
    fn with_files(files: usize) -> Self {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {files}; exec \"$0\" --listen 127.0.0.1:0");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_wamp-router")]);
        Self::spawn(command)
    }

    fn spawn(command: Command) -> Self {
        Self::spawn_with(command, Stdio::null())
    }

    fn spawn_with(mut command: Command, stderr: Stdio) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines }
    }

    /// The next line that it prints.
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("another line")
    }

    /// The TCP address in the next line.
    fn address(&self) -> String {
        let line = self.line();
        let (ws, rs) =
            line.strip_prefix("Listening on ws://").and_then(|rest| rest.split_once(" rs://")).unwrap();
        assert_eq!(ws, rs, "{line}");
        ws.to_owned()
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its exit, and checks that it has printed nothing more.
    fn end(mut self) -> ExitStatus {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(self.lines.recv_timeout(PATIENCE).ok(), None);
        status
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program with arguments that it refuses.
fn refused(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wamp-router")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

impl<S: Read + Write> Client<S> {
    fn join(mut self, hello: &str) -> Self {
        self.say(hello);
        let heard = self.hear();
        assert!(heard.starts_with("[2,"), "{heard}");
        self
    }

    /// Nothing more arrives.
    fn ended(mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
    }
}

fn socket(name: &str) -> String {
    let path = std::env::temp_dir().join(format!("wamp-router-{}-{name}.sock", std::process::id()));
    path.display().to_string()
}

#[test]
fn it_listens_wherever_it_is_told_to_and_says_where() {
    let path = socket("listen");
    let unix = format!("unix://{path}");
    let program =
        Program::start(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--listen", unix.as_str()]);
    let (first, second) = (program.address(), program.address());
    assert_eq!(program.line(), format!("Listening on rs+unix://{path}"));
    assert_ne!(first, second);
    for address in [first, second] {
        assert!(!address.ends_with(":0"), "{address} is where it really listens");
        tcp(&address).join(HELLO);
        let mut http = TcpStream::connect(&address).unwrap();
        http.set_read_timeout(Some(PATIENCE)).unwrap();
        http.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut answer = String::new();
        http.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    }
    Client(UnixStream::connect(&path).unwrap()).greeted().join(HELLO);
    // A program that was killed leaves its socket behind.
    drop(program);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn it_has_the_realms_that_it_is_told_to_have() {
    let program = Program::start(&["--listen", "127.0.0.1:0", "--realm", "a", "--realm", "com.example.b"]);
    let address = program.address();
    tcp(&address).join(&HELLO.replace("realm1", "a"));
    tcp(&address).join(&HELLO.replace("realm1", "com.example.b"));
    let mut client = tcp(&address);
    client.say(HELLO);
    let abort = client.hear();
    assert!(abort.ends_with(r#","wamp.error.no_such_realm"]"#), "{abort}");
    client.ended();
}

#[test]
fn it_says_goodbye_on_sigterm_and_on_ctrl_c_and_ends_well() {
    for signal in ["TERM", "INT"] {
        let path = socket(signal);
        let unix = format!("unix://{path}");
        let program = Program::start(&["--listen", "127.0.0.1:0", "--listen", unix.as_str()]);
        let address = program.address();
        program.line();
        let mut client = tcp(&address).join(HELLO);
        program.signal(signal);
        let goodbye = client.hear();
        assert!(goodbye.ends_with(r#","wamp.close.system_shutdown"]"#), "{goodbye}");
        client.say(r#"[6,{},"wamp.close.goodbye_and_out"]"#);
        client.ended();
        assert_eq!(program.end().code(), Some(0), "{signal}");
        assert!(!std::path::Path::new(&path).exists(), "{signal}");
    }
}

#[test]
fn it_ends_well_also_when_a_client_does_not_answer() {
    let program = Program::start(&["--listen", "127.0.0.1:0"]);
    let mut client = tcp(&program.address()).join(HELLO);
    program.signal("TERM");
    client.hear();
    assert_eq!(program.end().code(), Some(0));
}

#[test]
fn an_error_names_its_cause() {
    let program = Program::start(&["--listen", "127.0.0.1:0"]);
    let taken = program.address();
    for (arguments, error) in [
        (
            ["--listen", "nonsense"],
            "Error: cannot listen on \"nonsense\": expected HOST:PORT or unix:///path\n",
        ),
        (["--listen", "127.0.0.1:99999"], "Error: cannot listen on 127.0.0.1:99999: "),
        (
            ["--listen", "unix:///no/such/folder/socket"],
            "Error: cannot listen on unix:///no/such/folder/socket: ",
        ),
        (["--listen", taken.as_str()], &*format!("Error: cannot listen on {taken}: ")),
        (["--listen", "0.0.0.0:0"], "Error: will not listen on 0.0.0.0:0, which other machines can reach, "),
    ] {
        let output = refused(&arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with(error), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{arguments:?}");
    }
    let hint = String::from_utf8(refused(&["--listen", "[::]:0"]).stderr).unwrap();
    assert!(hint.contains("--allow-anonymous-on-public"), "{hint}");
}

#[test]
fn it_takes_any_request_id_unless_it_is_told_to_be_strict() {
    const CALL: &str = r#"[48,8513655549993351,{},"com.myapp.nothing"]"#;
    let program = Program::start(&["--listen", "127.0.0.1:0"]);
    let mut client = tcp(&program.address()).join(HELLO);
    client.say(CALL);
    let heard = client.hear();
    assert!(heard.starts_with(r#"[8,48,8513655549993351,{},"wamp.error.no_such_procedure""#), "{heard}");
    let program = Program::start(&["--listen", "127.0.0.1:0", "--strict-request-ids"]);
    let mut client = tcp(&program.address()).join(HELLO);
    client.say(CALL);
    let heard = client.hear();
    assert!(heard.starts_with("[3,") && heard.contains("expected 1"), "{heard}");
}

#[test]
fn its_log_has_no_terminal_escapes_where_there_is_no_terminal() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
    command.args(["--listen", "127.0.0.1:0", "--log", "info"]);
    let mut program = Program::spawn_with(command, Stdio::piped());
    let address = program.address();
    let mut client = tcp(&address).join(HELLO);
    client.say("[1000]");
    let _ = client.0.read_to_end(&mut Vec::new());
    // Texts of peers in the log cannot control a terminal.
    let mut client = tcp(&address);
    client.say(r#"[1,"\u001b[2J\u0007\u009bred",{"roles":{"caller":{}}}]"#);
    let _ = client.0.read_to_end(&mut Vec::new());
    // And for a browser that does not speak WebSocket.
    let mut http = TcpStream::connect(&address).unwrap();
    http.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let _ = http.read_to_end(&mut Vec::new());
    program.signal("TERM");
    let mut log = Vec::new();
    program.child.stderr.take().unwrap().read_to_end(&mut log).unwrap();
    let log = String::from_utf8(log).unwrap();
    // The reason of each refusal is logged, with the peer.
    for reason in ["wamp.error.protocol_violation", "wamp.error.no_such_realm", "wamp.2.json"] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(reason)).collect();
        assert!(
            lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains("peer=127.0.0.1:"),
            "{log}"
        );
    }
    let escapes: Vec<char> = log.chars().filter(|c| c.is_control() && *c != '\n').collect();
    assert!(escapes.is_empty(), "{escapes:?} in {log}");
    assert_eq!(program.end().code(), Some(0));
}

/// A folder with a certificate for localhost and its key, in PEM.
struct Certificate {
    folder: std::path::PathBuf,
}

impl Certificate {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wamp-router-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let certificate = Self { folder };
        certificate.renew();
        certificate
    }

    /// Writes another certificate and its key, and returns the certificate.
    fn renew(&self) -> String {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(self.path("chain.pem"), made.cert.pem()).unwrap();
        std::fs::write(self.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        made.cert.pem()
    }

    fn path(&self, file: &str) -> String {
        self.folder.join(file).display().to_string()
    }

    fn arguments(&self) -> [String; 6] {
        let listen = ["--listen", "127.0.0.1:0"].map(str::to_owned);
        let [certificate, key] = ["--tls-certificate", "--tls-key"].map(str::to_owned);
        let [address, any] = listen;
        [address, any, certificate, self.path("chain.pem"), key, self.path("key.pem")]
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Whether a client that trusts this certificate gets TLS.
fn has_tls(address: &str, trusted: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        wamp_tls::Client::new().authorities(trusted).connect("localhost", stream).await.is_ok()
    })
}

#[cfg(feature = "tls-dev")]
#[test]
fn it_makes_a_certificate_for_the_development_of_clients() {
    use std::os::unix::fs::PermissionsExt;

    let state = std::env::temp_dir().join(format!("wamp-router-{}-tls-dev", std::process::id()));
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
        command.env("XDG_STATE_HOME", &state).arg("--tls-dev").args(arguments);
        command
    };
    let start = || {
        let program = Program::spawn(command(&["--listen", "127.0.0.1:0"]));
        let line = program.line();
        let (address, _) = line.strip_prefix("Listening on wss://").unwrap().split_once(" rss://").unwrap();
        let trusts = program.line();
        let path =
            trusts.strip_prefix("Clients trust its certificate with --ca ").expect("a path").to_owned();
        (program, address.to_owned(), path)
    };
    let (program, address, path) = start();
    let trusted = std::fs::read_to_string(&path).unwrap();
    assert!(has_tls(&address, &trusted) && !trusted.contains("PRIVATE"));
    // Our client, under each name of the certificate.
    let port = address.rsplit(':').next().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let connect =
            wamp_client::connect(format!("wss://{host}:{port}/")).realm("realm1").ca(trusted.clone());
        let session = runtime.block_on(connect.into_future()).unwrap();
        runtime.block_on(session.leave());
        let connect = wamp_client::connect(format!("wss://{host}:{port}/")).realm("realm1");
        assert!(runtime.block_on(connect.into_future()).is_err(), "without trust in it");
    }
    for file in std::fs::read_dir(state.join("wamp").join("tls-dev")).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    // A reload and another start keep it.
    program.signal("HUP");
    let (other, address, _) = start();
    assert!(has_tls(&address, &trusted));
    for program in [program, other] {
        program.signal("TERM");
        assert_eq!(program.end().code(), Some(0));
    }
    // One that is too old is replaced.
    let server = state.join("wamp").join("tls-dev").join("server.pem");
    let old = std::time::SystemTime::now() - Duration::from_secs(24 * 24 * 60 * 60);
    std::fs::File::options().append(true).open(server).unwrap().set_modified(old).unwrap();
    let (_program, address, path) = start();
    assert!(!has_tls(&address, &trusted) && has_tls(&address, &std::fs::read_to_string(path).unwrap()));
    // Others could not check it.
    let admin = "--admin=0.0.0.0:0 --set=admin.tls=true --set=admin.token=correct-horse-battery";
    for arguments in ["--listen=0.0.0.0:0", "--listen=192.0.2.1:0", "--listen=systemd", admin] {
        let output = command(&arguments.split(' ').collect::<Vec<_>>()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && said.contains("its certificate is for this machine only"),
            "{said}"
        );
    }
    let _ = std::fs::remove_dir_all(&state);
}

#[test]
fn it_serves_tls_and_reads_the_certificate_again_on_sighup() {
    let certificate = Certificate::new("reload");
    let first = certificate.renew();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
    command.args(certificate.arguments()).args(["--log", "info", "--log-format", "json"]);
    let mut program = Program::spawn_with(command, Stdio::piped());
    let mut log = BufReader::new(program.child.stderr.take().unwrap()).lines();
    let line = program.line();
    let address =
        line.strip_prefix("Listening on wss://").unwrap().split_once(" rss://").unwrap().0.to_owned();
    let mut logged = |text: &str| {
        let line = log.find(|line| line.as_ref().unwrap().contains(text)).expect("a line").unwrap();
        assert!(line.starts_with("{\"") && line.ends_with('}'), "{line}");
        line
    };
    let started = logged("started");
    assert!(started.contains(&format!("wss://{address}")) && started.contains("\"realm1\""), "{started}");
    assert!(has_tls(&address, &first));
    let mut http = TcpStream::connect(&address).unwrap();
    http.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = String::new();
    http.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 ") && answer.contains("wss://"), "{answer}");
    let second = certificate.renew();
    program.signal("HUP");
    logged("reloaded the configuration");
    assert!(has_tls(&address, &second) && !has_tls(&address, &first));
    // A certificate that cannot be used has no effect.
    std::fs::write(certificate.path("key.pem"), "no key").unwrap();
    program.signal("HUP");
    logged("key.pem is not PEM, or has no private key");
    logged("the router goes on with the configuration that it has");
    assert!(has_tls(&address, &second));
    program.signal("USR1");
    assert!(logged("statistics").contains("\"sessions\":0"));
    program.signal("TERM");
    assert_eq!(program.end().code(), Some(0));
}

#[test]
fn an_address_may_be_the_url_of_a_client_and_comes_from_the_environment() {
    let program = Program::start(&["--listen", "ws://127.0.0.1:0/"]);
    tcp(&program.address()).join(HELLO);
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
    command.env("WAMP_ROUTER_LISTEN", "127.0.0.1:0,rs://127.0.0.1:0").env("WAMP_ROUTER_REALM", "a,b");
    let program = Program::spawn(command);
    let (first, second) = (program.address(), program.address());
    tcp(&first).join(&HELLO.replace("realm1", "a"));
    tcp(&second).join(&HELLO.replace("realm1", "b"));
}

#[test]
fn the_fault_of_an_argument_is_one_sentence() {
    let certificate = Certificate::new("wrong");
    let (chain, key) = (certificate.path("chain.pem"), certificate.path("key.pem"));
    std::fs::write(certificate.path("encrypted.pem"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n").unwrap();
    let encrypted = certificate.path("encrypted.pem");
    let tls =
        |chain: &str, key: &str| ["--tls-certificate", chain, "--tls-key", key].map(str::to_owned).to_vec();
    let one = |name: &str, value: &str| vec![name.to_owned(), value.to_owned()];
    let table = [
        (
            one("--listen", ":8080"),
            1,
            "Error: cannot listen on \":8080\": expected HOST:PORT or unix:///path",
        ),
        (one("--listen", "wss://127.0.0.1:0"), 1, "Error: cannot listen on \"wss://127.0.0.1:0\": "),
        (one("--realm", "a b"), 2, "error: invalid value 'a b' for '--realm <NAME>': "),
        (one("--realm", ""), 2, "error: "),
        (
            one("--realm", "wamp.x"),
            2,
            "error: invalid value 'wamp.x' for '--realm <NAME>': names that begin with wamp.",
        ),
        (tls("/no/such/file", &key), 2, "error: --tls-certificate: /no/such/file: No such file or directory"),
        (tls(&key, &key), 2, &format!("error: --tls-certificate: {key} is not PEM, or has no certificate")),
        (
            tls(&chain, &chain),
            2,
            &format!("error: --tls-certificate: {chain} is not PEM, or has no private key"),
        ),
        (
            tls(&chain, &encrypted),
            2,
            &format!("error: --tls-certificate {chain}: {encrypted} is encrypted; decrypt it first"),
        ),
        (one("--log", "=="), 2, "error: --log ==: \"==\" is not a filter of the log: "),
    ];
    for (arguments, code, beginning) in table {
        let output = refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with(beginning), "{arguments:?}: {stderr}");
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), &b""[..]), "{arguments:?}");
    }
    // The first address is not announced if the second cannot be bound.
    let output = refused(&["--listen", "127.0.0.1:0", "--listen", "nonsense"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
}

#[test]
fn it_explains_itself() {
    let output = refused(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "--listen",
        "--realm",
        "--allow-anonymous-on-public",
        "--strict-request-ids",
        "--shutdown",
        "--log",
        "--log-format",
        "--tls-certificate",
        "--tls-key",
        "--tls-client-ca",
        "--tls-optional",
        "WAMP_ROUTER_LISTEN",
        "127.0.0.1:8080",
        "realm1",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    assert_eq!(refused(&["--nonsense"]).status.code(), Some(2));
}

#[test]
fn it_has_connections_for_half_of_few_file_descriptors_and_says_so_to_one_too_many() {
    let program = Program::with_files(64);
    let address = program.address();
    let clients: Vec<_> = (0..32).map(|_| tcp(&address).join(HELLO)).collect();
    let mut one_too_many = TcpStream::connect(&address).unwrap();
    one_too_many.set_read_timeout(Some(PATIENCE)).unwrap();
    one_too_many.write_all(&[0x7f, 0xf1, 0, 0]).unwrap();
    let mut answer = Vec::new();
    one_too_many.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, [0x7f, 0x40, 0, 0]);
    drop(clients);
    drop(program);
}

#[cfg(target_os = "linux")]
#[test]
fn it_does_not_spin_when_it_is_out_of_file_descriptors() {
    let program = Program::with_files(20);
    let address = program.address();
    // Sessions take all places, and refused connections send nothing and stay for a while.
    let files = || std::fs::read_dir(format!("/proc/{}/fd", program.child.id())).unwrap().count();
    let (mut sessions, mut silent) = (Vec::new(), Vec::new());
    while files() < 20 {
        let mut one = Client(TcpStream::connect(&address).unwrap());
        one.0.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        one.0.write_all(&[0x7f, 0xf1, 0, 0]).unwrap();
        let mut answer = [0; 4];
        if one.0.read_exact(&mut answer).is_ok() && answer == [0x7f, 0xf1, 0, 0] {
            sessions.push(one.join(HELLO));
        } else {
            silent.push(TcpStream::connect(&address).unwrap());
        }
        assert!(silent.len() < 50, "all are taken");
    }
    let before = program.ticks();
    thread::sleep(Duration::from_secs(1));
    let spent = program.ticks() - before;
    assert!(spent <= 20, "{spent} ticks of 10 ms in a second");
    drop((sessions, silent));
    let start = Instant::now();
    loop {
        let mut client = TcpStream::connect(&address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(&[0x7f, 0xf1, 0, 0]).unwrap();
        let mut answer = [0; 4];
        if client.read_exact(&mut answer).is_ok() && answer == [0x7f, 0xf1, 0, 0] {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "there is no room again");
        thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(target_os = "linux")]
impl Program {
    /// The CPU time used so far, in ticks.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }
}

/// The program sets the limits of the C library's allocator in its environment, unless the user has set them.
#[cfg(all(target_os = "linux", target_env = "gnu", not(feature = "jemalloc")))]
#[test]
fn the_allocator_has_fixed_limits() {
    for theirs in [None, Some("4194304")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
        command.args(["--listen", "127.0.0.1:0"]).env_remove("MALLOC_MMAP_THRESHOLD_");
        if let Some(limit) = theirs {
            command.env("MALLOC_MMAP_THRESHOLD_", limit);
        }
        let program = Program::spawn(command);
        program.address();
        let environment = std::fs::read(format!("/proc/{}/environ", program.child.id())).unwrap();
        let limit = format!("MALLOC_MMAP_THRESHOLD_={}", theirs.unwrap_or("1048576"));
        assert!(environment.split(|byte| *byte == 0).any(|variable| variable == limit.as_bytes()));
        program.signal("TERM");
        assert!(program.end().success());
    }
}
