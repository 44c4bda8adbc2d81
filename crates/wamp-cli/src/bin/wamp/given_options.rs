//! Options of messages from the command line: `-o KEY=VALUE`.

use crate::arguments::json_or_string;
use crate::document::Document;
use crate::fail::Fail;

/// The options that have no option of the command line.
#[derive(clap::Args, Debug)]
pub(crate) struct GivenOptions {
    /// Set an option of the message by its name in the specification, such as disclose_me=true. The value is JSON, otherwise
    /// a string.
    #[arg(short, long, value_name = "KEY=VALUE")]
    option: Vec<String>,
}

impl GivenOptions {
    /// Reads the values.
    ///
    /// # Errors
    /// Names the first one that cannot be read.
    pub(crate) fn read(&self) -> Result<Vec<(String, Document)>, Fail> {
        self.option.iter().map(|text| read(text)).collect()
    }
}

fn read(text: &str) -> Result<(String, Document), Fail> {
    let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
        return Err(Fail::usage(format!("--option: not KEY=VALUE: {text}")));
    };
    let value = json_or_string(value).map_err(|error| Fail::usage(format!("option {key}: {error}")))?;
    Ok((key.to_owned(), value))
}
