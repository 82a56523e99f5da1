//! A server that speaks Qdrant's gRPC protocol from memory, on the server stubs inside `qdrant-client`.
//!
//! For tests and demonstrations: the unchanged client talks to it. It really evaluates filters, scores and
//! orders; what this product does not call answers `UNIMPLEMENTED`. Data lives in a [`Points`] handle, so a
//! server may be stopped and another one started on the same data and port.

mod collections;
mod filter;
mod points;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use qdrant_client::qdrant::collections_server::CollectionsServer;
use qdrant_client::qdrant::points_server::PointsServer;
use qdrant_client::qdrant::qdrant_server::QdrantServer;
use qdrant_client::qdrant::{PointId, Value, point_id::PointIdOptions};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// What is kept: collections of points. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Points(Arc<Mutex<HashMap<String, Collection>>>);

#[derive(Debug, Default)]
struct Collection {
    dimensions: u64,
    points: BTreeMap<String, Point>,
}

#[derive(Debug, Clone)]
struct Point {
    id: PointId,
    /// Of length 1, or of length 0.
    vector: Vec<f32>,
    payload: HashMap<String, Value>,
}

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub struct QdrantLoopback {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl QdrantLoopback {
    /// Serves `points` on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start(points: Points, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let server = Server::builder()
            .add_service(PointsServer::new(points.clone()).max_decoding_message_size(64 << 20))
            .add_service(CollectionsServer::new(points.clone()))
            .add_service(QdrantServer::new(points))
            .serve_with_incoming_shutdown(TcpIncoming::from(listener), async {
                // Dropping the handle stops it too.
                let _ = stopped.await;
            });
        let task = tokio::spawn(async {
            if let Err(error) = server.await {
                tracing::error!(error = %error, "qdrant loopback server ended badly");
            }
        });
        Ok(Self { address, stop: Some(stop), task })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The address as clients want it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends what is under way and frees the port.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // Gone already is fine.
            let _ = stop.send(());
        }
        if let Err(error) = self.task.await {
            tracing::error!(error = %error, "qdrant loopback server ended badly");
        }
    }
}

impl Points {
    /// Points in a collection; `None` if there is no such collection.
    #[must_use]
    pub fn count(&self, collection: &str) -> Option<usize> {
        self.0.lock().get(collection).map(|collection| collection.points.len())
    }

    fn with<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Collection) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let mut collections = self.0.lock();
        let missing = || Status::not_found(format!("Not found: Collection `{name}` doesn't exist!"));
        work(collections.get_mut(name).ok_or_else(missing)?)
    }
}

/// A point's id as a key that sorts.
fn key(id: &PointId) -> Result<String, Status> {
    match &id.point_id_options {
        Some(PointIdOptions::Num(number)) => Ok(format!("{number:020}")),
        Some(PointIdOptions::Uuid(uuid)) => Ok(uuid.to_lowercase()),
        None => Err(Status::invalid_argument("a point id is missing")),
    }
}

/// Methods that are not served, in the form that `async_trait` gives them.
macro_rules! unimplemented_methods {
    ($($method:ident: $request:ident => $response:ident,)+) => {
        $(fn $method<'life, 'fut>(
            &'life self,
            _: tonic::Request<qdrant_client::qdrant::$request>,
        ) -> std::pin::Pin<Box<dyn Future<Output = Result<tonic::Response<qdrant_client::qdrant::$response>, tonic::Status>> + Send + 'fut>>
        where
            'life: 'fut,
            Self: 'fut,
        {
            Box::pin(async { Err(tonic::Status::unimplemented(stringify!($method))) })
        })+
    };
}
use unimplemented_methods;
