//! Connections as a backend sees them.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnectorBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::tls::client_config;
use crate::upload::Upload;

/// What a backend has counted.
#[derive(Default)]
struct Seen {
    connections: Cell<usize>,
    /// Connections that have ended.
    ended: Cell<usize>,
    heads: RefCell<Vec<String>>,
}

/// A backend that answers `/whole` with two bytes, `/half` with the first of many, and `/last` as the former
/// before it closes the connection without having said so. `/reset` is answered on a new connection only; one that has
/// answered before is closed without a byte; `/cut` the same after some.
async fn backend() -> (SocketAddr, Rc<Seen>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (addr, seen) = (listener.local_addr().unwrap(), Rc::new(Seen::default()));
    let told = Rc::clone(&seen);
    actix_rt::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            told.connections.set(told.connections.get() + 1);
            let told = Rc::clone(&told);
            actix_rt::spawn(async move {
                serve(stream, &told).await;
                told.ended.set(told.ended.get() + 1);
            });
        }
    });
    (addr, seen)
}

async fn serve(mut stream: TcpStream, seen: &Seen) {
    let mut head = Vec::new();
    let mut answered = 0;
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
        let is = |path: &str| text.starts_with(&format!("GET {path}"));
        let (half, last) = (is("/half"), is("/last"));
        let (reset, cut) = (is("/reset") && answered > 0, is("/cut") && answered > 0);
        seen.heads.borrow_mut().push(text);
        if reset {
            return;
        }
        if cut {
            stream.write_all(b"HTTP/1.1 200").await.unwrap();
            return;
        }
        answered += 1;
        let answer = if half { "Content-Length: 9000000\r\n\r\nx" } else { "Content-Length: 2\r\n\r\nok" };
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes()).await.unwrap();
        if last {
            return;
        }
    }
}

fn connections() -> Connections {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(client_config().unwrap())
        .https_or_http()
        .enable_http1()
        .build();
    Connections::new(connector)
}

async fn get(connections: &Connections, addr: SocketAddr, path: &str) -> Response<AnswerBody> {
    let body = OutBody::Whole(Full::new(Bytes::new()));
    let request = Request::get(format!("http://{addr}{path}")).body(body).unwrap();
    connections.clone().send(request, Sent::default()).await.unwrap()
}

async fn read(response: Response<AnswerBody>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

/// Lets the other side's tasks run until something is so.
async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::task::yield_now().await;
    }
}

#[actix_rt::test]
async fn a_connection_is_used_again_when_its_answer_has_ended() {
    let ((addr, seen), connections) = (backend().await, connections());
    for _ in 0..3 {
        assert_eq!(read(get(&connections, addr, "/whole").await).await, "ok");
    }
    assert_eq!(seen.connections.get(), 1);
    let both = tokio::join!(get(&connections, addr, "/whole"), get(&connections, addr, "/whole"));
    assert_eq!((read(both.0).await, read(both.1).await), ("ok".into(), "ok".into()));
    assert_eq!(seen.connections.get(), 2);
}

#[actix_rt::test]
async fn an_answer_that_nobody_reads_takes_its_connection_with_it() {
    let ((addr, seen), connections) = (backend().await, connections());
    drop(get(&connections, addr, "/half").await);
    until(|| seen.ended.get() == 1).await;
    assert_eq!(read(get(&connections, addr, "/whole").await).await, "ok");
    assert_eq!(seen.connections.get(), 2);
}

#[actix_rt::test]
async fn a_request_survives_a_backend_that_closes_idle_connections() {
    let ((addr, seen), connections) = (backend().await, connections());
    for _ in 0..50 {
        assert_eq!(read(get(&connections, addr, "/last").await).await, "ok");
    }
    assert_eq!(seen.heads.borrow().len(), 50);
}

fn request(addr: SocketAddr, path: &str, body: OutBody) -> Request<OutBody> {
    Request::get(format!("http://{addr}{path}")).body(body).unwrap()
}

#[actix_rt::test]
async fn a_request_that_met_a_connection_being_closed_goes_out_once_more_on_a_new_one() {
    let ((addr, seen), connections) = (backend().await, connections());
    read(get(&connections, addr, "/whole").await).await;
    assert_eq!(read(get(&connections, addr, "/reset").await).await, "ok");
    assert_eq!((seen.connections.get(), seen.heads.borrow().len()), (2, 3));
}

#[actix_rt::test]
async fn a_request_is_not_sent_again_when_something_of_an_answer_came() {
    let ((addr, seen), connections) = (backend().await, connections());
    read(get(&connections, addr, "/whole").await).await;
    let sent = Sent::default();
    let whole = OutBody::Whole(Full::new(Bytes::new()));
    let broken = connections.clone().send(request(addr, "/cut", whole), sent.clone()).await;
    assert!(matches!(broken, Err(CallError::Broken(_))), "{broken:?}");
    assert!(sent.is_sent());
    assert_eq!(seen.heads.borrow().len(), 2);
}

#[actix_rt::test]
async fn a_body_that_is_still_coming_is_not_sent_again() {
    let ((addr, seen), connections) = (backend().await, connections());
    read(get(&connections, addr, "/whole").await).await;
    let (_sender, upload) = Upload::new();
    let streamed = OutBody::Stream(upload);
    let broken = connections.clone().send(request(addr, "/reset", streamed), Sent::default()).await;
    assert!(matches!(broken, Err(CallError::Broken(_))), "{broken:?}");
    assert_eq!(seen.heads.borrow().len(), 2);
}

#[actix_rt::test]
async fn idle_connections_are_closed_when_they_are_old() {
    let ((addr, seen), connections) = (backend().await, connections());
    read(get(&connections, addr, "/whole").await).await;
    connections.0.reap(Instant::now());
    assert_eq!(connections.0.origins.borrow().len(), 1);
    connections.0.reap(Instant::now() + IDLE_FOR);
    assert!(connections.0.origins.borrow().is_empty());
    until(|| seen.ended.get() == 1).await;
}

#[actix_rt::test]
async fn a_request_says_its_host_and_path_and_nothing_else_of_its_url() {
    let ((addr, seen), connections) = (backend().await, connections());
    read(get(&connections, addr, "").await).await;
    read(get(&connections, addr, "/whole?a=b").await).await;
    let heads = seen.heads.borrow();
    let host = format!("host: {addr}\r\n");
    assert!(heads[0].starts_with("GET / HTTP/1.1\r\n") && heads[0].contains(&host), "{}", heads[0]);
    assert!(heads[1].starts_with("GET /whole?a=b HTTP/1.1\r\n") && heads[1].contains(&host), "{}", heads[1]);
}

#[test]
fn a_host_leaves_out_credentials_and_the_usual_port() {
    let host = |authority: &'static str, is_https| {
        host(&Authority::from_static(authority), is_https).unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(host("api.example.com", true), "api.example.com");
    assert_eq!(host("user:pass@api.example.com:443", true), "api.example.com");
    assert_eq!(host("api.example.com:443", false), "api.example.com:443");
    assert_eq!(host("[::1]:8000", false), "[::1]:8000");
}

#[actix_rt::test]
async fn nobody_to_connect_to_is_told_apart_from_a_broken_connection() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let send = || {
        let body = OutBody::Whole(Full::new(Bytes::new()));
        connections().send(Request::get(format!("http://{addr}/")).body(body).unwrap(), Sent::default())
    };
    let (broken, _) = tokio::join!(send(), async { drop(listener.accept().await) });
    assert!(matches!(broken, Err(CallError::Broken(_))));
    drop(listener);
    assert!(matches!(send().await, Err(CallError::Connect(_))));
}

#[actix_rt::test]
async fn a_call_is_sent_once_there_is_a_connection_for_it_and_not_before() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let call = |scheme: &str, sent: &Sent| {
        let body = OutBody::Whole(Full::new(Bytes::new()));
        let request = Request::get(format!("{scheme}://{addr}/")).body(body).unwrap();
        Box::pin(connections().send(request, sent.clone()))
    };
    // A backend that takes the connection and says nothing to the handshake is a black hole for TLS.
    let unsent = Sent::default();
    let mut pending = call("https", &unsent);
    let (mut silent, _) = tokio::select! {
        _ = &mut pending => unreachable!(),
        accepted = listener.accept() => accepted.unwrap(),
    };
    let mut hello = [0; 5];
    tokio::select! {
        _ = &mut pending => unreachable!(),
        read = silent.read_exact(&mut hello) => read.unwrap(),
    };
    drop(pending);
    assert!(!unsent.is_sent());

    let sent = Sent::default();
    let mut pending = call("http", &sent);
    let (mut plain, _) = tokio::select! {
        _ = &mut pending => unreachable!(),
        accepted = listener.accept() => accepted.unwrap(),
    };
    tokio::select! {
        _ = &mut pending => unreachable!(),
        read = plain.read_exact(&mut hello) => read.unwrap(),
    };
    drop(pending);
    assert!(sent.is_sent());
}
