//! The endpoints over an engine that writes down what it is asked.

use std::sync::Mutex;

use actix_web::App;
use actix_web::body::to_bytes;
use actix_web::test::{TestRequest, call_service, init_service};

use super::*;

/// Takes every statement but those that contain `refused`.
#[derive(Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

struct Session(Arc<Mutex<Vec<String>>>);

impl Connection for Session {
    fn query(&mut self, sql: &str, format: &str, _: &[(String, String)]) -> Result<Vec<u8>, String> {
        self.0.lock().unwrap().push(sql.to_owned());
        if sql.contains("refused") {
            return Err("Code: 60. DB::Exception: no such table".to_owned());
        }
        Ok(format.as_bytes().to_vec())
    }

    fn insert(&mut self, sql: &str, _: &str, data: &[u8]) -> Result<(), String> {
        self.0.lock().unwrap().push(format!("{sql} <{} bytes>", data.len()));
        Ok(())
    }
}

impl ConnectionPool for Recorder {
    fn run(&self, work: Work) -> Done<'_> {
        let outcome = work(&mut Session(Arc::clone(&self.0)));
        Box::pin(async { outcome.map_err(|message| Exception { code: Some(60), message }) })
    }
}

/// Status and body of a request, and the statements that it led to.
async fn post(uri: &str, body: &str) -> (u16, String, Vec<String>) {
    let statements = Arc::default();
    let engine = Arc::new(Recorder(Arc::clone(&statements)));
    let app = init_service(App::new().configure(endpoints(engine, "home"))).await;
    let request = TestRequest::post().uri(uri).set_payload(body.to_owned()).to_request();
    let answer = call_service(&app, request).await;
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body()).await.unwrap();
    let statements = statements.lock().unwrap().clone();
    (status, String::from_utf8(body.to_vec()).unwrap(), statements)
}

#[actix_web::test]
async fn settings_hold_for_one_statement() {
    let (status, body, statements) = post("/?max_threads=2&default_format=CSV", "SELECT 1").await;
    assert_eq!((status, body.as_str()), (200, "CSV"));
    assert_eq!(statements, ["USE `home`", "SET max_threads = '2'", "SELECT 1", "SET max_threads = DEFAULT"]);
}

#[actix_web::test]
async fn settings_are_taken_back_after_a_refusal_too() {
    let (status, body, statements) = post("/?database=other&max_threads=2", "SELECT refused").await;
    assert_eq!(status, 404);
    assert_eq!(body, "Code: 60. DB::Exception: no such table\n");
    assert_eq!(statements[0], "USE `other`");
    assert_eq!(statements[3], "SET max_threads = DEFAULT");
}

#[actix_web::test]
async fn a_request_that_cannot_be_understood_is_an_exception_of_clickhouse() {
    let (status, body, statements) = post("/?a%20b=1", "SELECT 1").await;
    assert_eq!((status, statements.len()), (400, 0));
    assert_eq!(body, "Code: 36. DB::Exception: `a b` is not a setting. (BAD_ARGUMENTS)\n");
}

#[actix_web::test]
async fn rows_of_an_insert_reach_the_engine() {
    let (status, _, statements) = post("/?query=INSERT%20INTO%20t%20(a)%20FORMAT%20TSV", "1\n2\n").await;
    assert_eq!((status, statements[1].as_str()), (200, "INSERT INTO t (a) <4 bytes>"));
}
