//! The half of compiling that can fail: makes or finds everything that a configuration refers to, and collects every
//! mistake in it. No live state is changed here, and nothing is started.

use std::sync::Arc;

use tollgate_backends::backend::Backend;
use tollgate_backends::routing::affinity::Affinity;
use tollgate_backends::tls::BackendTls;
use tollgate_config::validate::validate;
use tollgate_config::{CacheServiceConfig, Config, ModelConfig};
use tollgate_credentials::Credentials;
use tollgate_crossing::Endpoints;
use tollgate_families::{Families, Traits};
use tollgate_settings::Mistakes;

use crate::cache_endpoint::CacheEndpoint;
use crate::kept::{Kept, KnownCredentials};
use crate::restart;
use crate::snapshot::CacheSettings;

/// What a configuration without mistakes is made of.
pub(crate) struct Parts {
    /// In the order of the configuration.
    pub(crate) backends: Vec<BackendParts>,
    /// In the order of the configuration.
    pub(crate) models: Vec<ModelParts>,
    pub(crate) cache: Option<CacheSettings>,
}

pub(crate) struct BackendParts {
    /// Without its admission.
    pub(crate) backend: Backend,
    pub(crate) credentials: KnownCredentials,
}

pub(crate) struct ModelParts {
    /// In the order of its targets.
    pub(crate) endpoints: Vec<Endpoints>,
    /// Likewise.
    pub(crate) traits: Vec<Arc<Traits>>,
    pub(crate) affinity: Option<Affinity>,
}

impl Parts {
    /// Makes them, or finds them among what is kept.
    ///
    /// # Errors
    /// Every mistake of the configuration.
    pub(crate) fn resolve(config: &Config, kept: &Kept) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        if let Some(before) = &kept.fixed {
            restart::check(before, config, &mut mistakes);
        }
        let shape = validate(config).err().unwrap_or_default();
        let has_shape = shape.0.is_empty();
        mistakes.0.extend(shape.0);
        let tls = all_tls(config, kept, &mut mistakes);
        let affinities = affinities(config, &mut mistakes);
        let cache = config.cache_service.as_ref().and_then(|cache| cache_settings(cache, &mut mistakes));
        if !has_shape {
            // The steps below need a valid configuration, and would report the same mistakes again.
            return Err(mistakes);
        }
        let backends = backends(config, kept, tls, &mut mistakes);
        let families = config.families();
        let parts = |((alias, model), affinity)| ModelParts {
            endpoints: endpoints(config, alias, model, &mut mistakes),
            traits: traits(config, model, &families),
            affinity,
        };
        let models = config.models.iter().zip(affinities).map(parts).collect();
        mistakes.into_result().map(|()| Self { backends, models, cache })
    }
}

/// TLS settings of all backends, in their order.
fn all_tls(config: &Config, kept: &Kept, mistakes: &mut Mistakes) -> Vec<Option<Arc<BackendTls>>> {
    let mut all = Vec::with_capacity(config.backends.len());
    for (name, backend) in &config.backends {
        let tls = kept.tls(&backend.tls);
        let noted = tls.inspect_err(|error| {
            mistakes.add(format!("backends.{name}.tls.{}", error.field()), error.to_string());
        });
        all.push(noted.unwrap_or_default());
    }
    all
}

/// Where the sessions of all models are found, in their order.
fn affinities(config: &Config, mistakes: &mut Mistakes) -> Vec<Option<Affinity>> {
    let mut all = Vec::with_capacity(config.models.len());
    for (alias, model) in &config.models {
        let affinity = model.pool.affinity.as_ref().map(Affinity::resolve).transpose();
        let noted = affinity.inspect_err(|error| {
            // What has the wrong shape is found with the shape of everything else.
            if let Some((field, message)) = error.place() {
                mistakes.add(format!("models.{alias}.pool.affinity.{field}"), message);
            }
        });
        all.push(noted.unwrap_or_default());
    }
    all
}

fn cache_settings(config: &CacheServiceConfig, mistakes: &mut Mistakes) -> Option<CacheSettings> {
    Some(CacheSettings {
        endpoint: CacheEndpoint::resolve(config, mistakes)?,
        deadline: config.deadline.0,
        max_answer: config.max_answer.as_usize(),
    })
}

/// All backends, in their order; those with mistakes are left out.
fn backends(
    config: &Config,
    kept: &Kept,
    tls: Vec<Option<Arc<BackendTls>>>,
    mistakes: &mut Mistakes,
) -> Vec<BackendParts> {
    let mut all = Vec::with_capacity(config.backends.len());
    for ((name, backend), tls) in config.backends.iter().zip(tls) {
        let credentials = match kept.credentials(name, backend.credentials.as_ref()) {
            Ok(credentials) => credentials,
            Err(error) => {
                let (field, message) = error.place();
                mistakes.add(format!("backends.{name}.{field}"), message);
                continue;
            }
        };
        let shown: Arc<Credentials> = Arc::clone(&credentials.credentials);
        match Backend::resolve(name, backend, shown, tls) {
            Ok(backend) => all.push(BackendParts { backend, credentials }),
            Err(error) => mistakes.add(format!("backends.{name}.{}", error.field()), error.to_string()),
        }
    }
    all
}

/// Where the targets of a model are called, in their order.
fn endpoints(
    config: &Config,
    alias: &Arc<str>,
    model: &ModelConfig,
    mistakes: &mut Mistakes,
) -> Vec<Endpoints> {
    let mut all = Vec::with_capacity(model.targets.len());
    for (index, target) in model.targets.iter().enumerate() {
        // The shape is right: there is such a backend.
        let Some(backend) = config.backends.get(&target.backend) else { continue };
        match Endpoints::of(backend, &target.model) {
            Ok(endpoints) => all.push(endpoints),
            Err(error) => mistakes.add(format!("models.{alias}.targets[{index}].model"), error.to_string()),
        }
    }
    all
}

/// What the targets of a model take, in their order.
fn traits(config: &Config, model: &ModelConfig, families: &Families) -> Vec<Arc<Traits>> {
    let known =
        model.targets.iter().filter_map(|target| Some((target, config.backends.get(&target.backend)?)));
    known.map(|(target, backend)| target.traits(backend, families)).collect()
}
