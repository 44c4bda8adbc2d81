//! Calls `com.myapp.longop` and prints each partial result when it arrives, and then the last.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use wamp_client::ConnectError;

#[path = "longop_options.rs"]
mod longop_options;
use longop_options::Options;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {}", in_words(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let session = options.connect().await?;
    let total: u64 = session
        .call(options.procedure.as_str())
        .args((options.n,))
        .on_progress(|i: u64| println!("Progress: {i}"))
        .await?
        .decode()?;
    println!("Final: {total}");
    session.leave().await;
    Ok(())
}

/// `<uri>: <arguments>` for a failed call, `<kind>: <cause>` for a failed connection.
fn in_words(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref::<ConnectError>() {
        Some(error) => format!("{}: {error}", error.kind()),
        None => error.to_string(),
    }
}
