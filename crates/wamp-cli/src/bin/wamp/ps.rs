//! `wamp ps`: the sessions, registrations and subscriptions of a realm, from its meta API, and the calls in flight,
//! from the admin listener.

use clap::Subcommand;
use futures_util::{StreamExt, TryStreamExt, stream};
use wamp_client::{CallError, Meta, PatternInfo, Session, SessionInfo};
use wamp_proto::{RegistrationId, SubscriptionId, shown};

use crate::admin::calls;
use crate::connect::{Lasting, connect, unless_ended};
use crate::document::Document;
use crate::fail::{Code, Fail};
use crate::options::Global;
use crate::output::{Form, Object, Output};
use crate::signals::Signals;

/// The details that are asked for at the same time.
const AT_A_TIME: usize = 32;

/// The longest text in a column, in bytes.
const COLUMN: usize = 80;

/// List what is in a realm, from the meta API of the router, or what it does. With --json each entry is an object in a
/// line.
#[derive(clap::Args)]
pub(crate) struct Ps {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    #[command(flatten)]
    Realm(InRealm),
    Calls(calls::Calls),
}

#[derive(Subcommand)]
enum InRealm {
    /// List the sessions. A star is behind that of this command.
    Sessions {
        /// Only those with this role. May be given several times.
        #[arg(long, value_name = "NAME")]
        role: Vec<String>,
    },
    /// List the registrations, with the number of their callees.
    Registrations,
    /// List the subscriptions, with the number of their subscribers.
    Subscriptions,
}

pub(crate) async fn run(ps: Ps, global: &Global, mut signals: Signals) -> Result<Code, Fail> {
    let what = match ps.what {
        What::Calls(calls) => return calls::run(calls, global, signals).await,
        What::Realm(what) => what,
    };
    let session = connect(global, Lasting::Once, &mut signals).await?;
    let listed = unless_ended(&mut signals, list(&what, &session)).await;
    session.leave().await;
    let table = listed?.map_err(|error| Fail::call("the meta API", &error))?;
    let mut output = Output::new(Form::new(global, false));
    table.show(&mut output)?;
    output.flush()?;
    Ok(Code::Done)
}

async fn list(what: &InRealm, session: &Session) -> Result<Table, CallError> {
    let meta = session.meta();
    match what {
        InRealm::Sessions { role } => sessions(&meta, role, session).await,
        InRealm::Registrations => registrations(&meta).await,
        InRealm::Subscriptions => subscriptions(&meta).await,
    }
}

async fn sessions(meta: &Meta, roles: &[String], own: &Session) -> Result<Table, CallError> {
    let asked = roles.iter().fold(meta.sessions(), |sessions, role| sessions.with_role(role));
    let ids = asked.list().await?;
    let details = stream::iter(ids.into_iter().map(|id| meta.session(id))).buffered(AT_A_TIME);
    // A session may have left meanwhile.
    let found: Vec<SessionInfo> = details.try_filter_map(|info| async { Ok(info) }).try_collect().await?;
    let names = ["SESSION", "AUTHID", "ROLE", "METHOD", "TRANSPORT", "SERIALIZER", "PEER", "OWN"];
    let mut table = Table::new("session", names);
    for info in found {
        let transport = info.transport.unwrap_or_default();
        table.add([
            id(info.session.get()),
            text(info.authid),
            text(info.authrole),
            text(info.authmethod),
            text(transport.protocol),
            text(transport.serializer),
            text(transport.peer),
            Document::Bool(info.session == own.id()),
        ]);
    }
    Ok(table)
}

async fn registrations(meta: &Meta) -> Result<Table, CallError> {
    let ids: Vec<RegistrationId> = meta.registrations().await?.iter().copied().collect();
    let found = details(ids, |id| async move {
        let Some(info) = meta.registration(id).await? else { return Ok(None) };
        Ok(Some((info, unless_gone(meta.count_callees(id).await)?)))
    });
    let mut table = Table::new("registration", ["ID", "PROCEDURE", "MATCH", "INVOKE", "CALLEES", "CREATED"]);
    for (info, callees) in found.await? {
        let invoke = info.invoke.map(|policy| policy.as_str().to_owned());
        table.add([
            id(info.id.get()),
            Document::Text(info.uri.to_string()),
            Document::Text(info.policy.as_str().to_owned()),
            text(invoke),
            callees.map_or(Document::Null, id),
            text(info.created),
        ]);
    }
    Ok(table)
}

async fn subscriptions(meta: &Meta) -> Result<Table, CallError> {
    let ids: Vec<SubscriptionId> = meta.subscriptions().await?.iter().copied().collect();
    let found = details(ids, |id| async move {
        let Some(info) = meta.subscription(id).await? else { return Ok(None) };
        Ok(Some((info, unless_gone(meta.count_subscribers(id).await)?)))
    });
    let mut table = Table::new("subscription", ["ID", "TOPIC", "MATCH", "SUBSCRIBERS", "CREATED"]);
    for (info, subscribers) in found.await? {
        table.add([
            id(info.id.get()),
            Document::Text(info.uri.to_string()),
            Document::Text(info.policy.as_str().to_owned()),
            subscribers.map_or(Document::Null, id),
            text(info.created),
        ]);
    }
    Ok(table)
}

/// Returns patterns and the numbers of their sessions, in the order of their URIs.
async fn details<Id, F>(ids: Vec<Id>, ask: impl Fn(Id) -> F) -> Result<Vec<Pattern<Id>>, CallError>
where
    F: Future<Output = Result<Option<Pattern<Id>>, CallError>>,
{
    let asked = stream::iter(ids.into_iter().map(ask)).buffered(AT_A_TIME);
    // A pattern may have gone meanwhile.
    let mut found: Vec<_> = asked.try_filter_map(|info| async { Ok(info) }).try_collect().await?;
    found.sort_by(|(one, _): &Pattern<Id>, (other, _)| one.uri.cmp(&other.uri));
    Ok(found)
}

/// A pattern, and the number of its sessions, if it was still there.
type Pattern<Id> = (PatternInfo<Id>, Option<u64>);

/// A number that may be gone since its object was listed.
fn unless_gone(counted: Result<u64, CallError>) -> Result<Option<u64>, CallError> {
    match counted {
        Ok(count) => Ok(Some(count)),
        Err(CallError::Application { uri, .. }) if uri.starts_with("wamp.error.no_such_") => Ok(None),
        Err(error) => Err(error),
    }
}

fn id(number: u64) -> Document {
    Document::Integer(number.into())
}

fn text(text: Option<String>) -> Document {
    text.map_or(Document::Null, Document::Text)
}

/// Rows of values under the names of their columns.
struct Table {
    kind: &'static str,
    names: Vec<&'static str>,
    rows: Vec<Vec<Document>>,
}

impl Table {
    fn new<const N: usize>(kind: &'static str, names: [&'static str; N]) -> Self {
        Self { kind, names: names.to_vec(), rows: Vec::new() }
    }

    fn add<const N: usize>(&mut self, row: [Document; N]) {
        self.rows.push(row.to_vec());
    }

    fn show(self, output: &mut Output) -> Result<(), Fail> {
        match output.form() {
            Form::Objects => self.rows.into_iter().try_for_each(|row| {
                let object = Object::new(self.kind);
                let row = self.names.iter().zip(row);
                output.object(
                    row.fold(object, |object, (name, value)| object.with(&name.to_lowercase(), value)),
                )
            }),
            _ => lines(&self.names, &self.rows).iter().try_for_each(|line| output.line(line)),
        }
    }
}

/// The table as text. Texts of others are cut and escaped.
fn lines(names: &[&str], rows: &[Vec<Document>]) -> Vec<String> {
    let cell = |value: &Document| match value {
        Document::Null => "-".to_owned(),
        Document::Bool(is_so) => if *is_so { "*" } else { "" }.to_owned(),
        Document::Text(text) => shown(text, COLUMN).to_string(),
        other => other.to_json(),
    };
    let head: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<Vec<String>> =
        std::iter::once(head).chain(rows.iter().map(|row| row.iter().map(cell).collect())).collect();
    let width = |column: usize| {
        all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_value() {
        let row = |number: u64, name: Option<&str>| vec![id(number), text(name.map(str::to_owned))];
        let shown = lines(&["ID", "NAME"], &[row(7, Some("a\u{1b}[31m")), row(12345, None)]);
        assert_eq!(shown, ["ID     NAME", "7      a\\u{1b}[31m", "12345  -"]);
    }
}
