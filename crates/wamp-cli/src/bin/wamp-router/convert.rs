//! `wamp-router convert`: the configuration of a Crossbar.io node as one of this router.
//!
//! Crossbar.io lists principals by transport and lets each of them join any realm; here they are listed by realm. So a
//! principal comes into every realm that has its role. Everything that has no counterpart is named in a comment.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Converts a node configuration, a text in JSON, to TOML.
///
/// # Errors
/// The text is not JSON, or not the configuration of a node.
pub(crate) fn convert(text: &str, path: &Path) -> Result<String, String> {
    let node: Value = serde_json::from_str(text).map_err(|error| {
        let hint = "; a node configuration in YAML has to be made JSON first";
        format!("{}:{}:{}: {error}{hint}", path.display(), error.line(), error.column())
    })?;
    let Some(workers) = node.get("workers").and_then(Value::as_array) else {
        return Err(format!(
            "{}: this is not a node of Crossbar.io, since it has no list `workers`",
            path.display()
        ));
    };
    let mut converted = Converted::default();
    for (index, worker) in workers.iter().enumerate() {
        let path = format!("workers[{index}]");
        match text_of(worker, "type") {
            Some("router") => converted.router(worker, &path),
            other => converted.skip(&path, &format!("a worker of type {:?}", other.unwrap_or_default())),
        }
    }
    for key in node.as_object().into_iter().flatten().map(|(key, _)| key) {
        if !["version", "workers", "$schema"].contains(&&**key) {
            converted.skip(key, "a part of the node");
        }
    }
    let anonymous = converted.anonymous();
    Ok(converted.to_toml(path, anonymous.as_deref()))
}

/// The parts of the node that are converted.
#[derive(Default)]
struct Converted {
    listen: Vec<String>,
    /// Lines of `[tls]`.
    tls: Option<String>,
    realms: Vec<Realm>,
    principals: Vec<Principal>,
    /// The methods of each dynamic authenticator: a procedure, and its realm.
    authenticators: BTreeMap<(String, Option<String>), Vec<String>>,
    /// The role of anonymous sessions at each transport; `None` where there are none.
    anonymous: Vec<Option<String>>,
    notes: Vec<String>,
}

#[derive(Default)]
struct Realm {
    name: String,
    roles: Vec<Role>,
}

#[derive(Default)]
struct Role {
    name: String,
    /// Patterns by key.
    lists: BTreeMap<&'static str, Vec<String>>,
    /// Whether each permission discloses the session, to callees and to subscribers.
    disclose: Vec<bool>,
    /// The procedure that decides.
    authorizer: Option<String>,
    has_wildcards: bool,
    has_prefixes: bool,
    has_denials: bool,
}

struct Principal {
    authid: String,
    role: String,
    /// The only realm that it may join.
    realm: Option<String>,
    /// Its key and value in TOML.
    proof: (&'static str, String),
}

impl Converted {
    /// Notes that a part has no counterpart.
    fn skip(&mut self, path: &str, reason: &str) {
        self.notes.push(format!("{path}: {reason}"));
    }

    fn router(&mut self, worker: &Value, path: &str) {
        for (index, realm) in list(worker, "realms") {
            self.realm(realm, &format!("{path}.realms[{index}]"));
        }
        for (index, transport) in list(worker, "transports") {
            self.transport(transport, &format!("{path}.transports[{index}]"));
        }
        for key in keys(worker).filter(|key| !["type", "id", "realms", "transports"].contains(key)) {
            self.skip(&format!("{path}.{key}"), "a part of the worker");
        }
    }

    fn realm(&mut self, realm: &Value, path: &str) {
        let Some(name) = text_of(realm, "name") else { return self.skip(path, "a realm without a name") };
        let mut converted = Realm { name: name.to_owned(), ..Realm::default() };
        for (index, role) in list(realm, "roles") {
            let role = self.role(role, &format!("{path}.roles[{index}]"));
            converted.roles.extend(role);
        }
        for key in keys(realm).filter(|key| !["name", "id", "roles"].contains(key)) {
            self.skip(&format!("{path}.{key}"), "a part of the realm");
        }
        self.realms.push(converted);
    }

    fn role(&mut self, role: &Value, path: &str) -> Option<Role> {
        let name = text_of(role, "name")?;
        let mut converted = Role { name: name.to_owned(), ..Role::default() };
        converted.authorizer = text_of(role, "authorizer").map(str::to_owned);
        for (index, permission) in list(role, "permissions") {
            let path = format!("{path}.permissions[{index}]");
            let Some(uri) = text_of(permission, "uri") else {
                self.skip(&path, "a permission without `uri`");
                continue;
            };
            // A star at the end is the old form of a prefix.
            let (uri, policy) = match (uri.strip_suffix('*'), text_of(permission, "match")) {
                (Some(prefix), None) => (prefix, "prefix"),
                (_, policy) => (uri, policy.unwrap_or("exact")),
            };
            let pattern = if policy == "prefix" { format!("{uri}**") } else { uri.to_owned() };
            converted.has_prefixes |= policy == "prefix";
            converted.has_wildcards |= policy == "wildcard";
            // The last permission for a URI counts.
            converted.lists.values_mut().for_each(|patterns| patterns.retain(|known| *known != pattern));
            if pattern.is_empty() {
                self.skip(&path, "a permission for the URI \"\", which no request has");
                continue;
            }
            // In the old form the actions are not in a table of their own.
            let allow = permission.get("allow").unwrap_or(permission);
            let mut is_denied = true;
            for key in ["call", "register", "publish", "subscribe"] {
                if allow.get(key).and_then(Value::as_bool) == Some(true) {
                    converted.lists.entry(key).or_default().push(pattern.clone());
                    is_denied = false;
                }
            }
            converted.has_denials |= is_denied;
            if is_denied {
                converted.lists.entry("deny").or_default().push(pattern);
            }
            let disclosed = |key| permission.pointer(&format!("/disclose/{key}")).and_then(Value::as_bool);
            let both = [disclosed("caller"), disclosed("publisher")];
            converted.disclose.push(both == [Some(true); 2]);
            if both.contains(&Some(true)) && both != [Some(true); 2] {
                self.skip(&format!("{path}.disclose"), "disclosure for calls or for events alone");
            }
            if permission.get("validate").is_some() {
                self.skip(&format!("{path}.validate"), "types of payloads");
            }
        }
        if converted.disclose.contains(&true) && converted.disclose.contains(&false) {
            self.skip(&format!("{path}.permissions"), "disclosure for some URIs only");
        }
        if converted.has_wildcards && converted.has_prefixes {
            let reason = "in Crossbar.io a wildcard decides before each prefix, here the pattern with more components does; check it";
            self.skip(&format!("{path}.permissions"), reason);
        }
        if converted.has_denials {
            let reason = "in Crossbar.io a denied URI also denies those that begin with it; check `deny`";
            self.skip(&format!("{path}.permissions"), reason);
        }
        Some(converted)
    }

    fn transport(&mut self, transport: &Value, path: &str) {
        match text_of(transport, "type") {
            Some("websocket" | "rawsocket") => self.auth(transport, path),
            Some("universal") => {
                for kind in ["websocket", "rawsocket"] {
                    if let Some(inner) = transport.get(kind) {
                        self.auth_of_each(inner, &format!("{path}.{kind}"));
                    }
                }
                for kind in ["web", "mqtt"].into_iter().filter(|kind| transport.get(*kind).is_some()) {
                    self.skip(&format!("{path}.{kind}"), "not WAMP");
                }
            }
            Some("web") => {
                for (name, service) in transport.get("paths").and_then(Value::as_object).into_iter().flatten()
                {
                    let path = format!("{path}.paths.{name}");
                    match text_of(service, "type") {
                        Some("websocket") => self.auth(service, &path),
                        other => self
                            .skip(&path, &format!("a web service of type {:?}", other.unwrap_or_default())),
                    }
                }
            }
            other => {
                let kind = other.unwrap_or_default().to_owned();
                return self.skip(path, &format!("a transport of type {kind:?}"));
            }
        }
        if let Some(endpoint) = transport.get("endpoint") {
            self.endpoint(endpoint, &format!("{path}.endpoint"));
        }
    }

    /// Transports by URL path, or one.
    fn auth_of_each(&mut self, transport: &Value, path: &str) {
        let is_one = transport.get("type").is_some() || transport.get("auth").is_some();
        let paths = transport.as_object().into_iter().flatten().filter(|(_, inner)| inner.is_object());
        let paths: Vec<_> = paths.collect();
        if is_one || paths.is_empty() {
            return self.auth(transport, path);
        }
        for (key, inner) in paths {
            self.auth(inner, &format!("{path}.{key}"));
        }
    }

    fn endpoint(&mut self, endpoint: &Value, path: &str) {
        match text_of(endpoint, "type") {
            Some("unix") => match text_of(endpoint, "path") {
                Some(file) if file.starts_with('/') => self.listen.push(format!("unix://{file}")),
                _ => self.skip(path, "a Unix socket whose path is not absolute"),
            },
            Some("tcp") => match endpoint.get("port").and_then(Value::as_u64) {
                Some(port) => {
                    let interface = text_of(endpoint, "interface").filter(|interface| !interface.is_empty());
                    let any = if endpoint.get("version") == Some(&6.into()) { "[::]" } else { "0.0.0.0" };
                    let host = interface.map_or_else(
                        || any.to_owned(),
                        |host| match host.contains(':') {
                            true => format!("[{host}]"),
                            false => host.to_owned(),
                        },
                    );
                    self.listen.push(format!("{host}:{port}"));
                }
                None => self.skip(path, "a port that is not a number"),
            },
            other => {
                let kind = other.unwrap_or_default().to_owned();
                self.skip(path, &format!("an endpoint of type {kind:?}"));
            }
        }
        if let Some(tls) = endpoint.get("tls") {
            self.tls(tls, &format!("{path}.tls"));
        }
    }

    fn tls(&mut self, tls: &Value, path: &str) {
        let (Some(certificate), Some(key)) = (text_of(tls, "certificate"), text_of(tls, "key")) else {
            return self.skip(path, "TLS without `certificate` and `key`");
        };
        let mut lines = format!("certificate = {certificate:?}\nkey = {key:?}\n");
        let authorities: Vec<_> =
            list(tls, "ca_certificates").filter_map(|(_, file)| file.as_str()).collect();
        match authorities[..] {
            [] => {}
            [file] => {
                let _ = writeln!(lines, "client_ca = {file:?}");
            }
            [file, ..] => {
                let _ = writeln!(lines, "client_ca = {file:?}");
                self.skip(&format!("{path}.ca_certificates"), "put all of them into the file of `client_ca`");
            }
        }
        if tls.get("chain_certificates").is_some() {
            self.skip(&format!("{path}.chain_certificates"), "append them to the file of `certificate`");
        }
        for key in ["ciphers", "dhparam"].into_iter().filter(|key| tls.get(*key).is_some()) {
            self.skip(&format!("{path}.{key}"), "TLS 1.2 and 1.3 have safe defaults");
        }
        match &self.tls {
            Some(other) if *other != lines => {
                self.skip(path, "another certificate; there is one for all addresses")
            }
            _ => self.tls = Some(lines),
        }
    }

    fn auth(&mut self, transport: &Value, path: &str) {
        let known = ["type", "id", "endpoint", "auth", "paths", "websocket", "rawsocket"];
        for key in keys(transport).filter(|key| !known.contains(key)) {
            self.skip(&format!("{path}.{key}"), "a setting of the transport");
        }
        let Some(auth) = transport.get("auth").and_then(Value::as_object) else {
            return self.anonymous.push(Some("anonymous".to_owned()));
        };
        let mut anonymous = None;
        for (method, config) in auth {
            let path = format!("{path}.auth.{method}");
            if text_of(config, "type") == Some("dynamic")
                && ["ticket", "wampcra", "cryptosign", "scram"].contains(&&**method)
                && let Some(procedure) = text_of(config, "authenticator")
            {
                self.authenticator(method, procedure, text_of(config, "authenticator-realm"), &path);
                continue;
            }
            if text_of(config, "type") != Some("static") {
                self.skip(&path, "principals that are not static");
                continue;
            }
            if method == "anonymous" {
                anonymous = Some(text_of(config, "role").unwrap_or("anonymous").to_owned());
                continue;
            }
            let principals =
                config.get("principals").or_else(|| config.get("users")).and_then(Value::as_object);
            for (authid, principal) in principals.into_iter().flatten() {
                match proof(method, principal) {
                    Some(proof) => self.principals.push(Principal {
                        authid: authid.clone(),
                        role: text_of(principal, "role").unwrap_or("anonymous").to_owned(),
                        realm: text_of(principal, "realm").map(str::to_owned),
                        proof,
                    }),
                    None => self.skip(&format!("{path}.{authid}"), "a principal of an unknown form"),
                }
            }
        }
        self.anonymous.push(anonymous);
    }

    /// A dynamic authenticator. Crossbar.io has one for each method of a transport; here a realm has one for each method.
    fn authenticator(&mut self, method: &str, procedure: &str, realm: Option<&str>, path: &str) {
        let key = (procedure.to_owned(), realm.map(str::to_owned));
        let has = |methods: &Vec<String>| methods.iter().any(|known| known == method);
        if self.authenticators.get(&key).is_some_and(has) {
            return;
        }
        if self.authenticators.values().any(has) {
            return self.skip(
                path,
                "another dynamic authenticator for this method; there is one for all transports",
            );
        }
        self.authenticators.entry(key).or_default().push(method.to_owned());
    }

    /// The role of anonymous sessions, which is the same at all transports, or none.
    fn anonymous(&mut self) -> Option<String> {
        let (first, others) = self.anonymous.split_first()?;
        if others.iter().all(|other| other == first) {
            return first.clone();
        }
        self.skip(
            "transports",
            "they differ in whether clients may join without a proof; here none may, at any address",
        );
        None
    }

    fn to_toml(&self, path: &Path, anonymous: Option<&str>) -> String {
        let mut out = format!("# Converted from {}.\n", path.display());
        if !self.notes.is_empty() {
            out.push_str("#\n# Not taken over:\n");
            for note in &self.notes {
                let _ = writeln!(out, "# * {note}");
            }
        }
        if !self.listen.is_empty() {
            let _ = writeln!(out, "\nlisten = {:?}", self.listen);
        }
        if let Some(tls) = &self.tls {
            let _ = write!(out, "\n[tls]\n{tls}");
        }
        self.realms.iter().for_each(|realm| self.write_realm(&mut out, realm, anonymous));
        out
    }

    fn write_realm(&self, out: &mut String, realm: &Realm, anonymous: Option<&str>) {
        let has = |role: &str| realm.roles.iter().any(|other| other.name == role);
        let _ = writeln!(out, "\n[[realm]]\nname = {:?}", realm.name);
        match anonymous.filter(|role| has(role)) {
            Some(role) => {
                let _ = writeln!(out, "anonymous = {role:?}");
            }
            None => out.push_str("anonymous = false\n"),
        }
        for role in &realm.roles {
            let _ = writeln!(out, "\n[[realm.role]]\nname = {:?}", role.name);
            // There the meta API takes permissions for its URIs.
            let has_meta = |pattern: &String| pattern == "**" || pattern.starts_with("wamp.");
            if !role.lists.get("call").is_some_and(|patterns| patterns.iter().any(has_meta)) {
                out.push_str("meta = \"own\"\n");
            }
            if let Some(procedure) = &role.authorizer {
                let _ = writeln!(out, "authorizer = {{ procedure = {procedure:?} }}");
            }
            for (key, patterns) in role.lists.iter().filter(|(_, patterns)| !patterns.is_empty()) {
                let _ = writeln!(out, "{key} = {patterns:?}");
            }
            if !role.disclose.is_empty() && !role.disclose.contains(&false) {
                out.push_str("disclose = \"always\"\n");
            }
        }
        let mut principals: BTreeMap<(&str, &str), BTreeMap<&str, &str>> = BTreeMap::new();
        for principal in self.principals.iter().filter(|principal| has(&principal.role)) {
            if principal.realm.as_ref().is_none_or(|only| *only == realm.name) {
                let (key, value) = &principal.proof;
                principals.entry((&principal.authid, &principal.role)).or_default().insert(key, value);
            }
        }
        for ((authid, role), proofs) in principals {
            let _ = writeln!(out, "\n[[realm.principal]]\nauthid = {authid:?}\nrole = {role:?}");
            for (key, value) in proofs {
                let _ = writeln!(out, "{key} = {value}");
            }
        }
        for ((procedure, realm), methods) in &self.authenticators {
            let _ =
                writeln!(out, "\n[[realm.authenticator]]\nmethods = {methods:?}\nprocedure = {procedure:?}");
            if let Some(realm) = realm {
                let _ = writeln!(out, "realm = {realm:?}");
            }
        }
    }
}

/// The key and the value of a principal's proof in TOML; `None` if it has another form.
fn proof(method: &str, principal: &Value) -> Option<(&'static str, String)> {
    Some(match method {
        "ticket" => ("ticket", secret(text_of(principal, "ticket")?)),
        "wampcra" => {
            let key = secret(text_of(principal, "secret")?);
            match text_of(principal, "salt") {
                None => ("wampcra", key),
                Some(salt) => {
                    let number = |key, default| principal.get(key).and_then(Value::as_u64).unwrap_or(default);
                    let (iterations, keylen) = (number("iterations", 1000), number("keylen", 32));
                    let salted = format!(
                        "{{ key = {key}, salt = {salt:?}, iterations = {iterations}, keylen = {keylen} }}"
                    );
                    ("wampcra", salted)
                }
            }
        }
        "cryptosign" => {
            let keys = list(principal, "authorized_keys").filter_map(|(_, key)| key.as_str());
            ("cryptosign", format!("{:?}", keys.collect::<Vec<_>>()))
        }
        "scram" => {
            let kdf = match text_of(principal, "kdf")? {
                "argon2id-13" | "argon2id13" => "argon2id13",
                "pbkdf2" => "pbkdf2",
                _ => return None,
            };
            let mut table =
                format!("{{ kdf = \"{kdf}\", iterations = {}", principal.get("iterations")?.as_u64()?);
            if kdf == "argon2id13" {
                let _ = write!(table, ", memory = {}", principal.get("memory")?.as_u64()?);
            }
            for (ours, theirs) in
                [("salt", "salt"), ("stored_key", "stored-key"), ("server_key", "server-key")]
            {
                let _ = write!(table, ", {ours} = \"{}\"", base64_of_hex(text_of(principal, theirs)?)?);
            }
            ("scram", table + " }")
        }
        _ => return None,
    })
}

/// A secret in TOML. Crossbar.io reads those that begin with `$` from the environment.
fn secret(text: &str) -> String {
    match text.strip_prefix('$') {
        Some(variable) => format!("{{ env = {:?} }}", variable.trim_matches(['{', '}'])),
        None => format!("{text:?}"),
    }
}

fn base64_of_hex(text: &str) -> Option<String> {
    use base64::Engine;

    let digit = |index: usize| u8::from_str_radix(text.get(index..index + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(digit).collect();
    Some(base64::engine::general_purpose::STANDARD.encode(bytes?))
}

fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    value.get(key).and_then(Value::as_array).into_iter().flatten().enumerate()
}

fn keys(value: &Value) -> impl Iterator<Item = &str> {
    value.as_object().into_iter().flat_map(Object::keys).map(String::as_str)
}
