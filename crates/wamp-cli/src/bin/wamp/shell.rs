//! Commands of the shell that get the arguments of a message.

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::process::Command;

use crate::document::{Arguments, Document};

/// The longest arguments in the environment, in bytes.
const ENVIRONMENT: usize = 64 << 10;

/// Returns a command of the shell with the arguments in its environment.
pub(crate) fn command(text: &str, arguments: &Arguments) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(text);
    let args = Document::List(arguments.args.clone()).to_json();
    let kwargs = Document::Dict(arguments.kwargs.clone()).to_json();
    for (name, json) in [("WAMP_ARGS_JSON", args), ("WAMP_KWARGS_JSON", kwargs)] {
        match json.len() <= ENVIRONMENT {
            true => command.env(name, json),
            false => command.env_remove(name),
        };
    }
    command
}

/// Writes arguments as a line. Returns whether the program still reads.
pub(crate) async fn write_line(stdin: &mut (impl AsyncWrite + Unpin), args: Vec<Document>) -> bool {
    let line = Document::List(args).to_json() + "\n";
    stdin.write_all(line.as_bytes()).await.is_ok() && stdin.flush().await.is_ok()
}
