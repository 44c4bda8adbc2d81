//! `wamp completion`: scripts for shells.

use clap_complete::Shell;

use crate::fail::{Code, Fail};
use crate::options;
use crate::output::{Form, Output};

/// Print the completion script of a shell.
///
/// For bash: `wamp completion bash > ~/.local/share/bash-completion/completions/wamp`.
#[derive(clap::Args)]
pub(crate) struct Completion {
    /// Shell.
    shell: Shell,
}

pub(crate) fn run(completion: &Completion) -> Result<Code, Fail> {
    let mut script = Vec::new();
    clap_complete::generate(completion.shell, &mut options::command(), "wamp", &mut script);
    let mut output = Output::new(Form::Values);
    output.line(String::from_utf8_lossy(&script).trim_end())?;
    output.flush()?;
    Ok(Code::Done)
}
