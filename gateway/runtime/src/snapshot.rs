//! The configuration as requests use it: resolved, immutable, swapped as a whole.
//!
//! A request takes the snapshot that is current when it begins and keeps it to its end, so that a reload
//! never changes the rules under a request or a stream.

use std::collections::HashMap;
use std::sync::Arc;

use tollgate_backends::backend::{Backend, BackendError};
use tollgate_backends::routing::affinity::AffinityError;
use tollgate_backends::routing::alias::{Alias, AliasTarget};
use tollgate_backends::{Backends, Deployment, DeploymentId, DeploymentSpec};
use tollgate_base::names::near_names;
use tollgate_config::{
    AliasCaps, AliasDefaults, CacheConfig, Config, ContentConfig, ModelConfig, ServerConfig, TargetConfig,
};
use tollgate_crossing::Endpoints;
use tollgate_formats::OnUnmappable;
use tollgate_identity::{Caller, KeyTable};
use tollgate_tokens::{Encoding, Family};

use crate::resiliency::Resiliency;

/// Backends by name.
type Backs = HashMap<Arc<str>, Arc<Backend>, ahash::RandomState>;

/// Everything a request needs to know of the configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// Gateway keys.
    pub keys: KeyTable,
    /// Backends by name.
    pub backends: Backs,
    /// Models by alias.
    pub models: HashMap<Arc<str>, Arc<Model>, ahash::RandomState>,
    /// APIs that are passed through, longest paths first.
    pub apis: Box<[Arc<Api>]>,
    /// Bounds and timeouts towards clients.
    pub server: ServerConfig,
    /// Which content is published.
    pub content: ContentConfig,
    /// Lookups in the cache that take longer are misses; none without a cache service.
    pub cache: Option<CacheSettings>,
}

/// Longest model name that is repeated in an error, characters.
const MAX_NAME_CHARS: usize = 128;

/// The alias does not exist or is not allowed; the caller cannot tell which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownModel {
    /// What was asked for, cut at 128 characters.
    pub model: String,
    /// Names alike that the caller may use.
    pub near: Vec<Arc<str>>,
}

/// An API of a backend that is passed through.
#[derive(Debug)]
pub struct Api {
    /// Configured name.
    pub name: Arc<str>,
    /// Path that it is served below.
    pub path: Box<str>,
    /// The endpoint.
    pub backend: Arc<Backend>,
    /// The endpoint's base URL, without a slash at its end.
    pub url: Box<str>,
    /// Health and circuit of everything that is passed there.
    pub deployment: Deployment,
}

/// Stands for the model of a deployment where requests are passed through.
const ANY_MODEL: &str = "*";

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
    /// What a request has when its client does not say.
    pub defaults: AliasDefaults,
    /// The most that a client may ask for.
    pub caps: AliasCaps,
    /// What happens to parameters that a target's format has no place for.
    pub on_unmappable: OnUnmappable,
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
    /// What its tokens are counted with where nobody reports them.
    pub encoding: Encoding,
    /// Its health and circuit.
    pub deployment: Deployment,
    /// Where it is called.
    pub endpoints: Endpoints,
    /// Name of the variant in a weighted trial.
    pub variant: Option<Arc<str>>,
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
    /// The deployment of an API has no actor.
    #[error("apis.{name}: no deployment of backend `{backend}`")]
    Api {
        /// The API.
        name: Arc<str>,
        /// Its backend.
        backend: Arc<str>,
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
    let of_models = config.models.values().flat_map(|model| &model.targets).map(|target| DeploymentId {
        backend: Arc::clone(&target.backend),
        model: Arc::clone(&target.model),
    });
    let of_apis = config.apis.values().map(|api| any_model(&api.backend));
    for id in of_models.chain(of_apis) {
        if specs.iter().all(|spec| spec.id != id) {
            let backend = config.backends.get(&id.backend);
            specs.push(DeploymentSpec::of(id, backend));
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
        let mut backends: Backs = HashMap::default();
        for (name, backend) in &config.backends {
            let resolved = Backend::resolve(name, backend, &config.overload)
                .map_err(|source| SnapshotError::Backend { name: Arc::clone(name), source })?;
            backends.insert(Arc::clone(name), Arc::new(resolved));
        }
        let mut models = HashMap::default();
        for (alias, model) in &config.models {
            let built = Model::build(alias, model, config, &backends, deployments)?;
            models.insert(Arc::clone(alias), Arc::new(built));
        }
        Ok(Self {
            keys: KeyTable::build(config),
            apis: Api::build_all(config, &backends, deployments)?,
            backends,
            models,
            server: config.server,
            content: config.content_events,
            cache: config.cache_service.as_ref().map(|cache| CacheSettings {
                deadline: cache.deadline.0,
                max_answer: cache.max_answer.as_usize(),
            }),
        })
    }

    /// The API that a path belongs to, and what follows the API's own path.
    #[must_use]
    pub fn api_of<'p>(&self, path: &'p str) -> Option<(&Arc<Api>, &'p str)> {
        self.apis.iter().find_map(|api| {
            let rest = path.strip_prefix(&*api.path)?;
            (rest.is_empty() || rest.starts_with('/')).then_some((api, rest))
        })
    }

    /// The model behind an alias, when the caller's product has it. A model that exists but is not allowed is
    /// answered like one that does not exist.
    ///
    /// # Errors
    /// [`UnknownModel`] with names alike that the caller may use.
    pub fn model_for(&self, caller: &Caller, alias: &str) -> Result<Arc<Model>, UnknownModel> {
        if let (true, Some(model)) = (caller.product.models.contains(alias), self.models.get(alias)) {
            return Ok(Arc::clone(model));
        }
        let allowed = caller.product.models.iter().filter(|name| self.lists(name));
        Err(UnknownModel {
            model: alias.chars().take(MAX_NAME_CHARS).collect(),
            near: near_names(alias, allowed),
        })
    }

    /// Whether the caller's product has a model that is served by this model of this backend.
    #[must_use]
    pub fn reaches(&self, caller: &Caller, backend: &str, model: &str) -> bool {
        let models = caller.product.models.iter().filter_map(|alias| self.models.get(alias));
        models
            .flat_map(|found| &found.targets)
            .any(|target| *target.backend.name == *backend && *target.model == *model)
    }

    /// Whether an alias exists and may be shown.
    #[must_use]
    pub fn lists(&self, alias: &str) -> bool {
        self.models.get(alias).is_some_and(|model| !model.hidden)
    }
}

fn any_model(backend: &Arc<str>) -> DeploymentId {
    DeploymentId { backend: Arc::clone(backend), model: ANY_MODEL.into() }
}

impl Api {
    fn build_all(
        config: &Config,
        backends: &Backs,
        deployments: &Backends,
    ) -> Result<Box<[Arc<Self>]>, SnapshotError> {
        let mut apis = Vec::with_capacity(config.apis.len());
        for (name, api) in &config.apis {
            let missing = || SnapshotError::Api { name: Arc::clone(name), backend: Arc::clone(&api.backend) };
            let url = config.backends.get(&api.backend).ok_or_else(missing)?.url.trim_end_matches('/');
            apis.push(Arc::new(Self {
                name: Arc::clone(name),
                path: api.path.as_str().into(),
                backend: Arc::clone(backends.get(&*api.backend).ok_or_else(missing)?),
                url: url.into(),
                deployment: deployments.get(&any_model(&api.backend)).ok_or_else(missing)?,
            }));
        }
        apis.sort_by_key(|api| std::cmp::Reverse(api.path.len()));
        Ok(apis.into())
    }
}

impl Model {
    fn build(
        alias: &Arc<str>,
        model: &ModelConfig,
        config: &Config,
        backends: &Backs,
        deployments: &Backends,
    ) -> Result<Self, SnapshotError> {
        let mut targets = Vec::with_capacity(model.targets.len());
        let mut routes = Vec::with_capacity(model.targets.len());
        for target in &model.targets {
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
                preferred: model.pool.prefer_region && config.region.as_deref() == Some(&*backend.region),
            });
            targets.push(Target {
                backend: backend.with_timeouts(model.timeouts),
                model: Arc::clone(&target.model),
                encoding: Family::of(&target.model).encoding(),
                deployment,
                endpoints: endpoints(config, target).ok_or_else(missing)?,
                variant: target.variant.clone(),
            });
        }
        Ok(Self {
            alias: Arc::clone(alias),
            targets,
            route: Alias::new(routes, model.pool.strategy),
            defaults: model.defaults,
            caps: model.caps,
            on_unmappable: model.on_unmappable.into(),
            resiliency: Resiliency::resolve(model)
                .map_err(|source| SnapshotError::Affinity { alias: Arc::clone(alias), source })?,
            cache: model.cache,
            hidden: model.hidden,
        })
    }
}

/// Where a target is called; its backend's URL was checked when the backend was resolved.
fn endpoints(config: &Config, target: &TargetConfig) -> Option<Endpoints> {
    Endpoints::of(config.backends.get(&target.backend)?, &target.model).ok()
}
