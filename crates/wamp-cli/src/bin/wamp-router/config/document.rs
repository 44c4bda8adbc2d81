//! A document of settings: a tree of values, each with its place.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::faults::{Faults, Place};

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float,
    Boolean(bool),
    Date,
    List(Vec<Item>),
    Table(Table),
}

impl Value {
    /// The kind of the value, with its article.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float => "a fraction",
            Value::Boolean(_) => "a boolean",
            Value::Date => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// Keys with their values.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) place: Place,
    pub(crate) entries: Vec<Entry>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// The place of the key.
    pub(crate) place: Place,
    pub(crate) item: Item,
}

impl Table {
    /// Reads a TOML text. Its faults are added to `faults`.
    pub(crate) fn parse(source: usize, text: &str, faults: &mut Faults) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            faults.error(&Place::new(source, span), error.message());
        }
        let span = table.span();
        table_of(source, 0, span, table.into_inner())
    }

    /// Returns a table without entries.
    pub(crate) fn empty(place: Place) -> Self {
        Self { place, entries: Vec::new() }
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == key)
    }

    /// Sets the value at a path of keys, for example `limits.stall`. Tables on the way that are missing are created.
    pub(crate) fn set(&mut self, path: &[&str], item: Item, faults: &mut Faults) {
        let Some((key, rest)) = path.split_first() else { return };
        let place = item.place.clone();
        if self.get_mut(key).is_none() {
            let value = Value::Table(Table::empty(place.clone()));
            let made = Item { place: place.clone(), value };
            self.entries.push(Entry { key: (*key).to_owned(), place: place.clone(), item: made });
        }
        let Some(entry) = self.get_mut(key) else { return };
        if rest.is_empty() {
            *entry = Entry { key: (*key).to_owned(), place, item };
            return;
        }
        match &mut entry.item.value {
            Value::Table(table) => table.set(rest, item, faults),
            other => {
                let kind = other.kind();
                faults.error(&place, format!("`{key}` is {kind} and has no `{}`", rest.join(".")));
            }
        }
    }
}

/// Reads the value of `--set KEY=VALUE`, which begins at `start` in its source: TOML, or else a string without quotes.
pub(crate) fn loose_value(source: usize, start: usize, text: &str) -> Item {
    let place = Place::new(source, start..start + text.len());
    match DeValue::parse(text) {
        Ok(value) => item_of(source, start, value),
        Err(_) => Item { place, value: Value::Text(text.to_owned()) },
    }
}

fn table_of(source: usize, offset: usize, span: Range<usize>, table: DeTable<'_>) -> Table {
    let entry = |(key, value): (Spanned<std::borrow::Cow<'_, str>>, Spanned<DeValue<'_>>)| {
        let span = key.span();
        Entry {
            place: Place::new(source, span.start + offset..span.end + offset),
            key: key.into_inner().into_owned(),
            item: item_of(source, offset, value),
        }
    };
    let mut entries: Vec<Entry> = table.into_iter().map(entry).collect();
    entries.sort_by(|a, b| a.place.cmp(&b.place));
    Table { place: Place::new(source, span.start + offset..span.end + offset), entries }
}

fn item_of(source: usize, offset: usize, value: Spanned<DeValue<'_>>) -> Item {
    let span = value.span();
    let place = Place::new(source, span.start + offset..span.end + offset);
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Value::Integer(integer),
            // The parser has checked that these are digits, so the number is too large.
            Err(_) => Value::Float,
        },
        DeValue::Float(_) => Value::Float,
        DeValue::Boolean(boolean) => Value::Boolean(boolean),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(array) => {
            Value::List(array.into_iter().map(|value| item_of(source, offset, value)).collect())
        }
        DeValue::Table(table) => Value::Table(table_of(source, offset, span, table)),
    };
    Item { place, value }
}
