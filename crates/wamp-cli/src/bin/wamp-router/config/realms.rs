//! `[[realm]]`.

use std::fmt::Write;

use wamp_proto::Uri;
use wamp_proto::uri::{UriKind, UriRules};
use wamp_router::{Credit, RealmConfig};

use super::document::{Item, Table, Value};
use super::faults::{Faults, Place};
use super::fields::{At, Fields, Setting, unique};
use super::principals::{self, Named};
use super::{authenticators, histories, limits, roles, settings};

/// Roles and principals in the file of `init`.
const EXAMPLE: &str = r#"
# A topic or a pattern whose events are kept, for `wamp.subscription.get_events`.
#[[realm.history]]
#topic = "com.example.order.**"
#events = 1000
#bytes = "16 MiB"

# Without these settings the realm is open to every client, and every session may do everything.
# Role of anonymous sessions; false: there are none.
#anonymous = "guest"

# Patterns are URIs, prefixes ("com.example.**") and wildcards ("com..get"). The most specific one decides.
#[[realm.role]]
#name = "guest"
#call = ["com.example.public.**"]
#subscribe = ["com.example.public.**"]

#[[realm.role]]
#name = "backend"
#call = ["**"]
#register = ["com.example.**"]
#publish = ["com.example.**"]
#subscribe = ["**"]
#deny = ["com.example.private.**"]
# Part of the meta API: "own", "read" or "control".
#meta = "read"
# A procedure that decides where no pattern applies, as a dynamic authorizer of Crossbar.io does; it may be in another realm.
#authorizer = { procedure = "com.auth.may", realm = "auth" }
# Whether its sessions are disclosed to callees and subscribers, instead of the setting of the realm.
#disclose = "always"
# Trust level of its calls and publications, for callees and subscribers.
#trustlevel = 2
# Whether it may take over the registrations of every client with `force_reregister`, not only its own.
#force_reregister = true

#[[realm.principal]]
#authid = "alice"
#role = "backend"
# A secret is written here, or read from a file or from the environment.
#ticket = { env = "ALICE_TICKET" }
#wampcra = { file = "alice.secret" }
#cryptosign = ["545efb0a2192db8d43f118e9bf9aee081466e1ef36c708b96ee6f62dddad9122"]
# Keys for SCRAM come from `wamp-router passwd`.

# A procedure that knows further principals, as a dynamic authenticator of Crossbar.io.
#[[realm.authenticator]]
#methods = ["ticket", "wampcra", "cryptosign", "wamp-scram", "scram"]
#procedure = "com.auth.check"
# The realm in which it is registered, if it is another one.
#realm = "auth"
"#;

/// Reads all realms. There are further ones, which have other names or are replaced.
pub(crate) fn read(tables: Vec<Table>, further: &[RealmConfig], faults: &mut Faults) -> Vec<RealmConfig> {
    let mut named = Vec::new();
    let read = tables.into_iter().filter_map(|table| read_one(table, &mut named, faults)).collect();
    let kept = unique(read, "realm", |realm: &RealmConfig| realm.name.as_str(), faults);
    let kept: Vec<RealmConfig> = kept.into_iter().map(|at| at.value).collect();
    for At { value, place } in named {
        if !kept.iter().chain(further).any(|realm| realm.name.as_str() == value) {
            faults.error(&place, format!("there is no realm {value:?}: add a [[realm]]"));
        }
    }
    kept
}

/// Reads a realm. Its place is that of its name. The realms of its procedures are added to `named`.
fn read_one(table: Table, named: &mut Vec<At<String>>, faults: &mut Faults) -> Option<At<RealmConfig>> {
    let mut fields = Fields::new(table, "[[realm]]", faults);
    let name = fields.require::<String>("name");
    let uri = name.as_ref().and_then(|name| {
        let reason = match check_name(&name.value) {
            Ok(uri) => return Some(uri),
            Err(reason) => reason,
        };
        fields.faults.error(&name.place, format!("{:?} cannot be the name of a realm: {reason}", name.value));
        None
    });
    // A realm with a bad name is read too, so that all its faults are shown.
    let mut realm = RealmConfig::new(uri.clone().unwrap_or_default());
    settings::read(&mut fields, limits::of_realm(&mut realm));
    if let Some(table) = fields.read_table("limits") {
        let rows = limits::of_sessions(&mut realm.limits);
        settings::read_table(table, "[realm.limits]", rows, fields.faults);
    }
    if let Some(table) = fields.read_table("retention") {
        let rows = limits::of_retention(&mut realm.retention);
        settings::read_table(table, "[realm.retention]", rows, fields.faults);
    }
    if let Some(table) = fields.read_table("testaments") {
        let rows = limits::of_testaments(&mut realm.testaments);
        settings::read_table(table, "[realm.testaments]", rows, fields.faults);
    }
    let tables = fields.read_tables("history", "[[realm.history]]");
    realm = histories::read(tables, realm, fields.faults);
    realm = read_authentication(realm, named, &mut fields);
    match fields.read_table_or_false("credit") {
        Some(Some(table)) => realm.credit = Some(read_credit(table, fields.faults)),
        Some(None) => realm.credit = None,
        None => {}
    }
    fields.finish();
    uri.and(name).map(|name| At { value: realm, place: name.place })
}

/// Reads `anonymous`, the roles and the principals. Each role that they name has to be there.
fn read_authentication(
    mut realm: RealmConfig,
    named: &mut Vec<At<String>>,
    fields: &mut Fields<'_>,
) -> RealmConfig {
    let anonymous = fields.read_at::<Anonymous>("anonymous");
    let roles = fields.read_tables("role", "[[realm.role]]");
    let roles = roles::read(roles, &realm, named, fields.faults);
    let principals = fields.read_tables("principal", "[[realm.principal]]");
    let principals = principals::read(principals, fields.faults);
    let tables = fields.read_tables("authenticator", "[[realm.authenticator]]");
    realm = authenticators::read(tables, realm, named, fields.faults);
    let known: Vec<String> = roles.iter().map(|read| read.value.role.name().to_string()).collect();
    let mut check = |name: &str, place: &Place| {
        if !known.iter().any(|role| role == name) {
            fields
                .faults
                .error(place, format!("there is no role {name:?} in this realm: add a [[realm.role]]"));
        }
    };
    match anonymous {
        Some(At { value: Anonymous(Some(role)), place }) => {
            check(&role, &place);
            realm = realm.anonymous(role);
        }
        Some(At { value: Anonymous(None), .. }) => realm = realm.closed(),
        None if !roles.is_empty() => realm = realm.closed(),
        None => {}
    }
    for Named { principal, roles } in principals {
        roles.iter().for_each(|role| check(&role.value, &role.place));
        realm = realm.principal(principal);
    }
    for At { value: roles::Read { role, authorizer }, .. } in roles {
        if let Some(procedure) = authorizer {
            realm = realm.authorizer_procedure(role.name().clone(), procedure);
        }
        realm = realm.role(role);
    }
    realm
}

/// The role of anonymous sessions, or `false`.
struct Anonymous(Option<String>);

impl Setting for Anonymous {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        match item.value {
            Value::Text(role) => Some(Self(Some(role))),
            Value::Boolean(false) => Some(Self(None)),
            other => {
                let message = format!("the name of a role or `false` is expected here, not {}", other.kind());
                faults.error(&item.place, message);
                None
            }
        }
    }
}

fn read_credit(table: Table, faults: &mut Faults) -> Credit {
    let mut credit = Credit::default();
    let places = settings::read_table(table, "[realm.credit]", limits::of_credit(&mut credit), faults);
    if credit.window > credit.max_window
        && let Some(place) = places.first(&["window", "max_window"])
    {
        faults.error(place, "`window` is more than `max_window`");
    }
    credit
}

/// Checks the name of a realm.
pub(crate) fn check_name(name: &str) -> Result<Uri, String> {
    let uri = Uri::from(name);
    uri.check(UriRules::Loose, UriKind::Exact).map_err(|error| error.to_string())?;
    match uri.is_reserved() {
        true => Err("names that begin with wamp. are reserved".to_owned()),
        false => Ok(uri),
    }
}

/// Writes a realm as TOML, with all its settings; as comments that explain them, if they are `explained`.
pub(crate) fn write(out: &mut String, realm: &RealmConfig, explained: bool) {
    let mut realm = realm.clone();
    let mark = if explained { "#" } else { "" };
    let _ = writeln!(out, "\n[[realm]]\nname = {:?}", realm.name.as_str());
    settings::write(out, limits::of_realm(&mut realm), explained);
    let principals = realm.principals();
    match principals.anonymous() {
        _ if principals.are_open() => {}
        Some(role) => {
            let _ = writeln!(out, "anonymous = {:?}", role.to_string());
        }
        None => out.push_str("anonymous = false\n"),
    }
    if realm.credit.is_none() {
        out.push_str("credit = false\n");
    }
    let _ = writeln!(out, "\n{mark}[realm.limits]");
    settings::write(out, limits::of_sessions(&mut realm.limits), explained);
    let _ = writeln!(out, "\n{mark}[realm.retention]");
    settings::write(out, limits::of_retention(&mut realm.retention), explained);
    let _ = writeln!(out, "\n{mark}[realm.testaments]");
    settings::write(out, limits::of_testaments(&mut realm.testaments), explained);
    if let Some(credit) = &mut realm.credit {
        let _ = writeln!(out, "\n{mark}[realm.credit]");
        settings::write(out, limits::of_credit(credit), explained);
    }
    histories::write(out, &realm);
    for role in realm.roles.iter() {
        let mut procedures = realm.authorizer_procedures();
        let authorizer = procedures.find(|(name, _)| *name == role.name()).map(|(_, procedure)| procedure);
        roles::write(out, role, authorizer);
    }
    realm.principals().iter().for_each(|principal| principals::write(out, principal));
    authenticators::write(out, &realm);
    if explained {
        out.push_str(EXAMPLE);
    }
}
