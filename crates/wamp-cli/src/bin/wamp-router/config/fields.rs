//! Reading of typed settings from tables. Each fault is recorded with its place, and reading continues.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;

use super::document::{Entry, Item, Table, Value};
use super::faults::{Faults, Place};

/// A setting and its place.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// Keeps the first of those with the same name, and reports the others.
pub(crate) fn unique<T>(
    all: Vec<At<T>>,
    kind: &str,
    name: impl Fn(&T) -> &str,
    faults: &mut Faults,
) -> Vec<At<T>> {
    let mut names: HashMap<String, Place> = HashMap::new();
    let mut kept = Vec::new();
    for at in all {
        let name = name(&at.value);
        if let Some(first) = names.get(name) {
            faults.conflict(&at.place, format!("{kind} \"{name}\" is there twice"), first, "first here");
            continue;
        }
        names.insert(name.to_owned(), at.place.clone());
        kept.push(at);
    }
    kept
}

/// A table that is being read. Each key is taken once, and [`finish`](Self::finish) reports the others.
#[must_use]
pub(crate) struct Fields<'a> {
    table: Table,
    /// The name of the table in errors, for example `[limits]`; empty for the document.
    name: String,
    known: Vec<&'static str>,
    pub(crate) faults: &'a mut Faults,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(table: Table, name: impl Into<String>, faults: &'a mut Faults) -> Self {
        Self { table, name: name.into(), known: Vec::new(), faults }
    }

    /// The place of the table.
    pub(crate) fn place(&self) -> Place {
        self.table.place.clone()
    }

    fn take(&mut self, key: &'static str) -> Option<Item> {
        self.known.push(key);
        let index = self.table.entries.iter().position(|entry| entry.key == key)?;
        Some(self.table.entries.remove(index).item)
    }

    /// Reads a setting that may be absent.
    pub(crate) fn read<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        self.read_at(key).map(|at| at.value)
    }

    /// Like [`read`](Self::read), with the place of the value.
    pub(crate) fn read_at<T: Setting>(&mut self, key: &'static str) -> Option<At<T>> {
        let item = self.take(key)?;
        let place = item.place.clone();
        T::read(item, self.faults).map(|value| At { value, place })
    }

    /// Reads a required setting.
    pub(crate) fn require<T: Setting>(&mut self, key: &'static str) -> Option<At<T>> {
        if !self.table.entries.iter().any(|entry| entry.key == key) {
            let within = if self.name.is_empty() { "the file" } else { &self.name };
            let place = self.table.place.clone();
            self.faults.error(&place, format!("`{key}` is missing in {within}"));
        }
        self.read_at(key)
    }

    /// Reads a table within this one.
    pub(crate) fn read_table(&mut self, key: &'static str) -> Option<Table> {
        let item = self.take(key)?;
        match item.value {
            Value::Table(table) => Some(table),
            other => {
                let kind = other.kind();
                self.faults.error(&item.place, format!("`{key}` is a table, not {kind}: write [{key}]"));
                None
            }
        }
    }

    /// Reads a table, or `false`, which is returned as `Some(None)`.
    pub(crate) fn read_table_or_false(&mut self, key: &'static str) -> Option<Option<Table>> {
        let item = self.take(key)?;
        match item.value {
            Value::Table(table) => Some(Some(table)),
            Value::Boolean(false) => Some(None),
            other => {
                let kind = other.kind();
                self.faults.error(&item.place, format!("`{key}` is a table or `false`, not {kind}"));
                None
            }
        }
    }

    /// Reads a list of tables; `parent` is the name of this table in `[[parent.key]]`.
    pub(crate) fn read_tables(&mut self, key: &'static str, written: &str) -> Vec<Table> {
        let Some(item) = self.take(key) else { return Vec::new() };
        let Value::List(items) = item.value else {
            let kind = item.value.kind();
            self.faults
                .error(&item.place, format!("`{key}` is a list of tables, not {kind}: write {written}"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            match item.value {
                Value::Table(table) => tables.push(table),
                other => {
                    let kind = other.kind();
                    self.faults.error(&item.place, format!("a table is expected here, not {kind}"));
                }
            }
        }
        tables
    }

    /// Reports the keys that were not read. Returns whether there are any.
    pub(crate) fn finish(self) -> bool {
        for Entry { key, place, .. } in &self.table.entries {
            let within = if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) };
            let distances = self.known.iter().map(|known| (strsim::damerau_levenshtein(known, key), known));
            let nearest = distances.min().filter(|(distance, _)| *distance <= 1.max(key.len() / 3));
            let hint = nearest.map(|(_, known)| format!("; did you mean `{known}`?")).unwrap_or_default();
            self.faults.error(place, format!("unknown key `{key}`{within}{hint}"));
        }
        !self.table.entries.is_empty()
    }
}

/// A type of settings.
pub(crate) trait Setting: Sized {
    /// Reads a value. Returns `None` if it has a fault, which is recorded.
    fn read(item: Item, faults: &mut Faults) -> Option<Self>;
}

/// Records that a value has the wrong kind.
fn wrong_kind<T>(item: &Item, expected: &str, faults: &mut Faults) -> Option<T> {
    let kind = item.value.kind();
    faults.error(&item.place, format!("{expected} is expected here, not {kind}"));
    None
}

impl Setting for bool {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        match item.value {
            Value::Boolean(boolean) => Some(boolean),
            _ => wrong_kind(&item, "`true` or `false`", faults),
        }
    }
}

impl Setting for String {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        match item.value {
            Value::Text(text) => Some(text),
            _ => wrong_kind(&item, "a string", faults),
        }
    }
}

impl Setting for PathBuf {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        match item.value {
            Value::Text(path) => Some(faults.resolve(&item.place, &path)),
            _ => wrong_kind(&item, "the path of a file", faults),
        }
    }
}

/// A string, or a list of strings.
impl Setting for Vec<At<String>> {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        match item.value {
            Value::Text(value) => Some(vec![At { value, place: item.place }]),
            Value::List(items) => {
                let read = |item: Item| {
                    let place = item.place.clone();
                    String::read(item, faults).map(|value| At { value, place })
                };
                Some(items.into_iter().filter_map(read).collect())
            }
            _ => wrong_kind(&item, "a list of strings", faults),
        }
    }
}

const DURATION: &str = "a duration, such as \"5s\", \"300ms\" or \"2m\",";

impl Setting for Duration {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        let Value::Text(text) = &item.value else { return wrong_kind(&item, DURATION, faults) };
        let read = humantime::parse_duration(text).ok();
        if read.is_none() {
            faults
                .error(&item.place, format!("{text:?} is not a duration: write \"5s\", \"300ms\" or \"2m\""));
        }
        read
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) u64);

const BYTES: &str = "a number of bytes, such as 65536, \"64 KiB\" or \"16 MiB\",";

impl Setting for Bytes {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        let read = match &item.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) => text.parse::<ByteSize>().ok().map(|size| size.as_u64()),
            _ => return wrong_kind(&item, BYTES, faults),
        };
        if read.is_none() {
            let shown = match &item.value {
                Value::Text(text) => format!("{text:?}"),
                Value::Integer(number) => number.to_string(),
                _ => String::new(),
            };
            let message = format!("{shown} is not a number of bytes: write 65536, \"64 KiB\" or \"16 MiB\"");
            faults.error(&item.place, message);
        }
        read.map(Bytes)
    }
}

impl Setting for usize {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        let Value::Integer(number) = item.value else {
            return wrong_kind(&item, "an integer", faults);
        };
        let read = usize::try_from(number).ok();
        if read.is_none() {
            faults.error(&item.place, format!("{number} is less than 0"));
        }
        read
    }
}
