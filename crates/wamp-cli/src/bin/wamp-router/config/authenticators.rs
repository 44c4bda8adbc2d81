//! `[[realm.authenticator]]`: WAMP procedures that know principals.

use std::collections::BTreeMap;
use std::fmt::Write;

use wamp_proto::Uri;
use wamp_proto::uri::{UriKind, UriRules};
use wamp_router::auth::Method;
use wamp_router::{Procedure, RealmConfig};

use super::document::Table;
use super::faults::Faults;
use super::fields::{At, Fields};

/// The methods for which a procedure can know principals.
const METHODS: [Method; 5] =
    [Method::Ticket, Method::WampCra, Method::Cryptosign, Method::WampScram, Method::Scram];

/// Reads the authenticators of a realm. Realms that they name are added to `realms`.
pub(crate) fn read(
    tables: Vec<Table>,
    mut realm: RealmConfig,
    realms: &mut Vec<At<String>>,
    faults: &mut Faults,
) -> RealmConfig {
    let mut known = BTreeMap::new();
    for table in tables {
        let mut fields = Fields::new(table, "[[realm.authenticator]]", faults);
        let read = fields.require::<Vec<At<String>>>("methods");
        let procedure = read_procedure(&mut fields, realms);
        let mut methods = Vec::new();
        for At { value, place } in read.map(|read| read.value).unwrap_or_default() {
            let Some(method) = METHODS.into_iter().find(|method| *method.name() == *value) else {
                let names = METHODS.map(|method| format!("\"{method}\"")).join(", ");
                fields.faults.error(&place, format!("{value:?} is not one of {names}"));
                continue;
            };
            if let Some(first) = known.get(&method) {
                let message = format!("method {value:?} has two authenticators");
                fields.faults.conflict(&place, message, first, "first here");
                continue;
            }
            known.insert(method, place);
            methods.push(method);
        }
        fields.finish();
        if let Some(procedure) = procedure {
            realm = realm.authenticator_procedure(methods, procedure);
        }
    }
    realm
}

/// Reads `procedure` and `realm`.
pub(crate) fn read_procedure(fields: &mut Fields<'_>, realms: &mut Vec<At<String>>) -> Option<Procedure> {
    let procedure = fields.require::<String>("procedure");
    let realm = fields.read_at::<String>("realm");
    let At { value, place } = procedure?;
    let uri = Uri::from(value.as_str());
    if let Err(error) = uri.check(UriRules::Loose, UriKind::Exact) {
        fields.faults.error(&place, format!("{value:?} is not the URI of a procedure: {error}"));
        return None;
    }
    let mut procedure = Procedure::new(uri);
    if let Some(realm) = realm {
        procedure = procedure.realm(realm.value.as_str());
        realms.push(realm);
    }
    Some(procedure)
}

/// Writes the authenticators of a realm as TOML.
pub(crate) fn write(out: &mut String, realm: &RealmConfig) {
    let mut written: Vec<(&Procedure, Vec<String>)> = Vec::new();
    for (method, procedure) in realm.authenticator_procedures() {
        match written.iter_mut().find(|(of, _)| *of == procedure) {
            Some((_, methods)) => methods.push(method.to_string()),
            None => written.push((procedure, vec![method.to_string()])),
        }
    }
    for (procedure, methods) in written {
        let _ = writeln!(out, "\n[[realm.authenticator]]\nmethods = {methods:?}");
        let _ = writeln!(out, "procedure = {:?}", procedure.uri().as_str());
        if let Some(realm) = procedure.own_realm() {
            let _ = writeln!(out, "realm = {:?}", realm.as_str());
        }
    }
}
