//! ClickHouse's HTTP protocol in front of an engine in the same process: for tests, and for tools that want to
//! query an embedded ledger by SQL.
//!
//! Enough of the protocol for the official clients: statements, inserts with LZ4 bodies, settings, server-side
//! parameters, error codes. This crate answers requests; its user decides on which address, and what the engine
//! allows.

mod lz4;
mod request;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use request::{Kind, MAX_BODY, Statement};

/// One connection of an engine, with the state of a session: its database and its settings.
pub trait Connection {
    /// Runs a statement with values for its `{name:Type}` and gives its result in `format`.
    ///
    /// # Errors
    /// With the engine's exception.
    fn query(&mut self, sql: &str, format: &str, parameters: &[(String, String)]) -> Result<Vec<u8>, String>;

    /// Runs `INSERT INTO table (columns)` with rows in `format`.
    ///
    /// # Errors
    /// With the engine's exception.
    fn insert(&mut self, sql: &str, format: &str, data: &[u8]) -> Result<(), String>;
}

/// What is done with a connection.
pub type Work = Box<dyn FnOnce(&mut dyn Connection) -> Result<Vec<u8>, String> + Send>;

/// What became of it.
pub type Done<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Exception>> + Send + 'a>>;

/// The connections of an engine.
pub trait ConnectionPool: Send + Sync {
    /// Does the work with a connection, when one is free.
    fn run(&self, work: Work) -> Done<'_>;
}

/// Why a statement was not carried out, in the engine's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// ClickHouse's error code; `None` if it gave none.
    pub code: Option<u32>,
    /// Its text, which starts with `Code: 60. DB::Exception: …`.
    pub message: String,
}

/// What the handler works with.
#[derive(Clone)]
struct Served {
    connections: Arc<dyn ConnectionPool>,
    database: Arc<str>,
}

/// The endpoints for an actix application. Requests that name no database mean `database`.
pub fn endpoints(
    connections: Arc<dyn ConnectionPool>,
    database: &str,
) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static {
    let served = Served { connections, database: database.into() };
    move |config: &mut web::ServiceConfig| {
        config
            .app_data(web::Data::new(served.clone()))
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .route("/ping", web::get().to(|| async { "Ok.\n" }))
            .default_service(web::to(answer));
    }
}

async fn answer(request: HttpRequest, body: web::Bytes, served: web::Data<Served>) -> HttpResponse {
    let url = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let Ok(web::Query(url)) = url else { return refuse(&wrong("the URL cannot be read")) };
    let content_type = request.headers().get("content-type").and_then(|value| value.to_str().ok());
    let statement = match request::read(url, content_type.unwrap_or_default(), body).await {
        Ok(statement) => statement,
        Err(message) => return refuse(&wrong(&message)),
    };
    let home = Arc::clone(&served.database);
    match served.connections.run(Box::new(move |connection| run(connection, &home, &statement))).await {
        Ok(result) => HttpResponse::Ok().content_type("application/octet-stream").body(result),
        Err(exception) => refuse(&exception),
    }
}

/// Runs a statement with its database and settings, and puts the connection back as it was.
fn run(connection: &mut dyn Connection, home: &str, statement: &Statement) -> Result<Vec<u8>, String> {
    let database = statement.database.as_deref().unwrap_or(home).replace('`', "");
    connection.query(&format!("USE `{database}`"), "TSV", &[])?;
    let mut set = Vec::new();
    let mut outcome = Ok(Vec::new());
    for (name, value) in &statement.settings {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        outcome = connection.query(&format!("SET {name} = '{value}'"), "TSV", &[]);
        if outcome.is_err() {
            break;
        }
        set.push(name);
    }
    if outcome.is_ok() {
        outcome = match &statement.kind {
            Kind::Insert { sql, format, data } => connection.insert(sql, format, data).map(|()| Vec::new()),
            Kind::Query { sql, format } => connection.query(sql, format, &statement.parameters),
        };
    }
    for name in set {
        connection.query(&format!("SET {name} = DEFAULT"), "TSV", &[])?;
    }
    outcome
}

/// In the form of a ClickHouse exception.
fn wrong(message: &str) -> Exception {
    let message = format!("Code: 36. DB::Exception: {message}. (BAD_ARGUMENTS)");
    Exception { code: Some(36), message }
}

fn refuse(exception: &Exception) -> HttpResponse {
    let code = exception.code.unwrap_or(1001);
    HttpResponse::build(status(code))
        .insert_header(("X-ClickHouse-Exception-Code", code.to_string()))
        .content_type("text/plain; charset=utf-8")
        .body(format!("{}\n", exception.message))
}

/// As a ClickHouse server maps its codes: unknown things are 404, statements that cannot be understood 400.
fn status(code: u32) -> StatusCode {
    match code {
        36 | 62 | 27 | 43 | 70 | 457 => StatusCode::BAD_REQUEST,
        46 | 47 | 60 | 81 => StatusCode::NOT_FOUND,
        164 | 497 => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests;
