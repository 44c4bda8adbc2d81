//! The table that is printed at the end.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::run::{Chapter, Outcome};

/// Prints every row, and how many passed.
pub fn print(chapters: &[Chapter], started: Instant) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for Chapter { title, outcomes } in chapters {
        say(&format!("\n{title}"));
        for Outcome { row, took, result } in outcomes {
            let verdict = if result.is_ok() { "ok" } else { "FAILED" };
            say(&format!("  {verdict:6}  {row:56} {}", seconds(*took)));
            match result {
                Ok(()) => passed += 1,
                Err(why) => {
                    failed += 1;
                    why.lines().for_each(|line| say(&format!("          {line}")));
                }
            }
        }
    }
    // No row has these words, which is a failure too.
    let success = passed > 0 && failed == 0;
    let verdict = if success { "ok" } else { "FAILED" };
    let took = seconds(started.elapsed());
    say(&format!("\ntest result: {verdict}. {passed} passed; {failed} failed; finished in {took}"));
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says why no row was run.
pub fn could_not_start(why: &str) -> ExitCode {
    say(&format!("{why}\n\ntest result: FAILED. No row was run"));
    ExitCode::FAILURE
}

fn seconds(duration: Duration) -> String {
    format!("{:5.1} s", duration.as_secs_f64())
}

#[expect(clippy::print_stdout, reason = "the program's output")]
pub fn say(line: &str) {
    println!("{line}");
}
