//! One trace at caller, router and callee, as an OTLP receiver in this process sees it.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use opentelemetry::trace::{FutureExt, TraceContextExt, Tracer};
use opentelemetry::{Context, global};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prost::Message;
use wamp_client::{Failure, Invocation};
use wamp_test::Net;

/// An OTLP receiver: it has all spans that were exported.
#[derive(Clone, Debug, Default)]
struct Receiver(Arc<Mutex<Vec<Span>>>);

#[async_trait::async_trait]
impl HttpClient for Receiver {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let exported = ExportTraceServiceRequest::decode(request.into_body())?;
        let scopes = exported.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.0.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(Bytes::new()))
    }
}

impl Receiver {
    /// The receiver of all tests, since there is one global provider.
    fn installed() -> Self {
        static RECEIVER: OnceLock<Receiver> = OnceLock::new();
        let install = || {
            let receiver = Receiver::default();
            let exporter =
                SpanExporter::builder().with_http().with_http_client(receiver.clone()).build().unwrap();
            global::set_tracer_provider(SdkTracerProvider::builder().with_simple_exporter(exporter).build());
            receiver
        };
        RECEIVER.get_or_init(install).clone()
    }

    /// The spans of a trace, by their names.
    fn spans(&self, trace: &str) -> HashMap<String, Span> {
        let spans = self.0.lock().unwrap();
        let of_trace = spans.iter().filter(|span| hex(&span.trace_id) == trace);
        of_trace.map(|span| (span.name.clone(), span.clone())).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn integer(span: &Span, name: &str) -> Option<i64> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match attribute.value.as_ref()?.value {
        Some(Value::IntValue(value)) => Some(value),
        _ => None,
    }
}

fn text(span: &Span, name: &str) -> Option<String> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match &attribute.value.as_ref()?.value {
        Some(Value::StringValue(value)) => Some(value.clone()),
        _ => None,
    }
}

/// Runs a request in a span of the application. Returns its trace.
async fn traced<F: Future>(request: F) -> (String, F::Output) {
    let span = global::tracer("application").start("request");
    let context = Context::current_with_span(span);
    let output = request.with_context(context.clone()).await;
    context.span().end();
    (context.span().span_context().trace_id().to_string(), output)
}

#[tokio::test]
async fn one_trace_goes_through_caller_router_and_callee() {
    let receiver = Receiver::installed();
    let router = Net::start();
    let (caller, callee) = (router.connect("caller").await.unwrap(), router.connect("callee").await.unwrap());
    let inner = |_: Invocation| async move { Ok(1) };
    callee.register("com.example.inner", inner).await.unwrap();
    let report = |call: Invocation| async move {
        // A call of the handler is in the same trace.
        let one: u32 = call.session().call("com.example.inner").await?.decode()?;
        if let Some(progress) = call.progress() {
            for row in 0..40_u32 {
                progress.send(row).await?;
            }
        }
        Ok(one)
    };
    callee.register("com.example.report", report).await.unwrap();
    let (trace, rows) = traced(async {
        let mut rows = caller.call("com.example.report").progressive::<u32>().await.unwrap();
        let mut taken = 0;
        while rows.try_next().await.unwrap().is_some() {
            taken += 1;
        }
        let last: u32 = rows.finish().await.unwrap();
        (taken, last)
    })
    .await;
    assert_eq!(rows, (40, 1));

    let spans = receiver.spans(&trace);
    let parents = [
        ("CALL com.example.report", "request"),
        ("INVOCATION com.example.report", "CALL com.example.report"),
        ("CALL com.example.inner", "INVOCATION com.example.report"),
        ("INVOCATION com.example.inner", "CALL com.example.inner"),
    ];
    assert_eq!(spans.len(), 5, "{:?}", spans.keys());
    for (name, parent) in parents {
        assert_eq!(hex(&spans[name].parent_span_id), hex(&spans[parent].span_id), "{name}");
    }
    for name in ["CALL com.example.report", "INVOCATION com.example.report"] {
        let span = &spans[name];
        assert_eq!(integer(span, "wamp.progressive_results"), Some(40), "{name}");
        assert!(integer(span, "wamp.result_bytes").unwrap() >= 41, "{name}");
        assert_eq!((span.events.len(), span.events[0].name.as_str()), (32, "progress"), "{name}");
        assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Ok, "{name}");
        assert_eq!(text(span, "rpc.method").as_deref(), Some("com.example.report"));
    }
    // The router has passed it on: it is in the CALL and in the INVOCATION.
    let parent =
        format!(r#""_traceparent":"00-{trace}-{}-01""#, hex(&spans["CALL com.example.report"].span_id));
    let transcript = router.transcript();
    let with_it: Vec<&str> = transcript.lines().filter(|line| line.contains(&parent)).collect();
    assert_eq!(with_it.len(), 2, "{transcript}");
    assert!(with_it[0].contains("[48,") && with_it[1].contains("[68,"), "{with_it:?}");
}

#[tokio::test]
async fn errors_and_calls_that_are_dropped_are_told() {
    let receiver = Receiver::installed();
    let router = Net::start();
    let session = router.connect("both").await.unwrap();
    let fail = |_: Invocation| async move { Err::<(), _>(Failure::new("com.example.error.bad").arg("no")) };
    session.register("com.example.fail", fail).await.unwrap();
    let slow = |call: Invocation| async move {
        call.canceled().await;
        Ok(())
    };
    session.register("com.example.slow", slow).await.unwrap();
    let (trace, ()) = traced(async {
        session.call("com.example.fail").await.unwrap_err();
        let slow = session.call("com.example.slow").into_future();
        tokio::time::timeout(std::time::Duration::from_millis(100), slow).await.unwrap_err();
    })
    .await;
    let spans = receiver.spans(&trace);
    for name in ["CALL com.example.fail", "INVOCATION com.example.fail"] {
        let span = &spans[name];
        assert_eq!(text(span, "error.type").as_deref(), Some("com.example.error.bad"), "{name}");
        assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Error, "{name}");
    }
    let dropped = &spans["CALL com.example.slow"];
    assert!(dropped.attributes.iter().any(|attribute| attribute.key == "wamp.dropped"), "{dropped:?}");
}

#[tokio::test]
async fn an_event_has_the_trace_of_its_publisher() {
    Receiver::installed();
    let router = Net::start();
    let session = router.connect("subscriber").await.unwrap();
    let publisher = router.connect("publisher").await.unwrap();
    let mut events = session.subscribe_stream("com.example.topic").await.unwrap();
    let (trace, _) = traced(publisher.publish("com.example.topic").into_future()).await;
    let event = events.next().await.unwrap();
    let context = event.trace_context();
    assert_eq!(context.span().span_context().trace_id().to_string(), trace);
    assert!(context.span().span_context().is_remote());
    publisher.publish("com.example.topic").await.unwrap();
    assert!(!events.next().await.unwrap().trace_context().span().span_context().is_valid());
}
