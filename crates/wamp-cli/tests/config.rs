//! Configuration files of the program `wamp-router`.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder of configuration files, removed at the end of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wamp-router-config-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn router(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wamp-router")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

/// The faults of a file: line, column and message of each.
fn faults(file: &str) -> Vec<(u64, u64, String)> {
    let folder = Folder::new("faults");
    let path = folder.write("router.toml", file);
    let output = router(&["check", "--json", &path]);
    let lines = text(&output.stdout);
    let read = |line: &str| {
        let fault: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(fault["file"], path);
        let number = |key: &str| fault[key].as_u64().unwrap();
        (number("line"), number("column"), fault["message"].as_str().unwrap().to_owned())
    };
    let faults: Vec<_> = lines.lines().map(read).collect();
    let code = if lines.contains(r#""level":"error""#) { 2 } else { 0 };
    assert_eq!(output.status.code(), Some(code), "{lines}");
    faults
}

/// A realm with a history, and its lines, from line 4.
fn history(lines: &str) -> String {
    format!("[[realm]]\nname = \"a\"\n[[realm.history]]\n{lines}")
}

/// A realm with the role `r`, and the lines that follow it, from line 5.
fn role(lines: &str) -> String {
    format!("[[realm]]\nname = \"a\"\n[[realm.role]]\nname = \"r\"\n{lines}")
}

/// An authenticator of that realm, and the lines that follow, from line 6.
fn authenticator(lines: &str) -> String {
    role(&format!("[[realm.authenticator]]\n{lines}"))
}

/// A principal of that realm, and the lines that follow its authid, from line 7.
fn principal(lines: &str) -> String {
    role(&format!("[[realm.principal]]\nauthid = \"joe\"\n{lines}"))
}

#[test]
fn each_fault_has_its_line_its_column_and_advice() {
    let table: &[(&str, u64, u64, &str)] = &[
        ("[limits\n", 1, 8, "unclosed table, expected `]`"),
        (
            &history("topic = \"a**b\""),
            4,
            9,
            "\"a**b\" is not a pattern: write \"com.example.**\" for a prefix",
        ),
        (
            &history("topic = \"wamp.session.**\""),
            4,
            9,
            "events of the router itself, whose topics begin with wamp",
        ),
        (&history("topic = \"wamp\""), 4, 9, "events of the router itself"),
        (&history("events = 3"), 3, 1, "`topic` is missing in [[realm.history]]"),
        (&history("topic = \"a\"\nevents = -1"), 5, 10, ""),
        (&history("topic = \"a\"\nlimit = 1"), 5, 1, "unknown key `limit` in [[realm.history]]"),
        (
            &history("topic = \"a.**\"\n[[realm.history]]\ntopic = \"a.**\""),
            6,
            9,
            "the history of \"a.**\" is there twice",
        ),
        ("[[realm]]\nname = \"a\"\nhistory = \"a\"", 3, 11, "`history`"),
        ("listen = []", 1, 10, "there is no address: write [\"127.0.0.1:8080\"]"),
        ("listen = 8080", 1, 10, "a list of strings is expected here, not an integer"),
        ("listen = [\"a:1\", 2]", 1, 18, "a string is expected here, not an integer"),
        ("listen = [\"a:1\", \"a:1\"]", 1, 18, "address \"a:1\" is there twice"),
        ("shutdown = \"now\"", 1, 12, "\"now\" is not one of \"goodbye\", \"restart\""),
        ("[admin]\ntoken = \"0123456789abcdef\"", 1, 1, "`listen` is missing in [admin]"),
        ("[admin]\nlisten = \"9090\"", 2, 10, "\"9090\" is not an address: write \"127.0.0.1:9090\""),
        ("[admin]\nlisten = \"127.0.0.1:9\"\ntoken = \"short\"", 3, 9, "the token is shorter than 16 bytes"),
        (
            "[admin]\nlisten = \"127.0.0.1:9\"\ntoken = \"0123456789 abcdef\"",
            3,
            9,
            "the token has characters that HTTP headers cannot have: use letters and digits",
        ),
        ("[admin]\nlisten = \"127.0.0.1:9\"\ntls = true", 3, 7, "`tls` needs a certificate: write [tls]"),
        (
            "[admin]\nlisten = \"127.0.0.1:9\"\nhosts = [\"a\", \"::1\", \"router.example:9\"]",
            3,
            22,
            "\"router.example:9\" is no host: write the name alone, such as \"router.example\"",
        ),
        (
            "[admin]\nlisten = \"127.0.0.1:9\"\nhost = []",
            3,
            1,
            "unknown key `host` in [admin]; did you mean `hosts`?",
        ),
        (
            "[admin]\nlisten = \"10.0.0.7:9\"\nallow_plain = true",
            2,
            10,
            "other machines can reach 10.0.0.7:9: set `token` in [admin]",
        ),
        (
            "[admin]\nlisten = \"10.0.0.7:9\"\ntoken = \"0123456789abcdef\"",
            2,
            10,
            "other machines can reach 10.0.0.7:9: set `tls` or `allow_plain` in [admin]",
        ),
        ("allow_anonymous_on_public = 1", 1, 29, "`true` or `false` is expected here, not an integer"),
        ("tsl = 1", 1, 1, "unknown key `tsl`; did you mean `tls`?"),
        ("\n[limits]\nmassage = 1", 3, 1, "unknown key `massage` in [limits]; did you mean `message`?"),
        ("[limits]\nxyz = 1", 2, 1, "unknown key `xyz` in [limits]"),
        ("limits = 1", 1, 10, "`limits` is a table, not an integer: write [limits]"),
        (
            "[limits]\nstall = \"5 parsecs\"",
            2,
            9,
            "\"5 parsecs\" is not a duration: write \"5s\", \"300ms\" or \"2m\"",
        ),
        (
            "[limits]\nstall = 5",
            2,
            9,
            "a duration, such as \"5s\", \"300ms\" or \"2m\", is expected here, not an integer",
        ),
        (
            "[limits]\nmessage = \"much\"",
            2,
            11,
            "\"much\" is not a number of bytes: write 65536, \"64 KiB\" or \"16 MiB\"",
        ),
        (
            "[limits]\nmessage = -1",
            2,
            11,
            "-1 is not a number of bytes: write 65536, \"64 KiB\" or \"16 MiB\"",
        ),
        (
            "[limits]\nmessage = 1.5",
            2,
            11,
            "a number of bytes, such as 65536, \"64 KiB\" or \"16 MiB\", is expected here, not a fraction",
        ),
        ("[limits]\ndepth = -3", 2, 9, "-3 is less than 0"),
        (
            "[limits]\nconnections = \"all\"",
            2,
            15,
            "an integer or \"unlimited\" is expected here, not a string",
        ),
        ("[limits]\nlow_water = \"2 MiB\"", 2, 13, "`low_water` is more than `high_water`"),
        ("[limits]\nhigh_water = \"1 GiB\"", 2, 14, "`high_water` is more than `max_link_queue`"),
        ("[limits]\nmessage = 100", 2, 11, "`message_before_welcome` is more than `message`"),
        ("[limits]\nmemory = 100", 2, 10, "`message` is more than `memory`"),
        ("[log]\nformat = \"xml\"", 2, 10, "\"xml\" is not one of \"text\", \"json\""),
        ("[log]\nfilter = \"==\"", 2, 10, "\"==\" is not a filter of the log: invalid filter directive"),
        ("[tls]\ncertificate = \"a\"", 1, 1, "`key` is missing in [tls]"),
        ("realm = \"a\"", 1, 9, "`realm` is a list of tables, not a string: write [[realm]]"),
        ("realm = [1]", 1, 10, "a table is expected here, not an integer"),
        ("[[realm]]", 1, 1, "`name` is missing in [[realm]]"),
        ("[[realm]]\nname = \"a b\"", 2, 8, "\"a b\" cannot be the name of a realm: "),
        (
            "[[realm]]\nname = \"wamp.a\"",
            2,
            8,
            "\"wamp.a\" cannot be the name of a realm: names that begin with wamp. are reserved",
        ),
        ("[[realm]]\nname = \"a\"\n[[realm]]\nname = \"a\"", 4, 8, "realm \"a\" is there twice"),
        (
            "[[realm]]\nname = \"a\"\nmeta = \"all\"",
            3,
            8,
            "\"all\" is not one of \"own\", \"read\", \"control\"",
        ),
        (
            "[[realm]]\nname = \"a\"\n[realm.limits]\ncals = 1",
            4,
            1,
            "unknown key `cals` in [realm.limits]; did you mean `calls`?",
        ),
        (
            "[[realm]]\nname = \"a\"\n[realm.credit]\nwindow = \"1 GiB\"",
            4,
            10,
            "`window` is more than `max_window`",
        ),
        ("[[realm]]\nname = \"a\"\ncredit = true", 3, 10, "`credit` is a table or `false`, not a boolean"),
        (
            "[[realm]]\nname = \"a\"\nanonymous = \"guest\"",
            3,
            13,
            "there is no role \"guest\" in this realm: add a [[realm.role]]",
        ),
        (
            "[[realm]]\nname = \"a\"\nanonymous = true",
            3,
            13,
            "the name of a role or `false` is expected here, not a boolean",
        ),
        ("[[realm]]\nname = \"a\"\n[[realm.role]]\ncall = []", 3, 1, "`name` is missing in [[realm.role]]"),
        (
            &role("call = [\"com.*.get\"]"),
            5,
            9,
            "\"com.*.get\" is not a pattern: write \"com.example.**\" for a prefix",
        ),
        (&role("call = [\"a b\"]"), 5, 9, "\"a b\" is not a pattern: "),
        (&role("cal = [\"a\"]"), 5, 1, "unknown key `cal` in [[realm.role]]; did you mean `call`?"),
        (&role("call = [\"a\"]\ndeny = [\"a\"]"), 6, 9, "\"a\" is allowed and denied"),
        (&role("disclose = \"no\""), 5, 12, "\"no\" is not one of \"on_request\", \"always\", \"never\""),
        (&role("[[realm.role]]\nname = \"r\""), 6, 8, "role \"r\" is there twice"),
        (
            &role("[[realm.principal]]\nrole = \"r\"\nticket = \"t\""),
            5,
            1,
            "`authid` is missing in [[realm.principal]]",
        ),
        (
            &principal("role = \"x\"\nticket = { env = \"PATH\" }"),
            7,
            8,
            "there is no role \"x\" in this realm",
        ),
        (&principal("role = []"), 7, 8, "a principal has at least one role"),
        (&role("authorizer = \"com.x\""), 5, 14, "`authorizer` is a table, not a string: write [authorizer]"),
        (&role("authorizer = {}"), 5, 14, "`procedure` is missing in the table of `authorizer`"),
        (
            &role("authorizer = { procedure = \"com.x\", realm = \"b\" }"),
            5,
            45,
            "there is no realm \"b\": add a [[realm]]",
        ),
        (&authenticator("methods = \"ticket\""), 5, 1, "`procedure` is missing in [[realm.authenticator]]"),
        (&authenticator("procedure = \"com.x\""), 5, 1, "`methods` is missing in [[realm.authenticator]]"),
        (
            &authenticator("procedure = \"com..x\"\nmethods = \"ticket\""),
            6,
            13,
            "\"com..x\" is not the URI of a procedure: ",
        ),
        (
            &authenticator("procedure = \"com.x\"\nmethods = [\"tls\"]"),
            7,
            12,
            "\"tls\" is not one of \"ticket\", \"wampcra\", \"cryptosign\", \"wamp-scram\", \"scram\"",
        ),
        (
            &authenticator("procedure = \"com.x\"\nmethods = [\"ticket\", \"ticket\"]"),
            7,
            22,
            "method \"ticket\" has two authenticators",
        ),
        (
            &authenticator("procedure = \"com.x\"\nmethods = \"ticket\"\nrealm = \"b\""),
            8,
            9,
            "there is no realm \"b\": add a [[realm]]",
        ),
        (&principal("role = \"r\""), 5, 1, "principal \"joe\" cannot join: give it `ticket`, "),
        (
            &principal("role = \"r\"\nticket = 1"),
            8,
            10,
            "a secret is expected here: \"text\", { file = \"path\" } or { env = \"NAME\" }",
        ),
        (
            &principal("role = \"r\"\nticket = { env = \"WAMP_NO_SUCH\" }"),
            8,
            18,
            "the environment has no text in `WAMP_NO_SUCH`",
        ),
        (
            &principal("role = \"r\"\nticket = { file = \"/no/such/file\" }"),
            8,
            19,
            "/no/such/file: No such file",
        ),
        (
            &principal("role = \"r\"\nticket = { fil = \"a\" }"),
            8,
            12,
            "unknown key `fil` in the table of a secret; did you mean `file`?",
        ),
        (
            &principal("role = \"r\"\ncryptosign = [\"12\"]"),
            8,
            15,
            "a key must have 64 hexadecimal digits (32 bytes) and be a key of Ed25519",
        ),
        (
            &principal("role = \"r\"\nscram = \"a\""),
            8,
            9,
            "a table is expected here, as `wamp-router passwd` prints it",
        ),
    ];
    for (file, line, column, message) in table {
        let faults = faults(file);
        let [fault] = &faults[..] else { panic!("{file:?}: {faults:?}") };
        assert_eq!((fault.0, fault.1), (*line, *column), "{file:?}: {fault:?}");
        assert!(fault.2.starts_with(message), "{file:?}: {fault:?}");
    }
}

#[test]
fn all_faults_are_shown_together_in_the_order_of_the_file() {
    let folder = Folder::new("together");
    let path = folder.write(
        "router.toml",
        "[limits]\nstall = 1\nmassage = 2\n\n[[realm]]\nname = \"a\"\n[[realm]]\nname = \"a\"\n",
    );
    let output = router(&["check", &path]);
    let expected = format!(
        "error: a duration, such as \"5s\", \"300ms\" or \"2m\", is expected here, not an integer
 --> {path}:2:9
  |
2 | stall = 1
  |         ^

error: unknown key `massage` in [limits]; did you mean `message`?
 --> {path}:3:1
  |
3 | massage = 2
  | ^^^^^^^

error: realm \"a\" is there twice
 --> {path}:8:8
  |
6 | name = \"a\"
  |        --- first here
7 | [[realm]]
8 | name = \"a\"
  |        ^^^
"
    );
    assert_eq!(text(&output.stderr), expected);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]));
    // The router does not start with it, and prints the same.
    let started = router(&["--config", &path]);
    assert_eq!((started.status.code(), text(&started.stderr)), (Some(2), expected));
}

#[test]
fn options_are_stronger_than_the_file_and_their_faults_name_them() {
    let folder = Folder::new("options");
    let path = folder.write("router.toml", "listen = \"127.0.0.1:1\"\n[limits]\nstall = \"7s\"\n");
    let output =
        router(&["check", "--print", &path, "--set", "limits.stall=2s", "--set", "limits.pong=\"1m\""]);
    let printed = text(&output.stdout);
    for line in ["listen = [\"127.0.0.1:1\"]", "stall = \"2s\"", "pong = \"1m\"", "name = \"realm1\""] {
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }
    for (options, error) in [
        (&["--set", "limits.stall=2x"][..], "error: --set limits.stall=2x: \"2x\" is not a duration: "),
        (&["--set", "limits"], "error: --set limits: write --set KEY=VALUE, "),
        (&["--set", "listen.a=1"], "error: --set listen.a=1: `listen` is a string and has no `a`"),
        (
            &["--set", "limit.stall=1"],
            "error: --set limit.stall=1: unknown key `limit`; did you mean `limits`?",
        ),
        (&["--log", "=="], "error: --log ==: \"==\" is not a filter of the log: "),
        (&["--tls-optional"], "error: --tls-optional: `certificate` is missing in [tls]"),
    ] {
        let output = router(&[&["--config", &path], options].concat());
        let stderr = text(&output.stderr);
        assert!(stderr.starts_with(error) && output.status.code() == Some(2), "{options:?}: {stderr}");
    }
    let missing = folder.0.join("none.toml").display().to_string();
    let stderr = text(&router(&["--config", &missing]).stderr);
    assert!(stderr.starts_with(&format!("error: {missing}: No such file")), "{stderr}");
}

#[test]
fn the_printed_configuration_says_the_same_as_its_file() {
    let folder = Folder::new("printed");
    let file = "listen = [\"127.0.0.1:0\", \"unix:///run/a.sock\"]\nshutdown = \"goodbye\"\n[limits]\nmemory = 100000000\n\
                connections = \"unlimited\"\n[[realm]]\nname = \"a\"\ncredit = false\nmeta = \"control\"\n[[realm]]\n\
                name = \"b\"\ncall_queue = 7\n[realm.credit]\nwindow = 1000\n[realm.retention]\ntopics = 0\n\
                [[realm.history]]\ntopic = \"com.shop.**\"\nevents = 20\n[[realm.history]]\ntopic = \"com..sold\"\n";
    let printed = text(&router(&["check", "--print", &folder.write("first.toml", file)]).stdout);
    for line in [
        "memory = 100000000",
        "connections = \"unlimited\"",
        "credit = false",
        "meta = \"control\"",
        "window = 1000",
        "topics = 0",
        "call_queue = 7",
        "topic = \"com.shop.**\"",
        "events = 20",
        "topic = \"com..sold\"",
        "bytes = \"16 MiB\"",
        "shutdown = \"goodbye\"",
        "message = \"16 MiB\"",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }
    let again = text(&router(&["check", "--print", &folder.write("second.toml", &printed)]).stdout);
    assert_eq!(again, printed);
}

#[test]
fn init_writes_a_file_with_every_setting_and_never_overwrites() {
    let folder = Folder::new("init");
    let path = folder.0.join("router.toml").display().to_string();
    let output = router(&["init", &path]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(router(&["check", &path]).status.code(), Some(0));
    let again = router(&["init", &path]);
    assert!(text(&again.stderr).contains("File exists") && again.status.code() == Some(1), "{again:?}");
    // Each comment of a setting is a setting with its default.
    let written = std::fs::read_to_string(&path).unwrap();
    let of_tls = ["#[tls]", "#certificate", "#key", "#client_ca", "#optional"];
    let is_setting = |line: &&str| !of_tls.iter().any(|key| line.starts_with(key));
    let (written, _examples) = written.split_once("# A topic or a pattern whose events are kept").unwrap();
    let all: Vec<&str> = written
        .lines()
        .filter(is_setting)
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting,
            _ => line,
        })
        .collect();
    let printed = |path: &str| text(&router(&["check", "--print", path]).stdout);
    // The admin listener is off without its table.
    let begin = all.iter().position(|line| *line == "[admin]").unwrap();
    let end = all.iter().position(|line| *line == "[limits]").unwrap();
    let settings = [&all[..begin], &all[end..]].concat();
    assert_eq!(printed(&folder.write("all.toml", &settings.join("\n"))), printed(&path));
    folder.write("admin.token", "0123456789abcdef");
    let with_admin = printed(&folder.write("admin.toml", &all.join("\n")));
    assert!(with_admin.contains("\n[admin]\nlisten = \"127.0.0.1:9090\"\n"), "{with_admin}");
}

#[test]
fn files_are_relative_to_the_configuration_and_a_public_key_file_is_a_warning() {
    let folder = Folder::new("relative");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    folder.write("chain.pem", &made.cert.pem());
    let key = folder.write("key.pem", &made.signing_key.serialize_pem());
    let path = folder.write("router.toml", "[tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n");
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = router(&["check", &path]);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let warning =
            format!("warning: every user of this machine can read {key}; chmod 600\n --> {path}:3:7\n");
        assert_eq!(stderr.starts_with(&warning), warned, "{stderr}");
    }
    folder.write("key.pem", "no key");
    let stderr = text(&router(&["check", &path]).stderr);
    assert!(stderr.starts_with(&format!("error: {key} is not PEM, or has no private key")), "{stderr}");
}
