//! `[[realm]]`.

use std::fmt::Write;

use wamp_proto::Uri;
use wamp_proto::uri::{UriKind, UriRules};
use wamp_router::{Credit, RealmConfig};

use super::document::Table;
use super::faults::{Faults, Place};
use super::fields::Fields;
use super::{limits, settings};

/// Reads all realms.
pub(crate) fn read(tables: Vec<Table>, faults: &mut Faults) -> Vec<RealmConfig> {
    let mut realms: Vec<(RealmConfig, Place)> = Vec::new();
    for table in tables {
        let Some((realm, place)) = read_one(table, faults) else { continue };
        match realms.iter().find(|(other, _)| other.name == realm.name) {
            Some((_, first)) => {
                let message = format!("realm \"{}\" is there twice", realm.name);
                faults.conflict(&place, message, first, "first here");
            }
            None => realms.push((realm, place)),
        }
    }
    realms.into_iter().map(|(realm, _)| realm).collect()
}

/// Reads a realm. Returns the place of its name, too.
fn read_one(table: Table, faults: &mut Faults) -> Option<(RealmConfig, Place)> {
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
    // A realm without a good name is read, too, so that all its faults are shown.
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
    match fields.read_table_or_false("credit") {
        Some(Some(table)) => realm.credit = Some(read_credit(table, fields.faults)),
        Some(None) => realm.credit = None,
        None => {}
    }
    fields.finish();
    uri.and(name).map(|name| (realm, name.place))
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
}
