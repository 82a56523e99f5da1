//! Azure managed identities: the instance metadata service, App Service, and workload identity federation.
//!
//! Requests and answers follow Microsoft's "How to use managed identities … to acquire an access token"
//! (api-version 2018-02-01), "Connect to Azure resources … App Service" (2019-08-01) and "Microsoft identity
//! platform … client credentials flow … with a federated credential".

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use crate::clock::Clock;
use crate::config::{IdentitySource, ManagedIdentityConfig};
use crate::endpoint::{Endpoint, TokenClient, read_token_file};
use crate::environment::Environment;
use crate::error::{ConfigureError, CredentialError};
use crate::token::{self, Fetched};

/// What tokens are for when the configuration does not say: Azure OpenAI and the other AI services.
const DEFAULT_RESOURCE: &str = "https://cognitiveservices.azure.com";
const INSTANCE_METADATA: &str = "http://169.254.169.254";
const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";
/// While the metadata service is being updated it answers with these for up to 70 seconds.
const UPDATING: &[u16] = &[404, 410];

/// An identity in Azure, resolved.
pub(crate) enum ManagedIdentity {
    /// One request to an endpoint of the platform.
    Platform { endpoint: Endpoint, headers: HeaderMap, passing: &'static [u16] },
    /// A token in a file, exchanged.
    Federated(Federated),
}

/// Workload identity: the platform's token file vouches for an application.
pub(crate) struct Federated {
    endpoint: Endpoint,
    client_id: String,
    scope: String,
    token_file: Arc<str>,
}

impl ManagedIdentity {
    pub(crate) fn new(
        config: &ManagedIdentityConfig,
        environment: &Environment,
    ) -> Result<Self, ConfigureError> {
        match source(config, environment) {
            IdentitySource::WorkloadIdentity => federated(config, environment).map(Self::Federated),
            IdentitySource::AppService => app_service(config, environment),
            IdentitySource::InstanceMetadata | IdentitySource::Auto => instance_metadata(config),
        }
    }

    pub(crate) async fn fetch(
        &self,
        client: &TokenClient,
        clock: &Clock,
    ) -> Result<Fetched<HeaderValue>, CredentialError> {
        match self {
            Self::Federated(identity) => identity.fetch(client, clock).await,
            Self::Platform { endpoint, headers, passing } => {
                let answer = client.get(endpoint, headers.clone()).await?;
                if passing.contains(&answer.status) {
                    return Err(token::refusal(endpoint, &answer, passing));
                }
                token::bearer(endpoint, &answer, clock.unix())
            }
        }
    }

    pub(crate) fn endpoint_name(&self) -> Arc<str> {
        match self {
            Self::Platform { endpoint, .. } => Arc::clone(&endpoint.name),
            Self::Federated(identity) => Arc::clone(&identity.endpoint.name),
        }
    }
}

impl Federated {
    async fn fetch(
        &self,
        client: &TokenClient,
        clock: &Clock,
    ) -> Result<Fetched<HeaderValue>, CredentialError> {
        let assertion = read_token_file(&self.token_file).await?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.client_id)
            .append_pair("scope", &self.scope)
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .append_pair("client_assertion", assertion.expose_secret())
            .finish();
        let answer = client.post_form(&self.endpoint, HeaderMap::new(), form).await?;
        token::bearer(&self.endpoint, &answer, clock.unix())
    }
}

/// The order is that of Azure's own SDKs.
fn source(config: &ManagedIdentityConfig, environment: &Environment) -> IdentitySource {
    let set = |name: &str| environment.get(name).is_some();
    match config.source {
        IdentitySource::Auto if set("AZURE_FEDERATED_TOKEN_FILE") => IdentitySource::WorkloadIdentity,
        IdentitySource::Auto if set("IDENTITY_ENDPOINT") && set("IDENTITY_HEADER") => {
            IdentitySource::AppService
        }
        IdentitySource::Auto => IdentitySource::InstanceMetadata,
        chosen => chosen,
    }
}

fn resource(config: &ManagedIdentityConfig) -> &str {
    config.resource.as_deref().unwrap_or(DEFAULT_RESOURCE)
}

fn instance_metadata(config: &ManagedIdentityConfig) -> Result<ManagedIdentity, ConfigureError> {
    let base = config.endpoint.as_deref().unwrap_or(INSTANCE_METADATA).trim_end_matches('/');
    let query = platform_query(config, "2018-02-01", "object_id");
    let url = format!("{base}/metadata/identity/oauth2/token?{query}");
    Ok(ManagedIdentity::Platform {
        endpoint: Endpoint::new(&url, config.allow_plain_http, "managed_identity.endpoint")?,
        headers: HeaderMap::from_iter([(
            HeaderName::from_static("metadata"),
            HeaderValue::from_static("true"),
        )]),
        passing: UPDATING,
    })
}

fn app_service(
    config: &ManagedIdentityConfig,
    environment: &Environment,
) -> Result<ManagedIdentity, ConfigureError> {
    let field = "managed_identity.endpoint";
    let base = environment.or(config.endpoint.as_ref(), field, "IDENTITY_ENDPOINT")?;
    let secret = environment
        .secret("IDENTITY_HEADER")
        .ok_or_else(|| ConfigureError::new("managed_identity.source", "IDENTITY_HEADER is not set"))?;
    let mut header = HeaderValue::from_str(secret.expose_secret())
        .map_err(|_| ConfigureError::new("managed_identity.source", "IDENTITY_HEADER is no header value"))?;
    header.set_sensitive(true);
    let url = format!("{base}?{}", platform_query(config, "2019-08-01", "principal_id"));
    Ok(ManagedIdentity::Platform {
        endpoint: Endpoint::new(&url, config.allow_plain_http, field)?,
        headers: HeaderMap::from_iter([(HeaderName::from_static("x-identity-header"), header)]),
        passing: &[],
    })
}

fn platform_query(config: &ManagedIdentityConfig, version: &str, object_id: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("api-version", version).append_pair("resource", resource(config));
    let names = [
        ("client_id", &config.client_id),
        (object_id, &config.object_id),
        ("mi_res_id", &config.resource_id),
    ];
    for (name, value) in names {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

fn federated(config: &ManagedIdentityConfig, environment: &Environment) -> Result<Federated, ConfigureError> {
    let client_id =
        environment.or(config.client_id.as_ref(), "managed_identity.client_id", "AZURE_CLIENT_ID")?;
    let tenant_id =
        environment.or(config.tenant_id.as_ref(), "managed_identity.tenant_id", "AZURE_TENANT_ID")?;
    let field = "managed_identity.token_file";
    let token_file = environment.or(config.token_file.as_ref(), field, "AZURE_FEDERATED_TOKEN_FILE")?;
    if !tenant_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) {
        return Err(ConfigureError::new("managed_identity.tenant_id", "must be an id or a domain name"));
    }
    let authority = config.endpoint.clone().or_else(|| environment.get("AZURE_AUTHORITY_HOST"));
    let authority = authority.as_deref().unwrap_or(PUBLIC_AUTHORITY).trim_end_matches('/');
    let url = format!("{authority}/{tenant_id}/oauth2/v2.0/token");
    Ok(Federated {
        endpoint: Endpoint::new(&url, config.allow_plain_http, "managed_identity.endpoint")?,
        client_id,
        scope: format!("{}/.default", resource(config).trim_end_matches('/')),
        token_file: token_file.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(config: &ManagedIdentityConfig, variables: &[(&str, &str)]) -> Result<String, String> {
        let environment = Environment::of(variables.iter().copied());
        match ManagedIdentity::new(config, &environment) {
            Ok(ManagedIdentity::Platform { endpoint, .. }) => Ok(endpoint.uri.to_string()),
            Ok(ManagedIdentity::Federated(identity)) => Ok(identity.endpoint.uri.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    const APP_SERVICE: [(&str, &str); 2] =
        [("IDENTITY_ENDPOINT", "http://127.0.0.1:41741/msi/token"), ("IDENTITY_HEADER", "s3cret")];
    const WORKLOAD: [(&str, &str); 4] = [
        ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/tokens/azure-identity-token"),
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_TENANT_ID", "72f988bf-86f1"),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"),
    ];

    #[test]
    fn a_plain_machine_asks_its_metadata_service() {
        assert_eq!(
            uri(&ManagedIdentityConfig::default(), &[]).unwrap(),
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
             &resource=https%3A%2F%2Fcognitiveservices.azure.com"
        );
    }

    #[test]
    fn the_platform_is_found_by_its_variables() {
        let config = ManagedIdentityConfig::default();
        let app_service = uri(&config, &APP_SERVICE).unwrap();
        assert!(app_service.starts_with("http://127.0.0.1:41741/msi/token?api-version=2019-08-01&"));
        let both: Vec<_> = APP_SERVICE.iter().chain(&WORKLOAD).copied().collect();
        let expected = "https://login.microsoftonline.us/72f988bf-86f1/oauth2/v2.0/token";
        assert_eq!(uri(&config, &both).unwrap(), expected);
    }

    #[test]
    fn a_user_assigned_identity_is_named_as_each_platform_wants_it() {
        let object = ManagedIdentityConfig { object_id: Some("o1".into()), ..Default::default() };
        assert!(uri(&object, &[]).unwrap().ends_with("&object_id=o1"));
        assert!(uri(&object, &APP_SERVICE).unwrap().ends_with("&principal_id=o1"));
        let resource =
            ManagedIdentityConfig { resource_id: Some("/subscriptions/s".into()), ..Default::default() };
        assert!(uri(&resource, &[]).unwrap().ends_with("&mi_res_id=%2Fsubscriptions%2Fs"));
        let client = ManagedIdentityConfig { client_id: Some("c1".into()), ..Default::default() };
        assert!(uri(&client, &APP_SERVICE).unwrap().ends_with("&client_id=c1"));
    }

    #[test]
    fn what_a_chosen_source_lacks_is_named() {
        let config = ManagedIdentityConfig { source: IdentitySource::WorkloadIdentity, ..Default::default() };
        assert_eq!(
            uri(&config, &WORKLOAD[..2]).unwrap_err(),
            "credentials.managed_identity.tenant_id: is missing, and AZURE_TENANT_ID is not set"
        );
        let config = ManagedIdentityConfig { source: IdentitySource::AppService, ..Default::default() };
        assert!(uri(&config, &[]).unwrap_err().contains("IDENTITY_ENDPOINT is not set"));
        assert!(uri(&config, &APP_SERVICE[..1]).unwrap_err().contains("IDENTITY_HEADER is not set"));
    }

    #[test]
    fn a_tenant_cannot_change_the_path() {
        let config = ManagedIdentityConfig { tenant_id: Some("a/b?c".into()), ..Default::default() };
        assert!(uri(&config, &WORKLOAD).unwrap_err().contains("must be an id or a domain name"));
    }
}
