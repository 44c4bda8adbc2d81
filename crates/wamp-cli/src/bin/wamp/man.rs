//! `wamp man`: manual pages.

use std::path::PathBuf;

use crate::fail::{Code, Fail};
use crate::options;

/// Write a manual page for each command into a directory.
///
/// `wamp man ~/.local/share/man/man1`, then `man wamp-call`.
#[derive(clap::Args)]
pub(crate) struct Man {
    /// Directory, which is created if it is missing.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(man: &Man) -> Result<Code, Fail> {
    let failed = |error| Fail::usage(format!("{}: {error}", man.directory.display()));
    std::fs::create_dir_all(&man.directory).map_err(failed)?;
    // The subcommand `help` has no use as a page.
    let command = options::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, &man.directory).map_err(failed)?;
    // Again, without the options of all other commands: wamp-router.1 is the page of both programs.
    let router = wamp_cli::router_command().disable_help_subcommand(true);
    clap_mangen::generate_to(router, &man.directory).map_err(failed)?;
    Ok(Code::Done)
}
