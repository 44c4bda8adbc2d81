//! The fraction that a result shows, and its label.

use std::str::FromStr;

use crate::document::{Arguments, Document};

/// Names of the number that is done, of which a total is beside.
const DONE: [&str; 4] = ["done", "current", "completed", "n"];

/// Names of the label.
const LABEL: [&str; 3] = ["message", "step", "status"];

/// A number, or the place of one in a result.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    Number(f64),
    /// A JSON pointer (RFC 6901), by its parts.
    Pointer(Vec<String>),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(pointer) = text.strip_prefix('/') {
            let part = |part: &str| part.replace("~1", "/").replace("~0", "~");
            return Ok(Place::Pointer(pointer.split('/').map(part).collect()));
        }
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(Place::Number).ok_or_else(|| "not a number, and not a JSON pointer such as /0".to_owned())
    }
}

impl Place {
    fn find(&self, value: &Document) -> Option<f64> {
        match self {
            Place::Number(value) => Some(*value),
            Place::Pointer(parts) => {
                let found = parts.iter().try_fold(value, |value, part| match value {
                    Document::List(items) => items.get(part.parse::<usize>().ok()?),
                    Document::Dict(entries) => entry(entries, part),
                    _ => None,
                });
                number(found?)
            }
        }
    }
}

/// Where the command line says the numbers are.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub(super) done: Option<Place>,
    pub(super) total: Option<Place>,
}

impl Places {
    /// The fraction that a result shows, from 0 to 1, and its label.
    pub(super) fn look(&self, arguments: Arguments) -> (Option<f64>, Option<String>) {
        let dict = match (arguments.args.as_slice(), arguments.kwargs.as_slice()) {
            ([Document::Dict(entries)], []) => Some(entries.clone()),
            (_, []) => None,
            (_, entries) => Some(entries.to_vec()),
        };
        let label =
            dict.as_deref().and_then(|entries| first(entries, &LABEL)).and_then(|label| match label {
                Document::Text(text) => Some(text.clone()),
                _ => None,
            });
        let value = arguments.into_value();
        let fraction = value.and_then(|value| self.fraction(&value, dict.as_deref()));
        (fraction.filter(|fraction| fraction.is_finite()).map(|fraction| fraction.clamp(0.0, 1.0)), label)
    }

    fn fraction(&self, value: &Document, dict: Option<&[(String, Document)]>) -> Option<f64> {
        match (&self.done, &self.total) {
            (Some(done), Some(total)) => return ratio(done.find(value)?, total.find(value)?),
            // One integer of a number that is known.
            (None, Some(total)) => {
                let done = number(value).or_else(|| number(first(dict?, &DONE)?))?;
                return ratio(done, total.find(value)?);
            }
            (Some(_), None) | (None, None) => {}
        }
        if let Some(entries) = dict {
            if let (Some(done), Some(total)) = (first(entries, &DONE), entry(entries, "total")) {
                return ratio(number(done)?, number(total)?);
            }
            return match (entry(entries, "percent"), entry(entries, "fraction")) {
                (Some(percent), _) => number(percent).map(|percent| percent / 100.0),
                (None, Some(fraction)) => number(fraction),
                (None, None) => None,
            };
        }
        match value {
            Document::List(items) => match items.as_slice() {
                [done, total] => ratio(number(done)?, number(total)?),
                _ => None,
            },
            _ => None,
        }
    }
}

fn ratio(done: f64, total: f64) -> Option<f64> {
    (total > 0.0).then(|| done / total)
}

fn number(value: &Document) -> Option<f64> {
    match value {
        Document::Integer(value) => Some(*value as f64),
        Document::Float(value) => Some(*value),
        _ => None,
    }
}

fn entry<'a>(entries: &'a [(String, Document)], name: &str) -> Option<&'a Document> {
    entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn first<'a>(entries: &'a [(String, Document)], names: &[&str]) -> Option<&'a Document> {
    names.iter().find_map(|name| entry(entries, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(
        args: &str,
        kwargs: &str,
        done: Option<&str>,
        total: Option<&str>,
    ) -> (Option<f64>, Option<String>) {
        let Document::List(args) = Document::from_json(args).unwrap() else { panic!("a list") };
        let Document::Dict(kwargs) = Document::from_json(kwargs).unwrap() else { panic!("a dict") };
        let place = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        Places { done: place(done), total: place(total) }.look(Arguments { args, kwargs })
    }

    #[test]
    fn a_fraction_is_found_in_each_usual_form() {
        for (args, kwargs) in [
            ("[1,4]", "{}"),
            ("[[1,4]]", "{}"),
            (r#"[{"done":1,"total":4}]"#, "{}"),
            ("[]", r#"{"n":1,"total":4}"#),
            ("[\"x\"]", r#"{"current":1,"total":4}"#),
            ("[]", r#"{"percent":25}"#),
            (r#"[{"fraction":0.25}]"#, "{}"),
        ] {
            assert_eq!(look(args, kwargs, None, None).0, Some(0.25), "{args} {kwargs}");
        }
        assert_eq!(look("[2]", "{}", None, Some("8")).0, Some(0.25));
        assert_eq!(look(r#"[{"a":[7,2]},8]"#, "{}", Some("/0/a/1"), Some("/1")).0, Some(0.25));
        assert_eq!(look("[9,4]", "{}", None, None).0, Some(1.0));
    }

    #[test]
    fn other_results_show_none() {
        for (args, kwargs) in [
            ("[]", "{}"),
            ("[1]", "{}"),
            ("[1,0]", "{}"),
            ("[\"a\",\"b\"]", "{}"),
            ("[1,2,3]", "{}"),
            ("[]", r#"{"done":1}"#),
        ] {
            assert_eq!(look(args, kwargs, None, None).0, None, "{args} {kwargs}");
        }
        assert_eq!(look("[1]", "{}", Some("/7"), Some("/8")).0, None);
    }

    #[test]
    fn a_text_field_is_the_label() {
        assert_eq!(
            look("[]", r#"{"percent":1,"message":"copying"}"#, None, None).1.as_deref(),
            Some("copying")
        );
        assert_eq!(look(r#"[{"step":"two"}]"#, "{}", None, None).1.as_deref(), Some("two"));
        assert_eq!(look("[1]", "{}", None, None).1, None);
    }
}
