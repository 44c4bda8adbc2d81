//! Secrets: in the file itself, in another file, or in an environment variable.

use std::path::PathBuf;

use wamp_router::auth::Secret;

use super::document::{Item, Table, Value};
use super::faults::Faults;
use super::fields::{At, Fields, Setting};

/// `"text"`, `{ file = "path" }` or `{ env = "NAME" }`.
#[derive(Clone, Debug)]
pub(crate) struct Confidential(pub(crate) Secret);

impl Setting for Confidential {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        const FORMS: &str = "a secret is expected here: \"text\", { file = \"path\" } or { env = \"NAME\" }";
        let secret = match item.value {
            Value::Text(text) => {
                faults.has_secret(&item.place);
                text
            }
            Value::Table(table) => match Elsewhere::read(table, faults)? {
                Elsewhere { file: Some(file), variable: None } => of_file(&file, faults)?,
                Elsewhere { file: None, variable: Some(variable) } => of_variable(&variable, faults)?,
                _ => {
                    faults.error(&item.place, FORMS);
                    return None;
                }
            },
            _ => {
                faults.error(&item.place, FORMS);
                return None;
            }
        };
        if secret.is_empty() {
            faults.error(&item.place, "the secret is empty");
            return None;
        }
        Some(Self(Secret::from(secret)))
    }
}

/// The file or the variable that a secret is in.
struct Elsewhere {
    file: Option<At<PathBuf>>,
    variable: Option<At<String>>,
}

impl Elsewhere {
    fn read(table: Table, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::new(table, "the table of a secret", faults);
        let elsewhere = Self { file: fields.read_at("file"), variable: fields.read_at("env") };
        (!fields.finish()).then_some(elsewhere)
    }
}

fn of_file(file: &At<PathBuf>, faults: &mut Faults) -> Option<String> {
    let shown = file.value.display();
    match std::fs::read_to_string(&file.value) {
        Ok(text) => {
            faults.check_private(&file.place, &file.value);
            // Editors end a file with a line feed, which is not part of the secret.
            Some(text.strip_suffix('\n').unwrap_or(&text).trim_end_matches('\r').to_owned())
        }
        Err(error) => {
            faults.error(&file.place, format!("{shown}: {error}"));
            None
        }
    }
}

fn of_variable(variable: &At<String>, faults: &mut Faults) -> Option<String> {
    let text = std::env::var(&variable.value).ok();
    if text.is_none() {
        let message = format!("the environment has no text in `{}`", variable.value);
        faults.error(&variable.place, message);
    }
    text
}
