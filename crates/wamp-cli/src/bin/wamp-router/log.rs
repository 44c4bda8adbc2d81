//! The log on standard error.

use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::options::LogFormat;
use crate::terminal::has_colors;

/// Replaces the filter of a log.
type SetFilter = Box<dyn Fn(EnvFilter) -> bool + Send>;

/// The log, whose filter can change.
pub(crate) struct Log(SetFilter);

impl Log {
    /// Starts the log. There is only one.
    pub(crate) fn start(config: &Config) -> Self {
        let log = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(&config.log))
            .with_writer(std::io::stderr)
            // A closed pipe would be reported on the closed pipe, with a panic.
            .log_internal_errors(false);
        match config.log_format {
            LogFormat::Text => {
                let log = log.with_ansi(has_colors()).with_filter_reloading();
                let handle = log.reload_handle();
                log.init();
                Self(Box::new(move |filter| handle.reload(filter).is_ok()))
            }
            LogFormat::Json => {
                let log = log.json().with_filter_reloading();
                let handle = log.reload_handle();
                log.init();
                Self(Box::new(move |filter| handle.reload(filter).is_ok()))
            }
        }
    }

    /// Changes the filter, which has been checked.
    pub(crate) fn set_filter(&self, filter: &str) {
        if !(self.0)(EnvFilter::new(filter)) {
            tracing::error!(filter, "the filter of the log stays as it was");
        }
    }
}
