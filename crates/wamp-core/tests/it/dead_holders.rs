//! A holder that gives no sign of life makes room for another session of its principal.

use std::time::Duration;

use wamp_core::auth::{Identity, Method};
use wamp_core::router::{Actions, Config, Event, Pattern, Role};
use wamp_proto::Serializer;

use crate::net::{Client, Net, all_roles};

const SECOND: Duration = Duration::from_secs(1);
const REGISTER: &str = r#"[64,1,{},"com.myapp.longop"]"#;

fn joe() -> Identity {
    Identity::new("joe", "user", Method::Ticket.name())
}

fn join(net: &mut Net, identity: Identity) -> Client {
    net.raw_as(Serializer::Json, all_roles(), identity)
}

/// The sessions that were asked for a sign of life since the last time.
fn probed(net: &mut Net) -> Vec<(Client, Duration)> {
    let events = std::mem::take(&mut net.closed);
    let probed = events.into_iter().filter_map(|event| match event {
        Event::Probe { session, within } => Some((net.client(session), within)),
        _ => None,
    });
    probed.collect()
}

fn is_refused(net: &mut Net, client: Client) -> bool {
    let heard = net.heard(client);
    assert_eq!(heard.len(), 1, "{heard:?}");
    heard[0].contains("wamp.error.procedure_already_exists")
}

// behaviour 299
#[test]
fn the_holder_is_asked_once_in_two_seconds_and_makes_room_when_it_is_gone() {
    let mut net = Net::new();
    let (holder, newcomer, other) = (join(&mut net, joe()), join(&mut net, joe()), join(&mut net, joe()));
    net.say(holder, REGISTER);
    net.say(holder, r#"[64,2,{"match":"prefix"},"com.myapp"]"#);
    net.heard(holder);
    net.say(newcomer, REGISTER);
    assert!(is_refused(&mut net, newcomer));
    assert_eq!(probed(&mut net), [(holder, 2 * SECOND)]);
    // For another procedure, by another session, and again: it is asked already.
    net.say(newcomer, r#"[64,2,{"match":"prefix"},"com.myapp"]"#);
    net.say(other, REGISTER);
    net.sleep(2 * SECOND - Duration::from_millis(1));
    net.say(newcomer, r#"[64,3,{},"com.myapp.longop"]"#);
    assert_eq!(probed(&mut net), []);
    net.sleep(Duration::from_millis(1));
    assert_eq!(net.realm.sizes().deadlines, 0);
    assert!(net.realm.has(net.key(holder)), "the driver decides whether it is gone");
    net.say(newcomer, r#"[64,4,{},"com.myapp.longop"]"#);
    assert_eq!(probed(&mut net), [(holder, 2 * SECOND)]);
    net.heard(newcomer);
    net.cut(holder);
    assert_eq!(net.realm.sizes().deadlines, 0);
    net.say(newcomer, r#"[64,5,{},"com.myapp.longop"]"#);
    assert_eq!(net.heard(newcomer), ["[65,5,3]"]);
    assert_eq!(probed(&mut net), []);
}

// behaviour 299
#[test]
fn no_session_is_asked_for_the_sake_of_another_principal() {
    let anonymous = |authid| Identity::new(authid, "anonymous", Method::Anonymous.name());
    let table = [
        (joe(), Identity::new("jane", "user", Method::Ticket.name())),
        (anonymous("joe"), anonymous("joe")),
        (joe(), anonymous("joe")),
        (anonymous("joe"), joe()),
    ];
    for (one, another) in table {
        let mut net = Net::new();
        let (holder, newcomer) = (join(&mut net, one), join(&mut net, another));
        net.say(holder, REGISTER);
        net.say(newcomer, REGISTER);
        assert!(is_refused(&mut net, newcomer));
        assert_eq!(probed(&mut net), []);
    }
    // Another method, and another role, are of the same principal.
    let mut net = Net::new();
    let holder = join(&mut net, joe());
    let newcomer = join(&mut net, Identity::new("joe", "admin", Method::Cryptosign.name()));
    net.say(holder, REGISTER);
    net.say(newcomer, REGISTER);
    assert_eq!(probed(&mut net), [(holder, 2 * SECOND)]);
}

// behaviour 299
#[test]
fn only_a_session_that_may_register_the_procedure_has_its_holder_asked() {
    // Its own procedure, a shared one, a realm that does not ask, and a role without the right.
    let mut net = Net::new();
    let holder = join(&mut net, joe());
    net.say(holder, REGISTER);
    net.say(holder, r#"[64,2,{},"com.myapp.longop"]"#);
    net.say(holder, r#"[64,3,{"invoke":"roundrobin"},"com.myapp.shared"]"#);
    let newcomer = join(&mut net, joe());
    net.say(newcomer, r#"[64,1,{},"com.myapp.shared"]"#);
    assert!(is_refused(&mut net, newcomer));
    assert_eq!(probed(&mut net), []);

    for (takeover_after, role) in [(Duration::ZERO, "user"), (2 * SECOND, "guest")] {
        let mut config = Config::new("realm1");
        config.takeover_after = takeover_after;
        for (role, pattern) in [("user", "com.myapp."), ("guest", "com.other.")] {
            config.roles.insert(Role::new(role).allow(Actions::REGISTER, Pattern::prefix(pattern)));
        }
        let mut net = Net::with(config);
        let holder = join(&mut net, joe());
        let newcomer = join(&mut net, Identity::new("joe", role, Method::Ticket.name()));
        net.say(holder, REGISTER);
        net.say(newcomer, REGISTER);
        assert_eq!(net.heard(newcomer).len(), 1);
        assert_eq!(probed(&mut net), []);
    }
}
