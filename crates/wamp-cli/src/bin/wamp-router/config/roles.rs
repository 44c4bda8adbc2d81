//! `[[realm.role]]`.

use std::fmt::Write;

use wamp_proto::Uri;
use wamp_proto::uri::{UriKind, UriRules};
use wamp_router::{Actions, Disclosure, Meta, Pattern, Procedure, RealmConfig, Role, Rule};

use super::authenticators;
use super::document::Table;
use super::faults::{Faults, Place};
use super::fields::{At, Fields, unique};
use super::settings::{self, Value, Words, row};

/// The keys that have lists of patterns.
const ACTIONS: [(&str, Actions); 4] = [
    ("call", Actions::CALL),
    ("register", Actions::REGISTER),
    ("publish", Actions::PUBLISH),
    ("subscribe", Actions::SUBSCRIBE),
];

/// A role, and the procedure that decides where no rule applies.
pub(crate) struct Read {
    pub(crate) role: Role,
    pub(crate) authorizer: Option<Procedure>,
}

/// Reads the roles of a realm. The settings of the realm itself have been read. The realms of procedures are added to
/// `realms`.
pub(crate) fn read(
    tables: Vec<Table>,
    realm: &RealmConfig,
    realms: &mut Vec<At<String>>,
    faults: &mut Faults,
) -> Vec<At<Read>> {
    let read = tables.into_iter().filter_map(|table| read_one(table, realm.meta, realms, faults)).collect();
    unique(read, "role", |read: &Read| read.role.name(), faults)
}

/// Reads a role; `meta` is its part of the meta API unless it sets another.
fn read_one(
    table: Table,
    mut meta: Meta,
    realms: &mut Vec<At<String>>,
    faults: &mut Faults,
) -> Option<At<Read>> {
    let mut fields = Fields::new(table, "[[realm.role]]", faults);
    let name = fields.require::<String>("name");
    let mut rules: Vec<(Pattern, Actions, Place)> = Vec::new();
    for (key, actions) in ACTIONS {
        for At { value, place } in fields.read::<Vec<At<String>>>(key).unwrap_or_default() {
            let Some(pattern) = pattern(&value, &place, fields.faults) else { continue };
            match rules.iter_mut().find(|(known, ..)| *known == pattern) {
                Some((_, known, _)) => *known = *known | actions,
                None => rules.push((pattern, actions, place)),
            }
        }
    }
    for At { value, place } in fields.read::<Vec<At<String>>>("deny").unwrap_or_default() {
        let Some(pattern) = pattern(&value, &place, fields.faults) else { continue };
        match rules.iter().find(|(known, ..)| *known == pattern) {
            Some((_, _, first)) => {
                fields.faults.conflict(
                    &place,
                    format!("{value:?} is allowed and denied"),
                    first,
                    "allowed here",
                );
            }
            None => rules.push((pattern, Actions::NONE, place)),
        }
    }
    let authorizer = fields.read_table("authorizer").and_then(|table| {
        let mut fields = Fields::new(table, "the table of `authorizer`", fields.faults);
        let procedure = authenticators::read_procedure(&mut fields, realms);
        fields.finish();
        procedure
    });
    let (mut disclosure, mut trustlevel, mut force) = (Disclosure::default(), 0, false);
    let rows = vec![
        row("meta", Value::Choice(&mut meta), ""),
        row("disclose", Value::Choice(&mut disclosure), ""),
        row("trustlevel", Value::Count(&mut trustlevel), ""),
        row("force_reregister", Value::Boolean(&mut force), ""),
    ];
    let read = settings::read(&mut fields, rows);
    let trustlevel = read.first(&["trustlevel"]).map(|_| trustlevel as u64);
    let disclosure = read.first(&["disclose"]).map(|_| disclosure);
    fields.finish();
    let At { value: name, place } = name?;
    let mut role = Role::new(name).meta(meta);
    for (pattern, actions, _) in rules {
        let mut rule = Rule::new(actions, pattern).force(force);
        if let Some(disclosure) = disclosure {
            rule = rule.disclosure(disclosure);
        }
        if let Some(level) = trustlevel {
            rule = rule.trustlevel(level);
        }
        role = role.rule(rule);
    }
    Some(At { value: Read { role, authorizer }, place })
}

/// Reads a pattern: `com.example.**` is a prefix, `com..get` a wildcard, anything else one URI.
pub(crate) fn pattern(text: &str, place: &Place, faults: &mut Faults) -> Option<Pattern> {
    if let Some(prefix) = text.strip_suffix("**").filter(|prefix| !prefix.contains('*')) {
        return Some(Pattern::prefix(prefix));
    }
    if text.contains('*') {
        faults.error(
            place,
            format!("{text:?} is not a pattern: write \"com.example.**\" for a prefix, \"com..get\" for a wildcard"),
        );
        return None;
    }
    let is_wildcard = text.split('.').any(str::is_empty);
    let kind = if is_wildcard { UriKind::Wildcard } else { UriKind::Exact };
    if let Err(error) = Uri::from(text).check(UriRules::Loose, kind) {
        faults.error(place, format!("{text:?} is not a pattern: {error}"));
        return None;
    }
    Some(if is_wildcard { Pattern::wildcard(text) } else { Pattern::exact(text) })
}

/// Writes a role as TOML.
pub(crate) fn write(out: &mut String, role: &Role, authorizer: Option<&Procedure>) {
    let _ = writeln!(out, "\n[[realm.role]]\nname = {:?}", role.name().as_ref() as &str);
    let listed = |wanted: &dyn Fn(&Rule) -> bool| -> Vec<String> {
        role.rules().iter().filter(|rule| wanted(rule)).map(|rule| written(rule.pattern())).collect()
    };
    for (key, action) in ACTIONS {
        let patterns = listed(&|rule| rule.actions().has(action));
        if !patterns.is_empty() {
            let _ = writeln!(out, "{key} = {patterns:?}");
        }
    }
    let denied = listed(&|rule| rule.actions() == Actions::NONE);
    if !denied.is_empty() {
        let _ = writeln!(out, "deny = {denied:?}");
    }
    if let Some(disclosure) = role.rules().iter().find_map(Rule::own_disclosure) {
        let _ = writeln!(out, "disclose = \"{}\"", disclosure.word());
    }
    if let Some(level) = role.rules().iter().find_map(Rule::own_trustlevel) {
        let _ = writeln!(out, "trustlevel = {level}");
    }
    if role.rules().iter().any(Rule::forces) {
        out.push_str("force_reregister = true\n");
    }
    let _ = writeln!(out, "meta = \"{}\"", role.meta_part().word());
    if let Some(procedure) = authorizer {
        let realm = procedure.own_realm().map(|realm| format!(", realm = {:?}", realm.as_str()));
        let (uri, realm) = (procedure.uri().as_str(), realm.unwrap_or_default());
        let _ = writeln!(out, "authorizer = {{ procedure = {uri:?}{realm} }}");
    }
}

pub(crate) fn written(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Prefix(text) => format!("{text}**"),
        Pattern::Exact(text) | Pattern::Wildcard(text) => text.clone(),
    }
}
