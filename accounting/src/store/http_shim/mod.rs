//! The embedded engine behind ClickHouse's HTTP protocol, on loopback: for tests, and for tools that want
//! to query the embedded ledger by SQL (`store.embedded.http_listen`).
//!
//! Enough of the protocol for the official clients: statements, inserts with LZ4 bodies, settings,
//! server-side parameters, error codes. Invariants: it listens on loopback addresses only; with
//! [`Access::ReadOnly`] the engine itself refuses writes, DDL, settings and access to files.

mod lz4;
mod request;

use std::net::{SocketAddr, TcpListener};

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

use self::request::{Kind, MAX_BODY, Statement};
use super::embedded::{EmbeddedEngine, Pool, Statements};
use super::engine::StoreError;
use crate::error::Error;
use crate::server_thread::ServerThread;

/// Statements at the same time.
const CONNECTIONS: usize = 4;

/// What clients may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Queries only.
    ReadOnly,
    /// Everything, as the only user of the ledger: for tests.
    ReadWrite,
}

/// A running server; dropping it stops it without waiting.
#[derive(Debug)]
pub struct Loopback {
    server: ServerThread,
}

impl Loopback {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// What a ClickHouse client is configured with.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Answers what has been asked, then closes.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// Serves an engine on a loopback address (port 0 takes a free one).
///
/// # Errors
/// When the address is not a loopback address or not free, or the engine gives no connections.
pub fn serve(engine: &EmbeddedEngine, address: SocketAddr, access: Access) -> Result<Loopback, Error> {
    let failed = |error: std::io::Error| Error::Listen { address, error };
    if !address.ip().is_loopback() {
        return Err(failed(std::io::Error::other("only loopback addresses are served")));
    }
    let mut first = vec![format!("USE `{}`", engine.database())];
    if access == Access::ReadOnly {
        first.push("SET readonly = 1".to_owned());
    }
    let pool: web::Data<Pool> = web::Data::from(engine.pool(CONNECTIONS, &first)?);
    let listener = TcpListener::bind(address).map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let database = web::Data::new(engine.database().to_owned());
    let server = ServerThread::start("ledger-http", addr, move || {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(pool.clone())
                .app_data(database.clone())
                .app_data(web::PayloadConfig::new(MAX_BODY))
                .route("/ping", web::get().to(|| async { "Ok.\n" }))
                .default_service(web::to(answer))
        });
        Ok(server.workers(1).shutdown_timeout(5).disable_signals().listen(listener)?.run())
    })
    .map_err(failed)?;
    tracing::info!(%addr, ?access, "the embedded ledger answers SQL clients");
    Ok(Loopback { server })
}

async fn answer(
    request: HttpRequest,
    body: web::Bytes,
    pool: web::Data<Pool>,
    home: web::Data<String>,
) -> HttpResponse {
    let url = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let Ok(web::Query(url)) = url else { return refuse(&wrong("the URL cannot be read")) };
    let content_type = request.headers().get("content-type").and_then(|value| value.to_str().ok());
    let statement = match request::read(url, content_type.unwrap_or_default(), body.to_vec()) {
        Ok(statement) => statement,
        Err(message) => return refuse(&wrong(&message)),
    };
    let home = home.as_str().to_owned();
    let pool = pool.into_inner();
    match pool.run(move |connection| run(connection, &home, &statement)).await {
        Ok(result) => HttpResponse::Ok().content_type("application/octet-stream").body(result),
        Err(error) => refuse(&error),
    }
}

/// Runs a statement with its database and settings, and puts the connection back as it was.
fn run(connection: &mut dyn Statements, home: &str, statement: &Statement) -> Result<Vec<u8>, String> {
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
fn wrong(message: &str) -> StoreError {
    StoreError::refused(format!("Code: 36. DB::Exception: {message}. (BAD_ARGUMENTS)"))
}

fn refuse(error: &StoreError) -> HttpResponse {
    let code = error.code().unwrap_or(1001);
    let text = match error {
        StoreError::Refused { message, .. } => message.clone(),
        other => other.to_string(),
    };
    HttpResponse::build(status(code))
        .insert_header(("X-ClickHouse-Exception-Code", code.to_string()))
        .content_type("text/plain; charset=utf-8")
        .body(format!("{text}\n"))
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
