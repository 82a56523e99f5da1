//! A gateway under test: its configuration in a few words, its process, clients for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::http::Client;
use super::service::Service;
use super::{keys, ports};

/// Variable that holds the backend's key.
pub const BACKEND_KEY_ENV: &str = "TOLLGATE_TEST_BACKEND_KEY";
/// The backend's key.
pub const BACKEND_KEY: &str = "sk-test-backend-5f1d";

/// The configuration of a gateway, as JSON that a test may change at will.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The document.
    pub value: Value,
    folder: PathBuf,
    listen: SocketAddr,
    admin: SocketAddr,
}

/// Who calls and who pays.
#[derive(Debug, Clone)]
pub struct Subscriber<'a> {
    /// Name of the subscription, and of its key.
    pub name: &'a str,
    /// Its product.
    pub product: &'a str,
    /// Its tenant.
    pub tenant: &'a str,
    /// Its cost center.
    pub cost_center: &'a str,
    /// Its team.
    pub team: &'a str,
}

impl GatewayConfig {
    /// A gateway with its files in `folder`, on free ports, without backends.
    ///
    /// # Errors
    /// When no port is free.
    pub fn new(folder: &Path) -> Result<Self> {
        let (listen, admin) = (ports::free()?, ports::free()?);
        let folder = folder.join("gateway");
        let value = json!({
            "gateway_id": "gw-test",
            "listen": listen.to_string(),
            "admin_listen": admin.to_string(),
            "workers": 1,
            "data_dir": folder.join("data"),
            "events": { "embedded": { "path": folder.join("log") } },
            "backends": {},
            "models": {},
            "products": {},
            "subscriptions": {},
        });
        Ok(Self { value, folder, listen, admin })
    }

    /// The usual one: backend `sim` at `url`; aliases `chat` (sim-small) and `large` (sim-large); product `gold`
    /// with both and without limits; subscription `checkout` of tenant acme, team checkout, cost center 4711.
    ///
    /// # Errors
    /// As [`GatewayConfig::new`].
    pub fn usual(folder: &Path, url: &str) -> Result<Self> {
        let config = Self::new(folder)?
            .backend("sim", url)
            .alias("chat", "sim", "sim-small")
            .alias("large", "sim", "sim-large")
            .product("gold", &["chat", "large"])
            .subscription(&Subscriber {
                name: "checkout",
                product: "gold",
                tenant: "acme",
                cost_center: "4711",
                team: "checkout",
            });
        Ok(config)
    }

    /// Replaces or adds the value at a path such as `server.max_body`.
    #[must_use]
    pub fn set(mut self, path: &str, value: Value) -> Self {
        let place = path.split('.').fold(&mut self.value, |place, name| &mut place[name]);
        *place = value;
        self
    }

    /// Publishes events to where `events` says.
    #[must_use]
    pub fn events(self, events: Value) -> Self {
        self.set("events", events)
    }

    /// Adds an OpenAI-format backend of provider `sim`, with the test's backend key.
    #[must_use]
    pub fn backend(self, name: &str, url: &str) -> Self {
        let value = format!("Bearer ${{secret:env:{BACKEND_KEY_ENV}}}");
        let credentials = json!({ "header": { "name": "Authorization", "value": value } });
        let backend =
            json!({ "format": "openai", "provider": "sim", "url": url, "credentials": credentials });
        self.set(&format!("backends.{name}"), backend)
    }

    /// Adds an alias with one target.
    #[must_use]
    pub fn alias(self, name: &str, backend: &str, model: &str) -> Self {
        self.set(&format!("models.{name}"), json!({ "targets": [{ "backend": backend, "model": model }] }))
    }

    /// Adds a product without limits.
    #[must_use]
    pub fn product(self, name: &str, aliases: &[&str]) -> Self {
        self.set(&format!("products.{name}"), json!({ "models": aliases }))
    }

    /// Limits a product's subscriptions to so many tokens a minute each.
    #[must_use]
    pub fn limit(self, product: &str, tokens_per_minute: u64) -> Self {
        let limits = json!([{ "per": "subscription", "tokens_per_minute": tokens_per_minute }]);
        self.set(&format!("products.{product}.limits"), limits)
    }

    /// Adds a subscription with one key, `keys::text(name)`.
    #[must_use]
    pub fn subscription(self, who: &Subscriber<'_>) -> Self {
        let key = json!({ "id": format!("k-{}", who.name), "sha256": keys::sha256(&keys::text(who.name)) });
        let tags = json!({ "cost_center": who.cost_center, "team": who.team, "app": "shop" });
        let value = json!({ "product": who.product, "tenant": who.tenant, "tags": tags, "keys": [key] });
        self.set(&format!("subscriptions.{}", who.name), value)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it does not become healthy.
    pub async fn start(&self) -> Result<Gateway> {
        self.start_wrapped(&[]).await
    }

    /// Starts it behind a command, for example `taskset -c 0`.
    ///
    /// # Errors
    /// When it does not become healthy.
    pub async fn start_wrapped(&self, wrapper: &[&str]) -> Result<Gateway> {
        let env = [(BACKEND_KEY_ENV.to_owned(), BACKEND_KEY.to_owned())];
        let service =
            Service::start_wrapped("tollgate-gateway", &self.folder, &self.value, self.admin, &env, wrapper)
                .await?;
        Ok(Gateway { service, listen: self.listen, admin: self.admin })
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    service: Service,
    listen: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    /// Address of the model API.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listen
    }

    /// A client with the key of that subscription.
    #[must_use]
    pub fn client(&self, subscription: &str) -> Client {
        self.anyone().bearer(&keys::text(subscription))
    }

    /// A client without a key.
    #[must_use]
    pub fn anyone(&self) -> Client {
        Client::new(self.listen)
    }

    /// A client of the admin pages.
    #[must_use]
    pub fn admin(&self) -> Client {
        Client::new(self.admin)
    }

    /// The service's process and files.
    pub fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.service.pid()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.service.process().kill();
    }

    /// Starts it again on the same files and ports.
    ///
    /// # Errors
    /// When it does not become healthy.
    pub async fn restart(&mut self) -> Result<()> {
        self.service.restart().await
    }

    /// SIGTERM, and waits for an end in good order.
    ///
    /// # Errors
    /// When it does not end within a minute, or with an exit code other than 0.
    pub async fn stop(&mut self) -> Result<()> {
        let status = self.service.process().terminate(Duration::from_secs(60)).await?;
        anyhow::ensure!(status.success(), "the gateway ended with {status}");
        Ok(())
    }
}

/// A chat request of one user message.
#[must_use]
pub fn chat(model: &str, text: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": text }] })
}

/// The same as a stream.
#[must_use]
pub fn chat_stream(model: &str, text: &str) -> Value {
    json!({ "model": model, "stream": true, "messages": [{ "role": "user", "content": text }] })
}
