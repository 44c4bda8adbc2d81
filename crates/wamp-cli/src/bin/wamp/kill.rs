//! `wamp kill`: ends sessions.

use wamp_client::{CallError, Session};
use wamp_proto::SessionId;

use crate::connect::{Lasting, connect, unless_ended};
use crate::fail::{Code, Fail};
use crate::options::Global;
use crate::output::{Form, Object, Output};
use crate::signals::Signals;

/// End sessions of the realm, with wamp.session.kill. `wamp ps sessions` lists them.
///
/// It prints nothing, or with --json one object for each session that was ended.
#[derive(clap::Args)]
pub(crate) struct Kill {
    /// Ids of the sessions.
    #[arg(value_name = "SESSION", required = true, value_parser = session)]
    sessions: Vec<SessionId>,

    /// Reason of the GOODBYE that they get, a URI. By default wamp.close.killed.
    #[arg(long, value_name = "URI")]
    reason: Option<String>,

    /// Text of the GOODBYE that they get.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
}

fn session(text: &str) -> Result<SessionId, String> {
    text.parse().ok().and_then(SessionId::new).ok_or_else(|| "not a number between 1 and 2^53".to_owned())
}

pub(crate) async fn run(kill: Kill, global: &Global, mut signals: Signals) -> Result<Code, Fail> {
    let session = connect(global, Lasting::Once, &mut signals).await?;
    let mut output = Output::new(Form::new(global, false));
    let ended = unless_ended(&mut signals, kill_all(&kill, &session, &mut output)).await;
    session.leave().await;
    // Those that were ended before an error are printed.
    output.flush()?;
    ended??;
    Ok(Code::Done)
}

async fn kill_all(kill: &Kill, session: &Session, output: &mut Output) -> Result<(), Fail> {
    for id in &kill.sessions {
        let mut request = session.meta().kill(*id);
        if let Some(reason) = &kill.reason {
            request = request.reason(reason.clone());
        }
        if let Some(message) = &kill.message {
            request = request.message(message.clone());
        }
        request.await.map_err(|error| failed(*id, &error))?;
        if output.form() == Form::Objects {
            output.object(Object::new("killed").number("session", id.get()))?;
        }
    }
    Ok(())
}

fn failed(session: SessionId, error: &CallError) -> Fail {
    let fail = Fail::call(&format!("session {}", session.get()), error);
    let may_not = |uri: &str| matches!(uri, "wamp.error.not_authorized" | "wamp.error.no_such_procedure");
    match error.uri().is_some_and(|uri| may_not(uri)) {
        true => fail.hint("a realm of wamp-router lets its sessions do this with meta = \"control\""),
        false => fail,
    }
}
