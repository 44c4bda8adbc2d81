//! The configuration of the listener is read again.

use std::net::TcpStream;

use crate::events::Watcher;
use crate::http::{get, get_with};
use crate::service::{Service, TOKEN, open_realm};

const RELOADED: &str = "reloaded the configuration";

#[test]
fn a_reload_changes_the_token_and_ends_watchers_and_moves_or_closes_the_listener() {
    let service = Service::start("reload", &open_realm(""));
    let log =
        |configuration: String| configuration.replace("[admin]", "log = { filter = \"info\" }\n[admin]");
    let at = service.admin.clone();
    let fixed = |admin: &str| {
        log(open_realm(admin)
            .replace("[admin]\nlisten = \"127.0.0.1:0\"", &format!("[admin]\nlisten = \"{at}\"")))
    };
    // From any port to the same one, by its number: the old listener must go first, so this is another port.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let moved = |admin: &str| fixed(admin).replace(&at, &other);
    service.reload(&moved(""), RELOADED);
    assert_eq!(service.admin_line(), other);
    assert!(TcpStream::connect(&at).is_err(), "the old address is closed");
    assert_eq!(get(&other, "/api/v1/calls").status, 200);

    let (_, mut watcher) = Watcher::open(&other, "", None);
    assert!(watcher.next().is_some());
    service.reload(&moved(&format!("token = \"{TOKEN}\"")), RELOADED);
    while watcher.next().is_some() {}
    assert_eq!(get(&other, "/api/v1/calls").status, 401);
    assert_eq!(get_with(&other, "/api/v1/calls", TOKEN).status, 200);

    // An address in use: nothing changes.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let wrong = fixed("").replace(&at, &address).replace("realm1", "realm2");
    let line = service.reload(&wrong, "admin listener on ");
    assert!(line.contains("goes on with the configuration that it has"), "{line}");
    assert_eq!(get_with(&other, "/api/v1/realms", TOKEN).json()["rows"][0]["realm"], "realm1");

    let without = "listen = \"127.0.0.1:0\"\nlog = { filter = \"info\" }\n[[realm]]\nname = \"realm1\"\n";
    service.reload(without, RELOADED);
    assert!(TcpStream::connect(&other).is_err());
}
