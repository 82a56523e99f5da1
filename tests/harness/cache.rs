//! The cache service under test.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::http::Client;
use super::service::Service;
use super::{install, ports};

/// A running cache service with the real embedding model.
#[derive(Debug)]
pub struct Cache {
    service: Service,
    listen: SocketAddr,
}

impl Cache {
    /// Whether the embedding model is installed.
    #[must_use]
    pub fn model_available() -> bool {
        let home = install::home();
        let files = ["models/all-MiniLM-L6-v2/model.onnx", "lib/libonnxruntime.so"];
        let found = files.iter().all(|file| home.join(file).is_file());
        install::available("the embedding model", found, "run deploy/setup/minilm")
    }

    /// Starts it with its files in `folder`, on the events that `events` says.
    ///
    /// # Errors
    /// When it does not become healthy.
    pub async fn start(folder: &Path, events: Value) -> Result<Self> {
        let listen = ports::free()?;
        let (folder, home) = (folder.join("cache"), install::home());
        let config = json!({
            "listen": listen.to_string(),
            "events": events,
            "index": { "embedded": { "path": folder.join("index") } },
            "group": format!("cache-{listen}"),
            "embedder": { "minilm": {
                "model_dir": home.join("models/all-MiniLM-L6-v2"),
                "onnxruntime": home.join("lib/libonnxruntime.so"),
            } },
        });
        let service = Service::start("tollgate-cache", &folder, &config, listen, &[]).await?;
        Ok(Self { service, listen })
    }

    /// The `cache_service` part of a gateway's configuration. The deadline is wide: a busy machine is not a miss.
    #[must_use]
    pub fn config(&self) -> Value {
        json!({ "url": format!("http://{}", self.listen), "deadline": "5s" })
    }

    /// A client of its HTTP interface.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.listen)
    }

    /// The service's process and files.
    pub fn service(&mut self) -> &mut Service {
        &mut self.service
    }
}
