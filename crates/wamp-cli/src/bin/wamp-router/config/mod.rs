//! The configuration: a file in TOML, and the options of the command line over it.
//!
//! Reading goes on after a fault, so that all are shown together, each with its place.

mod admin;
mod authenticators;
mod document;
mod faults;
mod fields;
mod histories;
mod limits;
mod overrides;
mod principals;
mod proxies;
mod realms;
mod roles;
mod secrets;
mod settings;
mod written;

use std::path::{Path, PathBuf};

use tracing_subscriber::EnvFilter;
use wamp_router::{Limits, Origins, Proxies, RealmConfig, TlsMode};

pub(crate) use self::admin::AdminConfig;
pub(crate) use self::faults::Faults;
pub(crate) use self::principals::written as scram_table;
pub(crate) use self::realms::check_name;

use self::document::Table;
use self::faults::Place;
use self::fields::{At, Fields, unique};
use crate::options::{Ending, LogFormat, Settings};
use crate::tls::TlsFiles;
#[cfg(feature = "tls-dev")]
use crate::tls_dev;

/// The address without any configuration.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";
/// The realm without any configuration.
const DEFAULT_REALM: &str = "realm1";
const DEFAULT_LOG: &str = "warn";

/// Everything that can be configured.
#[derive(Debug)]
pub(crate) struct Config {
    /// Addresses to listen on.
    pub(crate) listen: Vec<String>,
    pub(crate) allow_anonymous_on_public: bool,
    pub(crate) shutdown: Ending,
    /// The web pages from which browsers may connect.
    pub(crate) origins: Origins,
    pub(crate) proxies: Proxies,
    /// The filter of the log, which has been checked.
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) tls_mode: TlsMode,
    /// The certificate is one for the development of clients.
    #[cfg(feature = "tls-dev")]
    pub(crate) is_dev: bool,
    pub(crate) admin: Option<AdminConfig>,
    pub(crate) limits: Limits,
    /// The limit of connections is configured, and not that of file descriptors.
    pub(crate) has_connections: bool,
    pub(crate) realms: Vec<RealmConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![DEFAULT_ADDRESS.to_owned()],
            allow_anonymous_on_public: false,
            shutdown: Ending::Restart,
            origins: Origins::default(),
            proxies: Proxies::default(),
            log: DEFAULT_LOG.to_owned(),
            log_format: LogFormat::Text,
            tls: None,
            tls_mode: TlsMode::Required,
            #[cfg(feature = "tls-dev")]
            is_dev: false,
            admin: None,
            limits: Limits::default(),
            has_connections: false,
            realms: vec![RealmConfig::new(DEFAULT_REALM)],
        }
    }
}

impl Config {
    /// Reads the file, if one is named, and applies the options. The result has all faults; a configuration
    /// may come with warnings.
    pub(crate) fn load(settings: &Settings) -> (Option<Self>, Faults) {
        let mut faults = Faults::default();
        let config = Self::read(settings, &mut faults);
        (Some(config).filter(|_| !faults.has_errors()), faults)
    }

    fn read(settings: &Settings, faults: &mut Faults) -> Self {
        let mut table = match &settings.config {
            Some(path) => read_file(path, faults),
            None => Table::empty(Place::new(faults.add_option("", ""), 0..0)),
        };
        if faults.has_errors() {
            // A document with faulty syntax is not read any further.
            return Self::default();
        }
        let realms = overrides::apply(settings, &mut table, faults);
        let mut config = Self::of(table, realms, faults);
        #[cfg(feature = "tls-dev")]
        if settings.tls_dev {
            let admin = config.admin.as_ref().filter(|admin| admin.tls).map(|admin| admin.listen.to_string());
            let addresses = config.listen.iter().chain(&admin);
            for address in addresses.filter(|address| !tls_dev::is_local(address)) {
                let place = Place::new(faults.add_option("--tls-dev", ""), 0..0);
                faults.error(
                    &place,
                    format!("its certificate is for this machine only, and not for {address}"),
                );
            }
            config.is_dev = true;
        }
        if settings.strict_request_ids {
            config.realms.iter_mut().for_each(|realm| realm.strict_request_ids = true);
        }
        config
    }

    /// Reads a document. `named` are further realms, open to anonymous sessions.
    fn of(table: Table, named: Vec<RealmConfig>, faults: &mut Faults) -> Self {
        let mut config = Self::default();
        let mut fields = Fields::new(table, "", faults);
        if let Some(listen) = fields.read_at::<Vec<At<String>>>("listen") {
            check_addresses(&listen, fields.faults);
            config.listen = listen.value.into_iter().map(|at| at.value).collect();
        }
        let Self { allow_anonymous_on_public, shutdown, .. } = &mut config;
        settings::read(&mut fields, limits::of_program(allow_anonymous_on_public, shutdown));
        for At { value, place } in fields.read::<Vec<At<String>>>("allowed_origins").unwrap_or_default() {
            if let Err(error) = config.origins.add(&value) {
                fields.faults.error(&place, error.to_string());
            }
        }
        if let Some(table) = fields.read_table("proxies") {
            config.proxies = proxies::read(table, fields.faults);
        }
        if let Some(table) = fields.read_table("log") {
            config.read_log(table, fields.faults);
        }
        if let Some(table) = fields.read_table("tls") {
            config.read_tls(table, fields.faults);
        }
        if let Some(table) = fields.read_table("admin") {
            config.admin = admin::read(table, config.tls.is_some(), fields.faults);
        }
        if let Some(table) = fields.read_table("limits") {
            let rows = limits::of_links(&mut config.limits);
            let places = settings::read_table(table, "[limits]", rows, fields.faults);
            config.has_connections = places.first(&["connections"]).is_some();
            check_limits(&config.limits, &places, fields.faults);
        }
        let tables = fields.read_tables("realm", "[[realm]]");
        let mut realms = realms::read(tables, &named, fields.faults);
        fields.finish();
        for realm in named {
            if !realms.iter().any(|other| other.name == realm.name) {
                realms.push(realm);
            }
        }
        if !realms.is_empty() {
            config.realms = realms;
        }
        config
    }

    fn read_log(&mut self, table: Table, faults: &mut Faults) {
        let mut fields = Fields::new(table, "[log]", faults);
        if let Some(At { value, place }) = fields.read_at::<String>("filter") {
            if let Err(error) = EnvFilter::try_new(&value) {
                fields.faults.error(&place, format!("{value:?} is not a filter of the log: {error}"));
            }
            self.log = value;
        }
        settings::read(&mut fields, limits::of_log(&mut self.log_format));
        fields.finish();
    }

    fn read_tls(&mut self, table: Table, faults: &mut Faults) {
        let mut fields = Fields::new(table, "[tls]", faults);
        let (certificate, key) = (fields.require("certificate"), fields.require::<PathBuf>("key"));
        let client_ca = fields.read("client_ca");
        if fields.read("optional") == Some(true) {
            self.tls_mode = TlsMode::Optional;
        }
        let place = fields.place();
        fields.finish();
        let (Some(At { value: certificate, .. }), Some(At { value: key, place: key_place })) =
            (certificate, key)
        else {
            return;
        };
        faults.check_private(&key_place, &key);
        match TlsFiles::load(certificate, key, client_ca) {
            Ok(files) => self.tls = Some(files),
            Err(error) => faults.error(&place, error.to_string()),
        }
    }
}

fn read_file(path: &Path, faults: &mut Faults) -> Table {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let source = faults.add_file(path, &text);
            Table::parse(source, &text, faults)
        }
        Err(error) => {
            faults.error_outside(format!("{}: {error}", path.display()));
            Table::empty(Place::new(faults.add_option("", ""), 0..0))
        }
    }
}

fn check_addresses(listen: &At<Vec<At<String>>>, faults: &mut Faults) {
    if listen.value.is_empty() {
        faults.error(&listen.place, format!("there is no address: write [\"{DEFAULT_ADDRESS}\"]"));
    }
    let fixed = listen.value.iter().filter(|at| !at.value.ends_with(":0")).cloned().collect();
    unique(fixed, "address", |address: &String| address, faults);
}

fn check_limits(limits: &Limits, places: &settings::Places, faults: &mut Faults) {
    let mut check = |is_wrong: bool, keys: &[&str], message: &str| {
        if let Some(place) = places.first(keys).filter(|_| is_wrong) {
            faults.error(place, message);
        }
    };
    let Limits { message, message_before_welcome, low_water, high_water, max_link_queue, .. } = *limits;
    check(low_water > high_water, &["low_water", "high_water"], "`low_water` is more than `high_water`");
    check(
        high_water > max_link_queue,
        &["high_water", "max_link_queue"],
        "`high_water` is more than `max_link_queue`",
    );
    check(
        message_before_welcome > message,
        &["message_before_welcome", "message"],
        "`message_before_welcome` is more than `message`",
    );
    check(message > limits.memory, &["message", "memory"], "`message` is more than `memory`");
}
