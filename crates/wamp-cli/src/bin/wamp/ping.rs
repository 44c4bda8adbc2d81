//! `wamp ping`: joins, and measures the time until an answer.

use std::time::{Duration, Instant};

use wamp_client::{CallError, Session};

use crate::connect::{Lasting, Settings, connect_with, unless_ended};
use crate::document::Document;
use crate::fail::{Code, Fail};
use crate::options::{Global, time};
use crate::output::{Form, Object, Output};
use crate::signals::Signals;

/// The procedure that is called. An error is an answer, too, such as that of a router without this procedure.
const PROCEDURE: &str = "wamp.session.count";

/// Join the realm and measure the time that the router takes to answer. It calls wamp.session.count; an error is an
/// answer, too.
#[derive(clap::Args)]
pub(crate) struct Ping {
    /// Number of calls; 0: until Ctrl-C.
    #[arg(long, value_name = "N", default_value_t = 4)]
    count: u64,

    /// Time from one call to the next.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    interval: Duration,

    /// Time for each answer.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    timeout: Duration,
}

pub(crate) async fn run(ping: Ping, global: &Global, mut signals: Signals) -> Result<Code, Fail> {
    let start = Instant::now();
    let settings = Settings::new(global)?;
    let session = connect_with(&settings, global, Lasting::Once, &mut signals).await?;
    let mut output = Output::new(Form::new(global, false));
    show_joined(&mut output, &session, settings.realm(), start.elapsed())?;
    let ended = unless_ended(&mut signals, measure(&ping, &session, &mut output)).await;
    let times = match ended {
        Ok(times) => times?,
        Err(fail) => {
            session.leave().await;
            return Err(fail);
        }
    };
    show_summary(&mut output, &times)?;
    session.leave().await;
    Ok(Code::Done)
}

/// Makes the calls and returns their times.
async fn measure(ping: &Ping, session: &Session, output: &mut Output) -> Result<Vec<Duration>, Fail> {
    let mut times = Vec::new();
    for number in 1.. {
        let start = Instant::now();
        match session.call(PROCEDURE).deadline(ping.timeout).await {
            Ok(_) | Err(CallError::Application { .. }) => {}
            Err(error) => return Err(Fail::call("ping", &error)),
        }
        let time = start.elapsed();
        match output.form() {
            Form::Objects => {
                output.object(Object::new("answer").number("number", number).with("ms", ms(time)))?;
            }
            _ => output.line(&format!("answer {number}: {}", shown(time)))?,
        }
        output.flush()?;
        // Calls without end do not fill the memory.
        if ping.count != 0 {
            times.push(time);
        }
        if number == ping.count {
            break;
        }
        tokio::time::sleep(ping.interval.saturating_sub(time)).await;
    }
    Ok(times)
}

/// Shows the session and its identity.
pub(crate) fn show_joined(
    output: &mut Output,
    session: &Session,
    realm: &str,
    time: Duration,
) -> Result<(), Fail> {
    let joined = session.joined();
    let serializer = session.serializer().to_string();
    let (agent, authid, authrole) =
        (joined.agent.as_deref(), joined.authid.as_deref(), joined.authrole.as_deref());
    match output.form() {
        Form::Objects => {
            let optional =
                |text: Option<&str>| text.map_or(Document::Null, |text| Document::Text(text.to_owned()));
            output.object(
                Object::new("joined")
                    .number("session", joined.session.get())
                    .text("realm", realm)
                    .text("serializer", &serializer)
                    .with("agent", optional(agent))
                    .with("authid", optional(authid))
                    .with("authrole", optional(authrole))
                    .with("ms", ms(time)),
            )?;
        }
        _ => {
            let plain = |text: Option<&str>| {
                text.map_or_else(|| "unknown".to_owned(), |text| wamp_proto::shown(text, 100).to_string())
            };
            output.line(&format!(
                "joined {} as session {} in {}: router {}, {serializer}, authid {}, role {}",
                realm,
                joined.session.get(),
                shown(time),
                plain(agent),
                plain(authid),
                plain(authrole)
            ))?;
        }
    }
    output.flush()
}

fn show_summary(output: &mut Output, times: &[Duration]) -> Result<(), Fail> {
    let (Some(least), Some(most)) = (times.iter().min(), times.iter().max()) else { return Ok(()) };
    let sum: Duration = times.iter().sum();
    let mean = sum / u32::try_from(times.len()).unwrap_or(u32::MAX);
    match output.form() {
        Form::Objects => output.object(
            Object::new("summary")
                .number("answers", times.len() as i128)
                .with("min_ms", ms(*least))
                .with("mean_ms", ms(mean))
                .with("max_ms", ms(*most)),
        )?,
        _ => output.line(&format!(
            "{} answers: min {}, mean {}, max {}",
            times.len(),
            shown(*least),
            shown(mean),
            shown(*most)
        ))?,
    }
    output.flush()
}

fn shown(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

fn ms(time: Duration) -> Document {
    // Microseconds, without the noise of a float.
    Document::Float((time.as_secs_f64() * 1e6).round() / 1e3)
}
