//! The commands beside serving.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use crate::config::{Config, Faults};
use crate::convert;
use crate::options::{Check, Convert, Init, Settings};
use crate::terminal::{complain, has_colors, print, say};

/// The exit code for a configuration that cannot be used, as for wrong options.
const WRONG_CONFIGURATION: u8 = 2;

/// Loads the configuration. Its faults are printed on standard error.
///
/// # Errors
/// It cannot be used.
pub(crate) fn load(settings: &Settings) -> Result<Config, ExitCode> {
    let (config, faults) = Config::load(settings);
    show(&faults);
    config.ok_or_else(|| ExitCode::from(WRONG_CONFIGURATION))
}

fn show(faults: &Faults) {
    let shown = faults.render(has_colors());
    if !shown.is_empty() {
        complain(&shown);
    }
}

/// `wamp-router check`.
pub(crate) fn check(check: &Check) -> ExitCode {
    let settings =
        Settings { config: Some(check.file.clone()), set: check.set.clone(), ..Settings::default() };
    let (config, faults) = Config::load(&settings);
    match check.json {
        true => print(&faults.to_json_lines()),
        false => show(&faults),
    }
    let Some(config) = config else { return ExitCode::from(WRONG_CONFIGURATION) };
    match (check.print, check.json) {
        (true, _) => print(&config.to_toml(false)),
        (false, true) => {}
        (false, false) => say(&format!("{} is a good configuration", check.file.display())),
    }
    ExitCode::SUCCESS
}

/// `wamp-router init`.
pub(crate) fn init(init: &Init) -> ExitCode {
    let text = Config::default().to_toml(true);
    let Some(path) = &init.file else {
        print(&text);
        return ExitCode::SUCCESS;
    };
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => {
            say(&format!("Wrote {}; start with `wamp-router --config {}`", path.display(), path.display()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&format!("Error: {}: {error}", path.display()));
            ExitCode::FAILURE
        }
    }
}

/// `wamp-router convert`.
pub(crate) fn convert(options: &Convert) -> ExitCode {
    let path = &options.file;
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    match text.and_then(|text| convert::convert(&text, path)) {
        Ok(converted) => {
            print(&converted);
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&format!("Error: {error}"));
            ExitCode::FAILURE
        }
    }
}
