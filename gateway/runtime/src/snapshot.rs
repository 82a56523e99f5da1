//! The configuration as requests use it: resolved, immutable, swapped as a whole.
//!
//! A request takes the snapshot that is current when it begins and keeps it to its end, so that a reload
//! never changes the rules under a request or a stream.

use std::collections::HashMap;
use std::sync::Arc;

use http::Uri;
use tollgate_backends::Deployment;
use tollgate_backends::backend::Backend;
use tollgate_backends::routing::alias::Alias;
use tollgate_base::names::near_names;
use tollgate_config::{
    AliasCaps, AliasDefaults, CacheConfig, ContentConfig, CorsConfig, ProbeConfig, RetryConfig, ServerConfig,
};
use tollgate_crossing::{Conversations, Endpoints};
use tollgate_families::Traits;
use tollgate_formats::OnUnmappable;
use tollgate_identity::{Caller, KeyTable};
use tollgate_tokens::Encoding;

use crate::cache_endpoint::CacheEndpoint;
use crate::resiliency::Resiliency;

/// Backends by name.
pub type BackendMap = HashMap<Arc<str>, Arc<Backend>, ahash::RandomState>;

/// Everything a request needs to know of the configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// Gateway keys.
    pub keys: KeyTable,
    /// Backends by name.
    pub backends: BackendMap,
    /// Models by alias.
    pub models: HashMap<Arc<str>, Arc<Model>, ahash::RandomState>,
    /// APIs that are passed through, longest paths first.
    pub apis: Box<[Arc<Api>]>,
    /// Bounds and timeouts towards clients.
    pub server: ServerConfig,
    /// Which pages of other origins may call from a browser.
    pub cors: CorsConfig,
    /// Which content is published.
    pub content: ContentConfig,
    /// How the cache service is used; `None` without one.
    pub cache: Option<CacheSettings>,
    /// Backends that serve a model and are looked after by probes.
    pub probes: Box<[ProbeTarget]>,
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
    /// What may be called of it, as the configuration lists it; empty for everything.
    pub allow: Box<[String]>,
    /// Health and circuit of everything that is passed there.
    pub deployment: Deployment,
}

/// A backend that is looked after by probes.
#[derive(Debug)]
pub struct ProbeTarget {
    /// The endpoint.
    pub backend: Arc<Backend>,
    /// When it is asked, and what it should answer.
    pub config: ProbeConfig,
    /// What is read there.
    pub uri: Uri,
}

/// How the cache service is used.
#[derive(Debug)]
pub struct CacheSettings {
    /// Where it is asked, and what it is shown.
    pub endpoint: CacheEndpoint,
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
    /// Whether prompts are marked for the provider's cache where the client set no mark.
    pub marks_prompt: bool,
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
    /// Short name of both, which marks the model's proofs of thoughts.
    pub origin: Arc<str>,
    /// What its tokens are counted with where nobody reports them.
    pub encoding: Encoding,
    /// Its health and circuit.
    pub deployment: Deployment,
    /// Where it is called.
    pub endpoints: Endpoints,
    /// What the model takes there.
    pub traits: Arc<Traits>,
    /// The API that conversations go to, where there are two.
    pub conversations: Conversations,
    /// Name of the variant in a weighted trial.
    pub variant: Option<Arc<str>>,
    /// Further calls when it cannot serve a request; `None` if the next target is tried at once.
    pub retries: Option<RetryConfig>,
}

impl Snapshot {
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
