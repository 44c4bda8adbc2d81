//! gRPC with tonic: a client, a relay that passes every message on, and a server. The service is written by hand, so
//! that nothing has to be generated.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{ServerStreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{CONNECTIONS, Measured, Meter, Scenario, check, measure_calls, measure_fan, warm_up};
use crate::Failed;
use crate::options::{Options, Transport};
use crate::order::{Order, Wrong};
use crate::report::say;
use crate::target::Own;

const RESULTS: &str = "/bench.Bench/Results";
const ECHO: &str = "/bench.Bench/Echo";

/// The number of results between two reads of the clock.
const LOOK: u64 = 16;

#[derive(Clone, PartialEq, prost::Message)]
struct Wanted {
    #[prost(uint64, tag = "1")]
    size: u64,
    #[prost(uint64, tag = "2")]
    millis: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Item {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(bytes = "bytes", tag = "2")]
    payload: Bytes,
    /// The number of results.
    #[prost(bool, tag = "3")]
    is_last: bool,
}

#[derive(Clone)]
struct Client(tonic::client::Grpc<Channel>);

impl Client {
    async fn connect(url: String) -> Result<Self, Failed> {
        Ok(Self(tonic::client::Grpc::new(Channel::from_shared(url)?.connect().await?)))
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.0.ready().await.map_err(|error| Status::unavailable(error.to_string()))
    }

    async fn results(&mut self, wanted: Wanted) -> Result<Streaming<Item>, Status> {
        self.ready().await?;
        let (path, codec) = (PathAndQuery::from_static(RESULTS), ProstCodec::default());
        Ok(self.0.server_streaming(Request::new(wanted), path, codec).await?.into_inner())
    }

    async fn echo(&mut self, item: Item) -> Result<Item, Status> {
        self.ready().await?;
        let (path, codec) = (PathAndQuery::from_static(ECHO), ProstCodec::default());
        Ok(self.0.unary(Request::new(item), path, codec).await?.into_inner())
    }
}

/// An implementation of the service.
#[derive(Clone)]
enum Node {
    Server,
    /// Passes on the messages that this client receives.
    Relay(Client),
}

impl Service<http::Request<Body>> for Node {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let node = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                RESULTS => {
                    let codec = ProstCodec::default();
                    tonic::server::Grpc::new(codec).server_streaming(Results(node), request).await
                }
                ECHO => tonic::server::Grpc::new(ProstCodec::default()).unary(Echo(node), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

type Items = Pin<Box<dyn Stream<Item = Result<Item, Status>> + Send>>;

struct Results(Node);

impl ServerStreamingService<Wanted> for Results {
    type Response = Item;
    type ResponseStream = Items;
    type Future = BoxFuture<Response<Items>, Status>;

    fn call(&mut self, request: Request<Wanted>) -> Self::Future {
        let (node, wanted) = (self.0.clone(), request.into_inner());
        Box::pin(async move {
            let items: Items = match node {
                Node::Server => Box::pin(stream::iter(items(&wanted).map(Ok))),
                Node::Relay(mut client) => Box::pin(client.results(wanted).await?),
            };
            Ok(Response::new(items))
        })
    }
}

/// Results for the requested time, and the last one.
fn items(wanted: &Wanted) -> impl Iterator<Item = Item> + Send + use<> {
    let payload = Bytes::from(vec![b'0'; wanted.size as usize]);
    let end = Instant::now() + Duration::from_millis(wanted.millis);
    let (mut number, mut is_over) = (0, false);
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        is_over = number % LOOK == 0 && Instant::now() >= end;
        let payload = if is_over { Bytes::new() } else { payload.clone() };
        let item = Item { number, payload, is_last: is_over };
        number += 1;
        Some(item)
    })
}

struct Echo(Node);

impl UnaryService<Item> for Echo {
    type Response = Item;
    type Future = BoxFuture<Response<Item>, Status>;

    fn call(&mut self, request: Request<Item>) -> Self::Future {
        let (node, item) = (self.0.clone(), request.into_inner());
        Box::pin(async move {
            let item = match node {
                Node::Server => item,
                Node::Relay(mut client) => client.echo(item).await?,
            };
            Ok(Response::new(item))
        })
    }
}

/// Serves on a free port of the loopback interface.
fn listen() -> Result<(SocketAddr, TcpIncoming), Failed> {
    let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?.with_nodelay(Some(true));
    Ok((incoming.local_addr()?, incoming))
}

/// The relay, in a process of its own: prints its address, reads that of the server, and serves until its input ends.
pub(crate) async fn relay() -> Result<(), Failed> {
    let (address, incoming) = listen()?;
    say(&format!("http://{address}"));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let server = lines.next_line().await?.ok_or("no server")?;
    let node = Node::Relay(Client::connect(server).await?);
    say("ready");
    tokio::select! {
        served = Server::builder().serve_with_incoming(node, incoming) => Ok(served?),
        _ = lines.next_line() => Ok(()),
    }
}

/// A server in this process and a relay in another one; both end when this is dropped.
struct Setting {
    relay: Own,
    server: JoinHandle<()>,
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Setting {
    async fn start() -> Result<Self, Failed> {
        let (address, incoming) = listen()?;
        let server = tokio::spawn(async move {
            let _ = Server::builder().serve_with_incoming(Node::Server, incoming).await;
        });
        let mut relay = Own::start("grpc-relay").await?;
        relay.ask(&format!("http://{address}")).await?;
        Ok(Self { relay, server })
    }

    async fn connect(&self) -> Result<Client, Failed> {
        Client::connect(self.relay.address.clone()).await
    }
}

/// `None` for a scenario without a counterpart in gRPC.
pub(super) async fn measure(scenario: Scenario, options: &Options) -> Result<Option<Measured>, Failed> {
    let measured = match scenario {
        Scenario::Stream(Transport::Rs, size) => stream_of(options, size).await?,
        Scenario::Fan => fan(options).await?,
        Scenario::Calls(many) => calls(options, many).await?,
        Scenario::Stream(Transport::Ws, _) | Scenario::Events(..) => return Ok(None),
    };
    Ok(Some(measured))
}

async fn stream_of(options: &Options, size: usize) -> Result<Measured, Failed> {
    let setting = Setting::start().await?;
    let client = setting.connect().await?;
    take_all(client.clone(), size, warm_up(options)).await?;
    let meter = Meter::start(setting.relay.pid());
    let (results, wrong) = take_all(client, size, options.secs).await?;
    Ok(meter.end(results, wrong))
}

/// All results of a stream of this many milliseconds.
async fn take_all(mut client: Client, size: usize, time: Duration) -> Result<(u64, Wrong), Failed> {
    let wanted = Wanted { size: size as u64, millis: time.as_millis() as u64 };
    let (mut items, mut order) = (client.results(wanted).await?, Order::default());
    while let Some(item) = items.next().await {
        let item = item?;
        if item.is_last {
            return Ok((order.seen(), order.wrong_of(item.number)));
        }
        check(item.number, size, (item.number, item.payload.len()))?;
        order.see(item.number);
    }
    Err("a stream without a last result".into())
}

async fn fan(options: &Options) -> Result<Measured, Failed> {
    let setting = Setting::start().await?;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(setting.connect().await?);
    }
    let stream = |connection: usize, time| take_all(clients[connection].clone(), 16, time);
    measure_fan(options, setting.relay.pid(), stream).await
}

async fn calls(options: &Options, many: usize) -> Result<Measured, Failed> {
    let setting = Setting::start().await?;
    let client = setting.connect().await?;
    measure_calls(many, options, setting.relay.pid(), move |number| {
        let mut client = client.clone();
        async move {
            let payload = Bytes::from_static(b"0123456789abcdef");
            let answer = client.echo(Item { number, payload, is_last: false }).await?;
            check(number, 16, (answer.number, answer.payload.len()))
        }
    })
    .await
}
