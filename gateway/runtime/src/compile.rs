//! From a configuration to the snapshot that requests use: the one way, at the start and whenever it changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tollgate_admission::AdmissionRules;
use tollgate_backends::routing::alias::{Alias, AliasTarget};
use tollgate_backends::{Deployment, DeploymentId, DeploymentSpec};
use tollgate_base::hash::fnv1a;
use tollgate_config::{BackendConfig, Config, ModelConfig, PromptCacheConfig};
use tollgate_crossing::Conversations;
use tollgate_identity::KeyTable;
use tollgate_settings::Mistakes;
use tollgate_tokens::Family;

use crate::kept::Kept;
use crate::parts::{BackendParts, ModelParts, Parts};
use crate::resiliency::Resiliency;
use crate::restart;
use crate::runtime::{Runtime, admission_rules};
use crate::snapshot::{Api, BackendMap, Model, ProbeTarget, Snapshot, Target};

/// Stands for the model of a deployment where requests are passed through.
const ANY_MODEL: &str = "*";

/// Whether a configuration could be used, without starting or changing anything.
///
/// # Errors
/// Every mistake of the configuration.
pub fn check(config: &Config) -> Result<(), Mistakes> {
    Parts::resolve(config, &Kept::default()).map(drop)
}

/// Makes the snapshot of a configuration and adjusts the live state to it: bounds, circuits, credentials. The
/// snapshot is to be used from then on. Reads files and may wait for another one who compiles.
///
/// # Errors
/// Every mistake of the configuration, and every field that cannot change while the process runs; then nothing has
/// changed.
pub fn compile(config: &Config, runtime: &Runtime) -> Result<Snapshot, Mistakes> {
    let mut kept = runtime.kept.lock();
    let parts = Parts::resolve(config, &kept)?;
    // Nothing fails from here on.
    runtime.admission.set_rules(admission_rules(&config.overload));
    runtime.memory.set_max_bytes(config.overload.max_memory.0);
    let mut deployments = runtime.backends.reload(deployments(config)).into_iter();
    let backends = backends(config, parts.backends, &mut kept);
    let mut models = HashMap::default();
    for ((alias, model), parts) in config.models.iter().zip(parts.models) {
        let built = build_model(config, alias, model, parts, &backends, &mut deployments, &mut kept);
        models.insert(Arc::clone(alias), Arc::new(built));
    }
    let apis = apis(config, &backends, &mut deployments);
    let probes = probes(config, &backends);
    kept.fixed = Some(restart::fixed_part(config));
    kept.prune(config);
    let keys = KeyTable::build(config);
    if keys.is_empty() {
        tracing::warn!("no subscription has a key: every call will be refused");
    }
    Ok(Snapshot {
        keys,
        backends,
        models,
        apis,
        server: config.server,
        cors: config.cors.clone(),
        content: config.content_events,
        cache: parts.cache,
        probes,
    })
}

/// The deployment of every target and then of every API, in the order of the configuration; some several times.
fn deployments(config: &Config) -> Vec<DeploymentSpec> {
    let of_models = config.models.values().flat_map(|model| &model.targets).map(|target| DeploymentId {
        backend: Arc::clone(&target.backend),
        model: Arc::clone(&target.model),
    });
    let of_apis = config
        .apis
        .values()
        .map(|api| DeploymentId { backend: Arc::clone(&api.backend), model: ANY_MODEL.into() });
    let spec = |id: DeploymentId| {
        let backend = config.backends.get(&id.backend);
        DeploymentSpec::of(id, backend)
    };
    of_models.chain(of_apis).map(spec).collect()
}

fn backends(config: &Config, parts: Vec<BackendParts>, kept: &mut Kept) -> BackendMap {
    let mut backends = BackendMap::default();
    for ((name, settings), parts) in config.backends.iter().zip(parts) {
        let BackendParts { mut backend, credentials } = parts;
        kept.keep_credentials(name, credentials);
        backend.tls = backend.tls.map(|tls| kept.keep_tls(tls));
        backend.admission = settings.max_running.map(|max_running| {
            kept.admission(name, AdmissionRules { max_running, ..admission_rules(&config.overload) })
        });
        backends.insert(Arc::clone(name), Arc::new(backend));
    }
    backends
}

/// Eight letters that identify a model at a backend. A zero byte between the names keeps different pairs apart.
fn origin(backend: &str, model: &str) -> Arc<str> {
    let hash = fnv1a(backend.bytes().chain([0]).chain(model.bytes()));
    format!("{:08x}", (hash ^ (hash >> 32)) as u32).into()
}

/// `deployments` are those of the targets of this model, and of what comes after it.
fn build_model(
    config: &Config,
    alias: &Arc<str>,
    model: &ModelConfig,
    parts: ModelParts,
    backends: &BackendMap,
    deployments: &mut impl Iterator<Item = Deployment>,
    kept: &mut Kept,
) -> Model {
    let mut targets = Vec::with_capacity(model.targets.len());
    let mut routes = Vec::with_capacity(model.targets.len());
    // `deployments` is zipped last, so that the end of the targets consumes no deployment of the next model.
    let known = model.targets.iter().zip(parts.endpoints).zip(parts.traits);
    for (((target, endpoints), traits), deployment) in known.zip(deployments) {
        let (Some(backend), Some(settings)) =
            (backends.get(&*target.backend), config.backends.get(&target.backend))
        else {
            continue;
        };
        routes.push(AliasTarget {
            deployment: deployment.clone(),
            priority: target.priority,
            weight: target.weight,
            preferred: model.pool.prefer_region && config.region.as_deref() == Some(&*backend.region),
        });
        targets.push(Target {
            backend: backend.with_timeouts(model.timeouts),
            model: Arc::clone(&target.model),
            origin: origin(&target.backend, &target.model),
            encoding: Family::of(&target.model).encoding(),
            deployment,
            endpoints,
            traits,
            conversations: Conversations::of(settings, target),
            variant: target.variant.clone(),
            retries: model.retries.or(settings.retries).filter(|retries| retries.count > 0),
        });
    }
    let state = kept.alias(alias);
    Model {
        alias: Arc::clone(alias),
        targets,
        route: Alias::with_turn(routes, model.pool.strategy, state.turn.clone()),
        defaults: model.defaults,
        caps: model.caps,
        on_unmappable: model.on_unmappable.into(),
        marks_prompt: model.prompt_cache == PromptCacheConfig::Auto,
        resiliency: Resiliency::new(model, parts.affinity, state),
        cache: model.cache,
        hidden: model.hidden,
    }
}

/// Longest paths first.
fn apis(
    config: &Config,
    backends: &BackendMap,
    deployments: &mut impl Iterator<Item = Deployment>,
) -> Box<[Arc<Api>]> {
    let mut apis = Vec::with_capacity(config.apis.len());
    for ((name, api), deployment) in config.apis.iter().zip(deployments) {
        let known = config.backends.get(&api.backend).zip(backends.get(&*api.backend));
        let Some((settings, backend)) = known else { continue };
        apis.push(Arc::new(Api {
            name: Arc::clone(name),
            path: api.path.as_str().into(),
            backend: Arc::clone(backend),
            url: settings.url.trim_end_matches('/').into(),
            allow: api.allow.as_slice().into(),
            deployment,
        }));
    }
    apis.sort_by_key(|api| std::cmp::Reverse(api.path.len()));
    apis.into()
}

fn probes(config: &Config, backends: &BackendMap) -> Box<[ProbeTarget]> {
    let serving: HashSet<&str> =
        config.models.values().flat_map(|model| &model.targets).map(|target| &*target.backend).collect();
    let probed = config.backends.iter().filter(|(name, _)| serving.contains(&***name));
    let target = |(name, settings): (&Arc<str>, &BackendConfig)| {
        let config = settings.probe.clone()?;
        let uri = config.uri(&settings.url)?;
        Some(ProbeTarget { backend: Arc::clone(backends.get(name)?), config, uri })
    };
    probed.filter_map(target).collect()
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
