//! The options of the command line, and of the environment, over a document.

use std::path::PathBuf;

use wamp_router::RealmConfig;

use super::document::{Item, Table, Value, loose_value};
use super::faults::{Faults, Place};
use super::settings::Words;
use crate::options::Settings;
#[cfg(feature = "tls-dev")]
use crate::tls_dev::DevCertificate;

/// Puts the options of the command line over the document. Returns the realms that they name.
pub(super) fn apply(settings: &Settings, table: &mut Table, faults: &mut Faults) -> Vec<RealmConfig> {
    for set in &settings.set {
        let source = faults.add_option("--set", set);
        match set.split_once('=') {
            Some((path, value)) => {
                let start = path.len() + 1;
                let path: Vec<&str> = path.split('.').map(str::trim).collect();
                table.set(&path, loose_value(source, start, value), faults);
            }
            None => {
                let message = format!("write --set KEY=VALUE, for example limits.stall=2s, not {set:?}");
                faults.error(&Place::new(source, 0..set.len()), message);
            }
        }
    }
    #[cfg(feature = "tls-dev")]
    let dev = settings.tls_dev.then(|| certificate(faults)).flatten();
    let mut text = |option: &str, path: &[&str], value: Option<String>| {
        if let Some(value) = value {
            let item = text_of(faults, option, value);
            table.set(path, item, faults);
        }
    };
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    text("--admin", &["admin", "listen"], settings.admin.clone());
    text("--log", &["log", "filter"], settings.log.clone());
    text("--tls-certificate", &["tls", "certificate"], path(&settings.tls_certificate));
    text("--tls-key", &["tls", "key"], path(&settings.tls_key));
    #[cfg(feature = "tls-dev")]
    if let Some(files) = dev {
        let path = files.server.display().to_string();
        text("--tls-dev", &["tls", "certificate"], Some(path.clone()));
        text("--tls-dev", &["tls", "key"], Some(path));
    }
    text("--tls-client-ca", &["tls", "client_ca"], path(&settings.tls_client_ca));
    let word = |words: &dyn Words| words.word().to_owned();
    text("--log-format", &["log", "format"], settings.log_format.as_ref().map(|format| word(format)));
    text("--shutdown", &["shutdown"], settings.shutdown.as_ref().map(|ending| word(ending)));
    let flags = [
        (
            settings.allow_anonymous_on_public,
            "--allow-anonymous-on-public",
            &["allow_anonymous_on_public"][..],
        ),
        (settings.tls_optional, "--tls-optional", &["tls", "optional"][..]),
    ];
    for (_, option, path) in flags.into_iter().filter(|(is_set, ..)| *is_set) {
        let place = Place::new(faults.add_option(option, ""), 0..0);
        table.set(path, Item { place, value: Value::Boolean(true) }, faults);
    }
    if !settings.listen.is_empty() {
        let items: Vec<Item> =
            settings.listen.iter().map(|address| text_of(faults, "--listen", address.clone())).collect();
        let place = items[0].place.clone();
        table.set(&["listen"], Item { place, value: Value::List(items) }, faults);
    }
    settings.realm.iter().map(|name| RealmConfig::new(name.clone())).collect()
}

/// Returns the certificate for the development of clients.
#[cfg(feature = "tls-dev")]
fn certificate(faults: &mut Faults) -> Option<DevCertificate> {
    match DevCertificate::get() {
        Ok(files) => Some(files),
        Err(error) => {
            let place = Place::new(faults.add_option("--tls-dev", ""), 0..0);
            faults.error(&place, error.to_string());
            None
        }
    }
}

/// The value of an option.
fn text_of(faults: &mut Faults, option: &str, value: String) -> Item {
    let place = Place::new(faults.add_option(option, &value), 0..value.len());
    Item { place, value: Value::Text(value) }
}
