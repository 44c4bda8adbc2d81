//! The program `wamp-router`.

use std::process::ExitCode;

fn main() -> ExitCode {
    wamp_cli::router("wamp-router", std::env::args_os().skip(1))
}
