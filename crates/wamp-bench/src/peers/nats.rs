//! NATS: async-nats at both ends of a nats-server that the user has.

use std::process::Stdio;

use async_nats::{Client, Subscriber as Messages};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::events::{self, Publisher, Subscriber};
use super::{Measured, Scenario, check, measure_calls};
use crate::Failed;
use crate::numbered::{DIGITS, Template};
use crate::options::Options;

const ECHO: &str = "bench.echo";
const TOPIC: &str = "bench.event";

/// The name and version that the server reports; an error if there is none.
pub(super) async fn version(options: &Options) -> Result<String, Failed> {
    let output = Command::new(&options.nats_server).arg("--version").output().await;
    let output = output.map_err(|error| format!("{}: {error}", options.nats_server))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A server that ends when this is dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    async fn start(options: &Options) -> Result<Self, Failed> {
        // Port -1 is a free one, which its log names.
        let mut child = Command::new(&options.nats_server)
            .args(["--addr", "127.0.0.1", "--port", "-1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let log = child.stderr.take().ok_or("no standard error")?;
        let mut log = BufReader::new(log).lines();
        while let Some(line) = log.next_line().await? {
            if let Some((_, address)) = line.split_once("Listening for client connections on ") {
                let url = format!("nats://{}", address.trim());
                // The rest of the log has to go somewhere.
                tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
                return Ok(Self { child, url });
            }
        }
        Err("nats-server did not start".into())
    }

    async fn connect(&self) -> Result<Client, Failed> {
        Ok(async_nats::connect(self.url.as_str()).await?)
    }
}

/// Subscribes, and returns when the server knows of it: it answers the requests of a connection in order.
async fn subscribe(client: &Client, subject: &'static str) -> Result<Messages, Failed> {
    let messages = client.subscribe(subject).await?;
    let _ = client.request("bench.nobody", Bytes::new()).await;
    Ok(messages)
}

/// `None` for a scenario without a counterpart in NATS.
pub(super) async fn measure(scenario: Scenario, options: &Options) -> Result<Option<Measured>, Failed> {
    let measured = match scenario {
        Scenario::Calls(many) => calls(options, many).await?,
        Scenario::Events(size, subscribers) => publish(options, size, subscribers).await?,
        Scenario::Stream(..) | Scenario::Fan => return Ok(None),
    };
    Ok(Some(measured))
}

async fn calls(options: &Options, many: usize) -> Result<Measured, Failed> {
    let server = Server::start(options).await?;
    let (callee, caller) = (server.connect().await?, server.connect().await?);
    let mut requests = subscribe(&callee, ECHO).await?;
    let answers = tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                let _ = callee.publish(reply, request.payload).await;
            }
        }
    });
    let measured = measure_calls(many, options, server.child.id(), move |number| {
        let (caller, question) = (caller.clone(), text(&mut Template::new(DIGITS), number));
        async move {
            let answer = caller.request(ECHO, question).await?;
            check(number, DIGITS, read(&answer.payload)?)
        }
    })
    .await;
    answers.abort();
    measured
}

async fn publish(options: &Options, size: usize, subscribers: usize) -> Result<Measured, Failed> {
    let server = Server::start(options).await?;
    let mut subscriptions = Vec::new();
    for _ in 0..subscribers {
        let client = server.connect().await?;
        let messages = subscribe(&client, TOPIC).await?;
        subscriptions.push(Subscription { messages, size, _client: client });
    }
    let publisher = Nats { client: server.connect().await?, template: Template::new(size) };
    events::measure(options, server.child.id(), publisher, subscriptions).await
}

struct Nats {
    client: Client,
    template: Template,
}

impl Publisher for Nats {
    async fn publish(&mut self, number: u64) -> Result<(), Failed> {
        Ok(self.client.publish(TOPIC, text(&mut self.template, number)).await?)
    }

    async fn flush(&mut self) -> Result<(), Failed> {
        Ok(self.client.flush().await?)
    }
}

struct Subscription {
    messages: Messages,
    size: usize,
    _client: Client,
}

impl Subscriber for Subscription {
    async fn next(&mut self) -> Result<u64, Failed> {
        let message = self.messages.next().await.ok_or("the connection of a subscriber has ended")?;
        let (number, size) = read(&message.payload)?;
        check(number, self.size, (number, size))?;
        Ok(number)
    }
}

fn text(template: &mut Template, number: u64) -> Bytes {
    Bytes::copy_from_slice(template.with(number).as_bytes())
}

/// The number in a payload, and the payload's length.
fn read(payload: &[u8]) -> Result<(u64, usize), Failed> {
    let text = std::str::from_utf8(payload)?;
    let digits = text.get(..DIGITS).ok_or("no number")?;
    Ok((u64::from_str_radix(digits, 16)?, text.len()))
}
