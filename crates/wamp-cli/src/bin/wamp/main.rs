//! The program `wamp`: a WAMP client for the command line.
//!
//! One file for each subcommand. Standard output has data only; notes and errors go to standard error. The exit codes
//! are in [`fail`].

mod admin;
mod arguments;
mod bench;
mod call;
mod completion;
mod connect;
mod context;
mod credentials;
mod document;
mod fail;
mod given_options;
mod groups;
mod input;
mod insecure;
mod kill;
mod man;
mod options;
mod output;
mod ping;
mod ps;
mod publish;
mod register;
mod shell;
mod signals;
mod subscribe;

use std::process::ExitCode;

use crate::fail::{Code, Fail};
use crate::options::{Command, Options};
use crate::signals::Signals;

fn main() -> ExitCode {
    // The router has options of its own, some with the names of options here.
    let mut line = std::env::args_os().skip(1);
    if line.next().is_some_and(|word| word == options::ROUTER) {
        return wamp_cli::router("wamp router", line);
    }
    let Options { global, command } = options::parse();
    let run = async {
        let signals = Signals::listen()?;
        match command {
            Command::Call(call) => call::run(call, &global, signals).await,
            Command::Publish(publish) => publish::run(publish, &global, signals).await,
            Command::Subscribe(subscribe) => subscribe::run(subscribe, &global, signals).await,
            Command::Register(register) => register::run(register, &global, signals).await,
            Command::Ping(ping) => ping::run(ping, &global, signals).await,
            Command::Top(top) => admin::top::run(top, &global, signals).await,
            Command::Ps(ps) => ps::run(ps, &global, signals).await,
            Command::Context(context) => context::run(context, &global, signals).await,
            Command::Completion(completion) => completion::run(&completion),
            Command::Man(man) => man::run(&man),
            Command::Bench(bench) => bench::run(bench, &global, signals).await,
            Command::Kill(kill) => kill::run(kill, &global, signals).await,
        }
    };
    output::set_up(&global);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(run);
            // A thread that waits for standard input does not hold the program.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(Fail::new(Code::Usage, format!("cannot start: {error}"))),
    };
    match ended {
        Ok(code) => code.into(),
        Err(fail) => fail.report(),
    }
}
