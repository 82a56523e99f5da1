//! The exporter against a collector on the loopback that keeps the bytes it is sent.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry::trace::{Span, Tracer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// The path and body of every call, as they come.
type Calls = mpsc::UnboundedReceiver<(String, Bytes)>;

async fn collector() -> (SocketAddr, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (calls, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let calls = calls.clone();
            let service = service_fn(move |request: Request<Incoming>| accept(request, calls.clone()));
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    (addr, received)
}

/// An empty gRPC answer: one message of no bytes, status 0.
async fn accept(
    request: Request<Incoming>,
    calls: mpsc::UnboundedSender<(String, Bytes)>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    calls.send((path, body)).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)];
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames.map(Ok))));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}

fn options(sample_ratio: f64) -> TelemetryOptions {
    TelemetryOptions {
        filter: "info".into(),
        json: false,
        otlp_endpoint: None,
        service_name: "a-service",
        sample_ratio,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_the_collector_when_the_guard_is_dropped() {
    let (addr, mut calls) = collector().await;
    let (provider, runtime) = exporter(&format!("http://{addr}"), &options(1.0)).unwrap();
    provider.tracer("test").start("chat gpt").end();
    let guard = Guard { exporter: Some((provider, runtime)) };
    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();
    let (path, body) = calls.try_recv().unwrap();
    assert_eq!(path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    let holds = |text: &str| body.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(holds("chat gpt") && holds("a-service"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_delays_nobody_and_fails_nothing() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (provider, runtime) = exporter(&format!("http://{unused}"), &options(1.0)).unwrap();
    let tracer = provider.tracer("test");
    for _ in 0..10_000 {
        tracer.start("chat gpt").end();
    }
    let guard = Guard { exporter: Some((provider, runtime)) };
    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();
}
