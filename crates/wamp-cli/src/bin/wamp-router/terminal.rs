//! Output for people. A closed output does not stop the program.

use std::io::{IsTerminal, Write};

/// Whether standard error is a terminal that shows colors (no-color.org).
pub(crate) fn has_colors() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !no_color
}

/// Prints a line.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a line on standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints lines that end with a line feed.
pub(crate) fn print(lines: &str) {
    let _ = std::io::stdout().write_all(lines.as_bytes());
}
