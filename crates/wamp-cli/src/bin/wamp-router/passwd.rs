//! `wamp-router passwd`: keys that do not reveal a password.

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use wamp_router::auth::scram::{Dialect, Kdf, Keys};
use wamp_router::auth::wampcra::{self, Salting};
use wamp_router::auth::{Refusal, Secret};

use crate::config::scram_table;
use crate::terminal::{complain, print};

/// Argon2id with 64 MiB and 3 iterations: a fifth of a second for each guess.
const KDF: Kdf = Kdf::Argon2id { iterations: 3, memory: 64 << 10 };

const KEYLEN: u8 = 32;

#[derive(clap::Args)]
pub(crate) struct Passwd {
    /// Iterations of PBKDF2 for WAMP-CRA, which does not know Argon2. Fewer make a login cheaper for a slow client, and
    /// guesses cheaper for anyone who has the key.
    #[arg(long, value_name = "N", default_value_t = 600_000,
        value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    iterations: u32,
}

/// Reads a password, twice from a terminal or once from standard input, and prints the lines for a principal.
pub(crate) fn run(passwd: &Passwd) -> ExitCode {
    match read() {
        Ok(password) => match lines(&password, passwd.iterations) {
            Ok(lines) => {
                print(&lines);
                ExitCode::SUCCESS
            }
            Err(refusal) => fail(&refusal.to_string()),
        },
        Err(reason) => fail(&reason),
    }
}

fn fail(reason: &str) -> ExitCode {
    complain(&format!("Error: {reason}"));
    ExitCode::FAILURE
}

fn read() -> Result<Secret, String> {
    let password = match std::io::stdin().is_terminal() {
        true => {
            let ask = |prompt| rpassword::prompt_password(prompt).map(Secret::from);
            let failed = |error: std::io::Error| format!("cannot read the password: {error}");
            let first = ask("Password: ").map_err(failed)?;
            if first != ask("Again: ").map_err(failed)? {
                return Err("the two passwords differ".to_owned());
            }
            first
        }
        false => {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut line)
                .map_err(|error| format!("standard input: {error}"))?;
            Secret::from(line.trim_end_matches(['\r', '\n']))
        }
    };
    match password.bytes().is_empty() {
        true => Err("the password is empty".to_owned()),
        false => Ok(password),
    }
}

/// The lines of a principal with this password.
fn lines(password: &Secret, iterations: u32) -> Result<String, Refusal> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| Refusal("the system has no random numbers"))?;
    let text_salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
    let salting = Salting { salt: text_salt.as_str().into(), iterations, keylen: KEYLEN };
    let key = wampcra::derive(password, &salting);
    let key = key.text().unwrap_or_default();
    let mut lines = format!(
        "wampcra = {{ key = \"{key}\", salt = \"{text_salt}\", iterations = {iterations}, keylen = {KEYLEN} }}\n"
    );
    for (name, dialect) in [("wamp_scram", Dialect::Wamp), ("scram", Dialect::Autobahn)] {
        let keys = Keys::derive(dialect, KDF, password, &salt)?;
        lines.push_str(&format!("{name} = {}\n", scram_table(&keys)));
    }
    Ok(lines)
}
