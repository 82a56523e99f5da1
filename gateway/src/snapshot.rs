//! The configuration as requests use it: resolved, immutable, swapped as a whole.
//!
//! A request takes the snapshot that is current when it begins and keeps it to its end, so that a reload
//! never changes the rules under a request or a stream.

use std::collections::HashMap;
use std::sync::Arc;

use crate::access::KeyTable;
use crate::backends::backend::{Backend, BackendError};
use crate::backends::{Backends, Deployment, DeploymentId, DeploymentSpec};
use crate::config::{CacheConfig, Config, ContentConfig, ModelConfig, ServerConfig};
use crate::request::resiliency::Resiliency;
use crate::routing::affinity::AffinityError;
use crate::routing::alias::{Alias, AliasTarget};

/// Everything a request needs to know of the configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// Gateway keys.
    pub keys: KeyTable,
    /// Models by alias.
    pub models: HashMap<Arc<str>, Arc<Model>, ahash::RandomState>,
    /// Bounds and timeouts towards clients.
    pub server: ServerConfig,
    /// Which content is published.
    pub content: ContentConfig,
    /// Lookups in the cache that take longer are misses; none without a cache service.
    pub cache: Option<CacheSettings>,
}

/// How the cache service is used.
#[derive(Debug, Clone, Copy)]
pub struct CacheSettings {
    /// A lookup that takes longer is a miss.
    pub deadline: std::time::Duration,
    /// Longer answers are not stored, bytes.
    pub max_answer: usize,
}

/// A model as clients see it.
#[derive(Debug)]
pub struct Model {
    /// Its client-facing name.
    pub alias: Arc<str>,
    /// Where requests may go; the indexes of [`Alias`] point here.
    pub targets: Vec<Target>,
    /// How one of them is chosen.
    pub route: Alias,
    /// What happens when a target is slow or fails, or a client goes.
    pub resiliency: Resiliency,
    /// Whether answers are cached.
    pub cache: Option<CacheConfig>,
    /// Not listed, but usable.
    pub hidden: bool,
}

/// One way to serve a model.
#[derive(Debug)]
pub struct Target {
    /// The endpoint.
    pub backend: Arc<Backend>,
    /// The model's name there.
    pub model: Arc<str>,
    /// Its health and circuit.
    pub deployment: Deployment,
}

/// Why a snapshot cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A backend cannot be resolved.
    #[error("backends.{name}: {source}")]
    Backend {
        /// Its name.
        name: Arc<str>,
        /// Why.
        source: BackendError,
    },
    /// The sessions of an alias cannot be found as configured.
    #[error("models.{alias}.pool.affinity: {source}")]
    Affinity {
        /// The alias.
        alias: Arc<str>,
        /// Why.
        source: AffinityError,
    },
    /// A target's deployment has no actor.
    #[error("models.{alias}: no deployment `{model}` at backend `{backend}`")]
    Deployment {
        /// The alias.
        alias: Arc<str>,
        /// Backend of the target.
        backend: Arc<str>,
        /// Model of the target.
        model: Arc<str>,
    },
}

/// The deployments that a configuration needs actors for.
#[must_use]
pub fn deployments(config: &Config) -> Vec<DeploymentSpec> {
    let mut specs: Vec<DeploymentSpec> = Vec::new();
    for target in config.models.values().flat_map(|model| &model.targets) {
        let id = DeploymentId { backend: Arc::clone(&target.backend), model: Arc::clone(&target.model) };
        if specs.iter().all(|spec| spec.id != id) {
            specs.push(DeploymentSpec::of(id, config.backends.get(&target.backend)));
        }
    }
    specs
}

impl Snapshot {
    /// Resolves a validated configuration against the running deployments.
    ///
    /// # Errors
    /// When a backend cannot be resolved.
    pub fn build(config: &Config, deployments: &Backends) -> Result<Self, SnapshotError> {
        let mut backends: HashMap<&str, Arc<Backend>> = HashMap::new();
        for (name, backend) in &config.backends {
            let resolved = Backend::resolve(name, backend)
                .map_err(|source| SnapshotError::Backend { name: Arc::clone(name), source })?;
            backends.insert(name, Arc::new(resolved));
        }
        let mut models = HashMap::default();
        for (alias, model) in &config.models {
            let built = Model::build(alias, model, config.region.as_deref(), &backends, deployments)?;
            models.insert(Arc::clone(alias), Arc::new(built));
        }
        Ok(Self {
            keys: KeyTable::build(config),
            models,
            server: config.server,
            content: config.content_events,
            cache: config.cache_service.as_ref().map(|cache| CacheSettings {
                deadline: cache.deadline.0,
                max_answer: cache.max_answer.as_usize(),
            }),
        })
    }

    /// Whether an alias exists and may be shown.
    #[must_use]
    pub fn lists(&self, alias: &str) -> bool {
        self.models.get(alias).is_some_and(|model| !model.hidden)
    }
}

impl Model {
    fn build(
        alias: &Arc<str>,
        config: &ModelConfig,
        own_region: Option<&str>,
        backends: &HashMap<&str, Arc<Backend>>,
        deployments: &Backends,
    ) -> Result<Self, SnapshotError> {
        let mut targets = Vec::with_capacity(config.targets.len());
        let mut routes = Vec::with_capacity(config.targets.len());
        for target in &config.targets {
            let missing = || SnapshotError::Deployment {
                alias: Arc::clone(alias),
                backend: Arc::clone(&target.backend),
                model: Arc::clone(&target.model),
            };
            let backend = backends.get(&*target.backend).ok_or_else(missing)?;
            let id = DeploymentId { backend: Arc::clone(&target.backend), model: Arc::clone(&target.model) };
            let deployment = deployments.get(&id).ok_or_else(missing)?;
            routes.push(AliasTarget {
                deployment: deployment.clone(),
                priority: target.priority,
                weight: target.weight,
                preferred: config.pool.prefer_region && own_region == Some(&*backend.region),
            });
            targets.push(Target {
                backend: backend.with_timeouts(config.timeouts),
                model: Arc::clone(&target.model),
                deployment,
            });
        }
        Ok(Self {
            alias: Arc::clone(alias),
            targets,
            route: Alias::new(routes, config.pool.strategy),
            resiliency: Resiliency::resolve(config)
                .map_err(|source| SnapshotError::Affinity { alias: Arc::clone(alias), source })?,
            cache: config.cache,
            hidden: config.hidden,
        })
    }
}
