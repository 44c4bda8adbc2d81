//! `[[realm.principal]]`.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wamp_router::auth::scram::{Dialect, Kdf, Keys};
use wamp_router::auth::wampcra::{Key, Salting};
use wamp_router::auth::{Method, Principal, cryptosign};

use super::document::{Item, Table, Value};
use super::faults::Faults;
use super::fields::{At, Fields, Setting, unique};
use super::secrets::Confidential;

/// A principal with the roles that it names.
pub(crate) struct Named {
    pub(crate) principal: Principal,
    pub(crate) roles: Vec<At<String>>,
}

/// Reads the principals of a realm.
pub(crate) fn read(tables: Vec<Table>, faults: &mut Faults) -> Vec<Named> {
    let read = tables.into_iter().filter_map(|table| read_one(table, faults)).collect();
    let kept = unique(read, "principal", |named: &Named| named.principal.authid(), faults);
    kept.into_iter().map(|at| at.value).collect()
}

fn read_one(table: Table, faults: &mut Faults) -> Option<At<Named>> {
    let before = faults.len();
    let mut fields = Fields::new(table, "[[realm.principal]]", faults);
    let authid = fields.require::<String>("authid");
    let roles = fields.require::<Vec<At<String>>>("role");
    let ticket = fields.read::<Confidential>("ticket");
    let wampcra = fields.read::<CraKey>("wampcra");
    let keys = fields.read::<Vec<At<String>>>("cryptosign").unwrap_or_default();
    let scram = [("wamp_scram", Dialect::Wamp), ("scram", Dialect::Autobahn)].map(|(key, dialect)| {
        let read = fields.read::<ScramKeys>(key);
        read.map(|ScramKeys { kdf, salt, stored, server }| Keys::new(dialect, kdf, salt, stored, server))
    });
    let place = fields.place();
    fields.finish();
    let (At { value: authid, place: authid_place }, At { value: roles, place: role_place }) =
        (authid?, roles?);
    let Some((first, others)) = roles.split_first() else {
        faults.error(&role_place, "a principal has at least one role");
        return None;
    };
    let mut principal = Principal::new(authid, first.value.as_str());
    principal = others.iter().fold(principal, |principal, role| principal.role(role.value.as_str()));
    if let Some(Confidential(ticket)) = ticket {
        principal = principal.ticket(ticket);
    }
    if let Some(CraKey(key)) = wampcra {
        principal = principal.cra(key);
    }
    for At { value, place } in keys {
        match cryptosign::PublicKey::from_hex(&value) {
            Ok(key) => principal = principal.public_key(key),
            Err(error) => faults.error(&place, error.to_string()),
        }
    }
    principal = scram.into_iter().flatten().fold(principal, Principal::scram);
    if faults.len() == before && !Method::ALL.into_iter().any(|method| principal.has(method)) {
        faults.warning(
            &place,
            format!(
                "principal \"{}\" cannot join: give it `ticket`, `wampcra`, `cryptosign`, `wamp_scram` or `scram`",
                principal.authid()
            ),
        );
    }
    Some(At { value: Named { principal, roles }, place: authid_place })
}

/// The key of WAMP-CRA: a secret, or a key that was derived from a password.
struct CraKey(Key);

impl Setting for CraKey {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        match item.value {
            Value::Table(table) if table.entries.iter().any(|entry| entry.key == "salt") => {
                let mut fields = Fields::new(table, "the table of `wampcra`", faults);
                let key = fields.require::<Confidential>("key");
                let salt = fields.require::<String>("salt");
                let iterations = fields.require::<Within<1, 10_000_000>>("iterations");
                let keylen = fields.require::<Within<1, 64>>("keylen");
                fields.finish();
                let salting = Salting {
                    salt: salt?.value.into(),
                    iterations: iterations?.value.0,
                    keylen: u8::try_from(keylen?.value.0).unwrap_or(u8::MAX),
                };
                Some(Self(Key::derived(key?.value.0, salting)))
            }
            _ => Confidential::read(item, faults).map(|Confidential(secret)| Self(Key::plain(secret))),
        }
    }
}

/// An integer from the first to the last of these.
struct Within<const FIRST: u32, const LAST: u32>(u32);

impl<const FIRST: u32, const LAST: u32> Setting for Within<FIRST, LAST> {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        let place = item.place.clone();
        let number = usize::read(item, faults)?;
        let within = u32::try_from(number).ok().filter(|number| (FIRST..=LAST).contains(number));
        if within.is_none() {
            faults.error(&place, format!("{number} is not from {FIRST} to {LAST}"));
        }
        within.map(Self)
    }
}

/// The keys that `wamp-router passwd` derives from a password.
struct ScramKeys {
    kdf: Kdf,
    salt: Vec<u8>,
    stored: [u8; 32],
    server: [u8; 32],
}

impl Setting for ScramKeys {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        let Value::Table(table) = item.value else {
            faults.error(&item.place, "a table is expected here, as `wamp-router passwd` prints it");
            return None;
        };
        let mut fields = Fields::new(table, "the table of keys", faults);
        let kdf = fields.require::<String>("kdf");
        let iterations = fields.require::<Within<1, 10_000_000>>("iterations");
        let memory = fields.read_at::<Within<256, 1_048_576>>("memory");
        let salt = fields.require::<Base64>("salt");
        let (stored, server) =
            (fields.require::<Base64>("stored_key"), fields.require::<Base64>("server_key"));
        let kdf = kdf.and_then(|kdf| match (&*kdf.value, iterations?.value.0, memory) {
            ("pbkdf2", iterations, None) => Some(Kdf::Pbkdf2 { iterations }),
            ("argon2id13", iterations, Some(memory)) => {
                Some(Kdf::Argon2id { iterations, memory: memory.value.0 })
            }
            ("argon2id13", ..) => {
                fields.faults.error(&kdf.place, "`argon2id13` needs `memory`, in KiB");
                None
            }
            ("pbkdf2", _, Some(memory)) => {
                fields.faults.error(&memory.place, "`pbkdf2` has no `memory`");
                None
            }
            (other, ..) => {
                fields
                    .faults
                    .error(&kdf.place, format!("{other:?} is not one of \"argon2id13\", \"pbkdf2\""));
                None
            }
        });
        let mut key = |read: Option<At<Base64>>| {
            let At { value: Base64(bytes), place } = read?;
            let length = bytes.len();
            let key = <[u8; 32]>::try_from(bytes).ok();
            if key.is_none() {
                fields.faults.error(&place, format!("the key has {length} bytes, not 32"));
            }
            key
        };
        let (stored, server) = (key(stored), key(server));
        fields.finish();
        Some(Self { kdf: kdf?, salt: salt?.value.0, stored: stored?, server: server? })
    }
}

struct Base64(Vec<u8>);

impl Setting for Base64 {
    fn read(item: Item, faults: &mut Faults) -> Option<Self> {
        let place = item.place.clone();
        let text = String::read(item, faults)?;
        let bytes = STANDARD.decode(&text).ok();
        if bytes.is_none() {
            faults.error(&place, "this is not base64");
        }
        bytes.map(Self)
    }
}

/// Writes a principal as TOML, without its secrets.
pub(crate) fn write(out: &mut String, principal: &Principal) {
    let text = |text: &wamp_proto::ByteString| text.to_string();
    let roles: Vec<String> = principal.roles().iter().map(text).collect();
    let _ = writeln!(out, "\n[[realm.principal]]\nauthid = {:?}\nrole = {roles:?}", text(principal.authid()));
    let keys = [
        (Method::Ticket, "ticket"),
        (Method::WampCra, "wampcra"),
        (Method::Cryptosign, "cryptosign"),
        (Method::WampScram, "wamp_scram"),
        (Method::Scram, "scram"),
    ];
    for (_, key) in keys.into_iter().filter(|(method, _)| principal.has(*method)) {
        let _ = writeln!(out, "#{key} = \"…\"");
    }
}

/// Writes keys as `wamp-router passwd` prints them.
pub(crate) fn written(keys: &Keys) -> String {
    let costs = match keys.kdf() {
        Kdf::Pbkdf2 { iterations } => format!("kdf = \"pbkdf2\", iterations = {iterations}"),
        Kdf::Argon2id { iterations, memory } => {
            format!("kdf = \"argon2id13\", iterations = {iterations}, memory = {memory}")
        }
    };
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    format!(
        "{{ {costs}, salt = \"{}\", stored_key = \"{}\", server_key = \"{}\" }}",
        encoded(keys.salt()),
        encoded(keys.stored_key().bytes()),
        encoded(keys.server_key().bytes())
    )
}
