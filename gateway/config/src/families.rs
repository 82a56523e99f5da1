//! Which family of models a target belongs to.

use std::sync::Arc;

use tollgate_families::{ApiFormat, Families, Lookup, Traits};
use tollgate_formats::BackendFormat;

use super::{BackendConfig, Config, TargetConfig};

impl Config {
    /// The families of this configuration, before those that the gateway knows.
    #[must_use]
    pub fn families(&self) -> Families {
        Families::new(&self.model_families)
    }
}

impl TargetConfig {
    /// What its model takes at its backend.
    #[must_use]
    pub fn traits(&self, backend: &BackendConfig, families: &Families) -> Arc<Traits> {
        let uri = backend.url.parse::<http::Uri>().ok();
        families.resolve(&Lookup {
            model: &self.model,
            base_model: self.base_model.as_deref(),
            family: self.family.as_deref(),
            format: api_format(backend.format),
            provider: backend.provider.as_deref(),
            host: uri.as_ref().and_then(http::Uri::authority).map_or("", |authority| authority.as_str()),
            overrides: self.traits.as_deref(),
        })
    }
}

const fn api_format(format: BackendFormat) -> ApiFormat {
    match format {
        BackendFormat::OpenAi => ApiFormat::OpenAi,
        BackendFormat::AzureOpenAi => ApiFormat::AzureOpenAi,
        BackendFormat::Anthropic => ApiFormat::Anthropic,
        BackendFormat::Bedrock => ApiFormat::Bedrock,
        BackendFormat::Gemini => ApiFormat::Gemini,
    }
}
