//! The listener of the model API: HTTP/1.1 over connections that are watched.

use std::future::ready;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request};
use actix_rt::net::TcpStream;
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::{AppConfig, Server, ServiceResponse};
use actix_web::http::KeepAlive;
use tollgate_admission::PaceRules;
use tollgate_config::ServerConfig;

use super::watched::{WatchRules, Watched};
use crate::api::connection::{AnswerEnds, Connection, Strangers};

/// Bytes that the system may take over for a client that does not read. Few, so that a client's pace shows: a socket
/// is writable again when a third of them is free. The system doubles it.
const SEND_BUFFER: usize = 256 << 10;

/// How a listener is set up.
#[derive(Debug, Clone, Copy)]
pub struct ListenOptions {
    /// Threads that serve.
    pub workers: usize,
    /// Connections of each.
    pub connections: usize,
    /// How long connections that are idle or finishing may hold up a stop.
    pub linger: Duration,
}

/// Serves what `app` makes on each worker.
///
/// # Errors
/// When the listener is not usable.
pub fn serve<F, I, S>(
    listener: TcpListener,
    options: ListenOptions,
    limits: &ServerConfig,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Clone + Send + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<AnswerEnds>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
{
    socket2::SockRef::from(&listener).set_send_buffer_size(SEND_BUFFER)?;
    let addr = listener.local_addr()?;
    let strangers = Strangers::new(options.workers.saturating_mul(options.connections) / 2);
    let builder = Server::build()
        .workers(options.workers)
        .max_concurrent_connections(options.connections)
        .shutdown_timeout(options.linger.as_secs())
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let (rules, head, keep_alive) = (watch_rules(limits), limits.header_timeout.0, limits.keep_alive.0);
    let connections = move || {
        let stopping = stopping.clone();
        let http = HttpService::build()
            .keep_alive(KeepAlive::Timeout(keep_alive))
            .client_request_timeout(head)
            .client_disconnect_timeout(Duration::from_secs(1))
            // A client that closes its side wants no more: the request is dropped and the backend called off.
            .h1_allow_half_closed(false)
            .local_addr(addr)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|io: &Watched<TcpStream>, extensions| {
                extensions.insert(io.connection());
            })
            .h1(map_config(app().into_factory().map_err(|error| error.error_response()), |()| {
                AppConfig::default()
            }));
        let strangers = Arc::clone(&strangers);
        fn_service(move |io: TcpStream| {
            let peer = io.peer_addr().ok();
            // Without it small writes wait for delayed acknowledgements: tens of milliseconds.
            if let Err(error) = io.set_nodelay(true) {
                tracing::debug!(%error, "connection without TCP_NODELAY");
            }
            let connection = Connection::new(Arc::clone(&strangers));
            ready(Ok::<_, DispatchError>((Watched::new(io, connection, rules), peer)))
        })
        .and_then(http)
    };
    Ok(builder.listen("model-api", listener, connections)?.run())
}

fn watch_rules(limits: &ServerConfig) -> WatchRules {
    let writing = PaceRules { credit: limits.write_timeout.0, bytes_per_second: limits.min_rate.0 };
    WatchRules { head: limits.header_timeout.0, writing }
}
