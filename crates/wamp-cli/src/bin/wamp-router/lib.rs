//! The router as a program: `wamp-router`, which is `wamp router`, too.

#[cfg(feature = "admin")]
mod admin;
mod commands;
mod config;
mod convert;
mod log;
mod options;
mod passwd;
mod running;
mod serve;
mod systemd;
mod terminal;
mod tls;
#[cfg(feature = "tls-dev")]
mod tls_dev;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::options::{Command, Options};

/// Returns memory to the operating system soon after it was freed.
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Runs the program under a name, with these arguments. It does not return for wrong ones, nor for `--help`.
pub fn router(name: &str, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(feature = "jemalloc")))]
    set_up_allocator();
    let line = std::iter::once(name.into()).chain(arguments);
    let matches = router_command().bin_name(name.to_owned()).get_matches_from(line);
    let options = match Options::from_arg_matches(&matches) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    match options.command {
        Some(Command::Run(settings)) => serve::run(&settings),
        Some(Command::Check(check)) => commands::check(&check),
        Some(Command::Init(init)) => commands::init(&init),
        Some(Command::Convert(convert)) => commands::convert(&convert),
        Some(Command::Passwd(passwd)) => passwd::run(&passwd),
        None => serve::run(&options.settings),
    }
}

/// Returns the command line of the program, for manual pages and completion.
pub fn router_command() -> clap::Command {
    Options::command()
}

/// Keeps the limits of the C library's allocator where they are.
///
/// It has memory of 128 KiB and more from the system, and returns it to the system at once. But with each such piece that
/// is freed it raises this limit, up to 32 MiB, and memory below it stays with the program: 50 to 90 MiB after a few
/// messages of 16 MiB. Fixed limits do not rise. The allocator reads them from the environment when a program starts, so
/// this program starts once more, as the same process, unless they are set. With the limits of 128 KiB
/// every buffer of a busy connection would come from the system; 1 MiB costs nothing that can be measured.
#[cfg(all(target_os = "linux", target_env = "gnu", not(feature = "jemalloc")))]
fn set_up_allocator() {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    const LIMITS: [(&str, &str); 2] =
        [("MALLOC_MMAP_THRESHOLD_", "1048576"), ("MALLOC_TRIM_THRESHOLD_", "2097152")];
    if LIMITS.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let mut arguments = std::env::args_os();
    if let (Some(name), Ok(program)) = (arguments.next(), std::env::current_exe()) {
        // `exec` returns only if it fails; the router then serves without these limits.
        let _error = Command::new(program).arg0(name).args(arguments).envs(LIMITS).exec();
    }
}
