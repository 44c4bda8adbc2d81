//! `wamp-router convert`: configurations of Crossbar.io nodes.

use std::process::{Command, Output};

fn convert(name: &str, node: &str) -> Output {
    let path = std::env::temp_dir().join(format!("wamp-router-convert-{}-{name}.json", std::process::id()));
    std::fs::write(&path, node).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
    let output = command.arg("convert").arg(&path).output().unwrap();
    let _ = std::fs::remove_file(&path);
    output
}

const NODE: &str = r#"{
  "version": 2,
  "controller": {},
  "workers": [
    {"type": "router",
     "realms": [{"name": "shop", "store": {}, "roles": [
       {"name": "anonymous", "permissions": [
         {"uri": "com.shop.public.", "match": "prefix", "allow": {"call": true, "subscribe": true}}]},
       {"name": "backend", "permissions": [
         {"uri": "com.shop.*", "call": true, "register": true},
         {"uri": "com..get", "match": "wildcard", "allow": {"publish": true}, "disclose": {"publisher": true}},
         {"uri": "com.shop.private", "allow": {"call": false}}]},
       {"name": "dynamic", "authorizer": "com.auth.check"}]}],
     "transports": [
       {"type": "web", "endpoint": {"type": "tcp", "port": 8080},
        "paths": {"/": {"type": "static", "directory": ".."},
                  "ws": {"type": "websocket", "auth": {
                    "anonymous": {"type": "static", "role": "anonymous"},
                    "ticket": {"type": "static", "principals": {"joe": {"ticket": "$JOES_TICKET", "role": "backend"}}},
                    "wampcra": {"type": "static", "users": {
                      "joe": {"secret": "s3cret", "role": "backend"},
                      "salted": {"secret": "a2V5", "salt": "salt123", "iterations": 100, "keylen": 16, "role": "backend"}}},
                    "cryptosign": {"type": "static", "principals": {"device": {"realm": "other", "role": "backend",
                      "authorized_keys": ["545efb0a2192db8d43f118e9bf9aee081466e1ef36c708b96ee6f62dddad9122"]}}},
                    "scram": {"type": "static", "principals": {"s": {"kdf": "argon2id-13", "iterations": 3, "memory": 1024,
                      "salt": "00ff", "stored-key": "STORED", "server-key": "STORED", "role": "backend"}}}}}}},
       {"type": "rawsocket", "endpoint": {"type": "unix", "path": "/run/wamp.sock"},
        "auth": {"ticket": {"type": "dynamic", "authenticator": "com.auth", "authenticator-realm": "shop"}}}]},
    {"type": "container", "components": []}
  ]
}"#;

const EXPECTED: &str = r#"#
# Not taken over:
# * workers[0].realms[0].roles[1].permissions[1].disclose: disclosure for calls or for events alone
# * workers[0].realms[0].roles[1].permissions: in Crossbar.io a wildcard decides before each prefix, here the pattern with more components does; check it
# * workers[0].realms[0].roles[1].permissions: in Crossbar.io a denied URI also denies those that begin with it; check `deny`
# * workers[0].realms[0].store: a part of the realm
# * workers[0].transports[0].paths./: a web service of type "static"
# * workers[1]: a worker of type "container"
# * controller: a part of the node
# * transports: they differ in whether clients may join without a proof; here none may, at any address

listen = ["0.0.0.0:8080", "unix:///run/wamp.sock"]

[[realm]]
name = "shop"
anonymous = false

[[realm.role]]
name = "anonymous"
meta = "own"
call = ["com.shop.public.**"]
subscribe = ["com.shop.public.**"]

[[realm.role]]
name = "backend"
meta = "own"
call = ["com.shop.**"]
deny = ["com.shop.private"]
publish = ["com..get"]
register = ["com.shop.**"]

[[realm.role]]
name = "dynamic"
meta = "own"
authorizer = { procedure = "com.auth.check" }

[[realm.principal]]
authid = "joe"
role = "backend"
ticket = { env = "JOES_TICKET" }
wampcra = "s3cret"

[[realm.principal]]
authid = "s"
role = "backend"
scram = { kdf = "argon2id13", iterations = 3, memory = 1024, salt = "AP8=", stored_key = "KEY", server_key = "KEY" }

[[realm.principal]]
authid = "salted"
role = "backend"
wampcra = { key = "a2V5", salt = "salt123", iterations = 100, keylen = 16 }

[[realm.authenticator]]
methods = ["ticket"]
procedure = "com.auth"
realm = "shop"
"#;

#[test]
fn a_node_becomes_a_configuration_and_its_other_parts_are_named() {
    let (hex, key) = ("07".repeat(32), "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    let output = convert("node", &NODE.replace("STORED", &hex));
    let converted = String::from_utf8(output.stdout).unwrap();
    let (first, rest) = converted.split_once('\n').unwrap();
    assert!(first.starts_with("# Converted from "), "{first}");
    assert_eq!(rest, EXPECTED.replace("KEY", key));
    // The router takes it.
    let path = std::env::temp_dir().join(format!("wamp-router-convert-{}.toml", std::process::id()));
    std::fs::write(&path, &converted).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wamp-router"));
    let checked = command.arg("check").arg(&path).env("JOES_TICKET", "t").output().unwrap();
    let _ = std::fs::remove_file(&path);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn a_file_that_is_no_node_is_one_sentence() {
    for (node, error) in [
        (
            "version: 2\n",
            ":1:1: expected value at line 1 column 1; a node configuration in YAML has to be made JSON first",
        ),
        ("{}", ": this is not a node of Crossbar.io, since it has no list `workers`"),
    ] {
        let output = convert("wrong", node);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("Error: ") && stderr.trim_end().ends_with(error), "{stderr}");
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    }
}
