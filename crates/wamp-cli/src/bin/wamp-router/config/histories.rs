//! `[[realm.history]]`: patterns whose events are kept.

use std::fmt::Write;

use wamp_proto::Uri;
use wamp_router::{History, RealmConfig};

use super::document::Table;
use super::faults::Faults;
use super::fields::{At, Fields, unique};
use super::roles;
use super::settings::{self, Row, Value, row};

/// Reads the histories of a realm.
pub(crate) fn read(tables: Vec<Table>, realm: RealmConfig, faults: &mut Faults) -> RealmConfig {
    let read = tables.into_iter().filter_map(|table| read_one(table, faults)).collect();
    let kept = unique(read, "the history of", |(topic, _): &(String, History)| topic, faults);
    kept.into_iter().fold(realm, |realm, at| realm.history(at.value.1))
}

fn read_one(table: Table, faults: &mut Faults) -> Option<At<(String, History)>> {
    let mut fields = Fields::new(table, "[[realm.history]]", faults);
    let topic = fields.require::<String>("topic");
    let pattern = topic.as_ref().and_then(|At { value, place }| {
        let pattern = roles::pattern(value, place, fields.faults)?;
        if Uri::from(value.trim_end_matches("**")).is_reserved() {
            fields
                .faults
                .error(place, "events of the router itself, whose topics begin with wamp, have no history");
            return None;
        }
        Some(pattern)
    });
    // The limits are read in any case, so that all faults are shown.
    let mut history = History::new(pattern.clone().unwrap_or_else(|| wamp_router::Pattern::exact("")));
    settings::read(&mut fields, rows(&mut history));
    fields.finish();
    pattern.and(topic).map(|At { value, place }| At { value: (value, history), place })
}

fn rows(history: &mut History) -> Vec<Row<'_>> {
    vec![
        row("events", Value::Count(&mut history.events), "Latest events that are kept."),
        row("bytes", Value::Bytes(&mut history.bytes), "Bytes of these events."),
    ]
}

/// Writes the histories of a realm as TOML.
pub(crate) fn write(out: &mut String, realm: &RealmConfig) {
    for history in &realm.history {
        let _ = writeln!(out, "\n[[realm.history]]\ntopic = {:?}", roles::written(&history.pattern));
        settings::write(out, rows(&mut history.clone()), false);
    }
}
