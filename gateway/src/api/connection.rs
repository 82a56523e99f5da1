//! What the gateway knows of one connection of a client, beside the requests that come on it.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use actix_web::HttpRequest;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use bytes::Bytes;

/// Connections that have not shown a valid key yet, over all workers.
#[derive(Debug)]
pub struct Strangers {
    now: AtomicUsize,
    many: usize,
}

impl Strangers {
    /// More than `many` are a crowd.
    #[must_use]
    pub fn new(many: usize) -> Arc<Self> {
        Arc::new(Self { now: AtomicUsize::new(0), many })
    }

    /// Whether there are so many that they must hurry, so that callers with a key find a place.
    #[must_use]
    pub fn are_a_crowd(&self) -> bool {
        self.now.load(Ordering::Relaxed) > self.many
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    heads: Cell<u64>,
    answering: Cell<bool>,
    known: Cell<bool>,
    strangers: Arc<Strangers>,
}

impl Connection {
    /// A connection that nothing has come on.
    #[must_use]
    pub fn new(strangers: Arc<Strangers>) -> Rc<Self> {
        strangers.now.fetch_add(1, Ordering::Relaxed);
        Rc::new(Self { heads: Cell::new(0), answering: Cell::new(false), known: Cell::new(false), strangers })
    }

    /// How many heads of requests have come.
    #[must_use]
    pub fn heads(&self) -> u64 {
        self.heads.get()
    }

    /// Whether the next bytes belong to the head of a request.
    #[must_use]
    pub fn awaits_head(&self) -> bool {
        !self.answering.get()
    }

    /// Whether somebody with a valid key is at the other end.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known.get()
    }

    /// Whether it must show a key at once or go.
    #[must_use]
    pub fn must_hurry(&self) -> bool {
        !self.is_known() && self.strangers.are_a_crowd()
    }

    fn known(&self) {
        if !self.known.replace(true) {
            self.strangers.now.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn begin(self: &Rc<Self>) -> Answering {
        self.heads.set(self.heads.get() + 1);
        self.answering.set(true);
        Answering(Rc::clone(self))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.known();
    }
}

/// Notes that a request of this connection had a valid key.
pub fn is_known(request: &HttpRequest) {
    if let Some(connection) = request.conn_data::<Rc<Connection>>() {
        connection.known();
    }
}

/// A request from its head to the end of its answer.
struct Answering(Rc<Connection>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.set(false);
    }
}

/// The body of an answer; its connection awaits the next head when it is gone.
pub struct AnswerEnds {
    body: BoxBody,
    _answering: Option<Answering>,
}

impl MessageBody for AnswerEnds {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// Serves a request, and tells its connection where it begins and ends. A connection without a valid key has one
/// answer: it cannot be kept open by asking again.
pub fn observed<S>(
    request: ServiceRequest,
    app: &S,
) -> impl Future<Output = Result<ServiceResponse<AnswerEnds>, actix_web::Error>> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = actix_web::Error>,
{
    let answering = request.conn_data::<Rc<Connection>>().map(Connection::begin);
    let answered = app.call(request);
    async move {
        let mut response = answered.await?;
        if answering.as_ref().is_some_and(|Answering(connection)| !connection.is_known()) {
            response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        Ok(response.map_body(|_, body| AnswerEnds { body, _answering: answering }))
    }
}
