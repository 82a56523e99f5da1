//! The HTTP server over connections in memory, with a moved clock.

use std::cell::Cell;
use std::sync::Arc;

use actix_http::HttpService;
use actix_service::{
    IntoServiceFactory as _, Service as _, ServiceFactory, ServiceFactoryExt as _, map_config,
};
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::AppConfig;
use actix_web::{App, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;
use crate::api::connection::{self, Strangers};

const HEAD: Duration = Duration::from_secs(10);
const CREDIT: Duration = Duration::from_secs(30);
const RULES: WatchRules =
    WatchRules { head: HEAD, writing: PaceRules { credit: CREDIT, bytes_per_second: 8 << 10 } };

/// An endless body that says when it is gone, as the streams and whole answers of the gateway do.
struct Endless(Rc<Cell<bool>>);

impl MessageBody for Endless {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(Some(Ok(Bytes::from_static(&[b'x'; 1024]))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// A client's side of a connection to a server that answers `/` at once and `/endless` without an end; whoever sends
/// `key` is known. The flag is set when the endless body is gone.
async fn connected(strangers: Arc<Strangers>) -> (DuplexStream, Rc<Cell<bool>>) {
    let (client, server) = tokio::io::duplex(4 << 10);
    let gone: Rc<Cell<bool>> = Rc::default();
    let body_gone = Rc::clone(&gone);
    let greet = |request: &HttpRequest| {
        if request.headers().contains_key("key") {
            connection::is_known(request);
        }
    };
    let app = App::new()
        .wrap_fn(connection::observed)
        .route(
            "/",
            web::get().to(move |request: HttpRequest| {
                greet(&request);
                std::future::ready(HttpResponse::Ok().body("hello"))
            }),
        )
        .route(
            "/endless",
            web::get().to(move |request: HttpRequest| {
                greet(&request);
                std::future::ready(HttpResponse::Ok().body(Endless(Rc::clone(&body_gone))))
            }),
        );
    let service = HttpService::build()
        // The server's own bounds go by the real clock, and are not looked at here.
        .client_request_timeout(Duration::ZERO)
        .keep_alive(actix_web::http::KeepAlive::Os)
        .on_connect_ext(|io: &Watched<DuplexStream>, extensions| {
            extensions.insert(io.connection());
        })
        .h1(map_config(app.into_factory().map_err(|error| error.error_response()), |()| AppConfig::default()))
        .new_service(())
        .await
        .unwrap();
    let watched = Watched::new(server, Connection::new(strangers), RULES);
    actix_rt::spawn(async move {
        let _ = service.call((watched, None)).await;
    });
    (client, gone)
}

fn run<T>(test: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(async {
        tokio::time::pause();
        test.await
    })
}

fn few() -> Arc<Strangers> {
    Strangers::new(100)
}

async fn ask(client: &mut DuplexStream, head: &str) -> String {
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let read = client.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

/// Seconds until the server closes the connection; what comes before is thrown away.
async fn closed_after(client: &mut DuplexStream) -> u64 {
    let start = Instant::now();
    let mut bytes = [0; 1024];
    while !matches!(client.read(&mut bytes).await, Ok(0) | Err(_)) {}
    start.elapsed().as_secs()
}

const WITH_KEY: &str = "GET / HTTP/1.1\r\nhost: h\r\nkey: k\r\n\r\n";

#[test]
fn a_partial_head_after_an_answer_is_cut_after_the_header_timeout() {
    run(async {
        let (mut client, _) = connected(few()).await;
        assert!(ask(&mut client, WITH_KEY).await.starts_with("HTTP/1.1 200"));
        tokio::time::sleep(Duration::from_secs(5)).await;
        client.write_all(b"G").await.unwrap();
        assert_eq!(closed_after(&mut client).await, 10);
    });
}

#[test]
fn a_head_that_trickles_is_cut_as_late_as_one_that_stops() {
    run(async {
        let (mut client, _) = connected(few()).await;
        ask(&mut client, WITH_KEY).await;
        let start = Instant::now();
        while client.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(start.elapsed() <= HEAD + Duration::from_secs(2), "{:?}", start.elapsed());
    });
}

#[test]
fn a_connection_that_rests_between_its_requests_is_left_alone() {
    run(async {
        let (mut client, _) = connected(few()).await;
        for _ in 0..5 {
            assert!(ask(&mut client, WITH_KEY).await.starts_with("HTTP/1.1 200"));
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    });
}

#[test]
fn an_answer_that_nobody_takes_is_dropped_with_all_that_it_holds_after_the_write_timeout() {
    run(async {
        let (mut client, gone) = connected(few()).await;
        assert!(ask(&mut client, "GET /endless HTTP/1.1\r\nhost: h\r\nkey: k\r\n\r\n").await.contains("200"));
        tokio::time::sleep(CREDIT - Duration::from_secs(2)).await;
        assert!(!gone.get());
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(gone.get());
    });
}

#[test]
fn a_client_that_takes_a_byte_a_second_is_cut_and_one_that_keeps_up_is_not() {
    let lives = |bytes: usize| {
        run(async move {
            let (mut client, gone) = connected(few()).await;
            ask(&mut client, "GET /endless HTTP/1.1\r\nhost: h\r\nkey: k\r\n\r\n").await;
            let mut taken = vec![0; bytes];
            for _ in 0..300 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if client.read_exact(&mut taken).await.is_err() {
                    return false;
                }
            }
            !gone.get()
        })
    };
    assert!(!lives(1));
    assert!(lives(9 << 10));
}

#[test]
fn a_connection_without_a_key_has_one_answer_and_in_a_crowd_a_moment_for_its_head() {
    run(async {
        let (mut client, _) = connected(few()).await;
        let answer = ask(&mut client, "GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
        assert!(answer.contains("connection: close"), "{answer}");
        assert!(closed_after(&mut client).await <= 1);
        let (mut silent, _) = connected(few()).await;
        assert!((10..=12).contains(&closed_after(&mut silent).await));
        let crowd = Strangers::new(1);
        let (mut first, _) = connected(Arc::clone(&crowd)).await;
        ask(&mut first, WITH_KEY).await;
        let (mut second, _) = connected(Arc::clone(&crowd)).await;
        let (_third, _) = connected(Arc::clone(&crowd)).await;
        assert_eq!(closed_after(&mut second).await, 0);
        assert!(ask(&mut first, WITH_KEY).await.starts_with("HTTP/1.1 200"), "who is known stays");
    });
}
