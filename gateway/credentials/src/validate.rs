//! What is wrong with a configuration of credentials, as far as it can be told without asking the platform.

use tollgate_settings::Mistakes;

use crate::access_key::AccessKey;
use crate::config::{
    AwsSigv4Config, CredentialsConfig, IdentitySource, ManagedIdentityConfig, Oauth2Config, QueryConfig,
};
use crate::endpoint::Endpoint;
use crate::error::ConfigureError;
use crate::gcp::ServiceAccount;
use crate::header;
use crate::oauth2::ClientCredentials;
use crate::query::QueryCredential;

/// Parameters of the token request that have fields of their own.
const OWN_PARAMETERS: [&str; 5] = ["grant_type", "client_id", "client_secret", "scope", "audience"];

impl CredentialsConfig {
    /// Every mistake, with its path below `credentials`. Secrets are looked for; none is repeated.
    #[must_use]
    pub fn mistakes(&self) -> Mistakes {
        let mut mistakes = Mistakes::default();
        for error in all(self) {
            mistakes.add(error.field, error.reason);
        }
        mistakes
    }
}

/// The first mistake, if there is one.
pub(crate) fn first_mistake(config: &CredentialsConfig) -> Result<(), ConfigureError> {
    all(config).into_iter().next().map_or(Ok(()), Err)
}

fn all(config: &CredentialsConfig) -> Vec<ConfigureError> {
    let mut found = Found::default();
    match config {
        CredentialsConfig::Header(config) => found.note(header::configured(config)),
        CredentialsConfig::Query(config) => check_query(config, &mut found),
        CredentialsConfig::Oauth2(config) => check_oauth2(config, &mut found),
        CredentialsConfig::ManagedIdentity(config) => check_identity(config, &mut found),
        CredentialsConfig::AwsSigv4(config) => check_aws(config, &mut found),
        CredentialsConfig::GcpServiceAccount(config) => found.note(ServiceAccount::new(config)),
        CredentialsConfig::GcpMetadata(config) => {
            if let Some(url) = &config.endpoint {
                found.note(Endpoint::new(url, config.allow_plain_http, "gcp_metadata.endpoint"));
            }
        }
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<ConfigureError>);

impl Found {
    fn note<T>(&mut self, made: Result<T, ConfigureError>) {
        self.0.extend(made.err());
    }

    fn check(&mut self, fine: bool, field: &'static str, reason: &str) {
        if !fine {
            self.0.push(ConfigureError::new(field, reason));
        }
    }
}

fn check_query(config: &QueryConfig, found: &mut Found) {
    found.check(!config.name.is_empty(), "query.name", "must not be empty");
    found.note(QueryCredential::configured(config));
}

fn check_oauth2(config: &Oauth2Config, found: &mut Found) {
    found.check(!config.client_id.is_empty(), "oauth2.client_id", "must not be empty");
    for name in config.parameters.keys() {
        found.check(
            !OWN_PARAMETERS.contains(&name.as_str()),
            "oauth2.parameters",
            &format!("`{name}` is set by the gateway; use the field of that name"),
        );
    }
    found.note(ClientCredentials::new(config));
}

fn check_identity(config: &ManagedIdentityConfig, found: &mut Found) {
    let named = [&config.client_id, &config.object_id, &config.resource_id];
    found.check(
        named.iter().filter(|name| name.is_some()).count() <= 1,
        "managed_identity",
        "takes only one of client_id, object_id and resource_id",
    );
    if config.source == IdentitySource::WorkloadIdentity {
        found.check(
            config.object_id.is_none() && config.resource_id.is_none(),
            "managed_identity",
            "a workload identity is named by client_id alone",
        );
    }
    if let Some(url) = &config.endpoint {
        found.note(Endpoint::new(url, config.allow_plain_http, "managed_identity.endpoint"));
    }
}

fn check_aws(config: &AwsSigv4Config, found: &mut Found) {
    let is_label = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    found.check(is_label(&config.region), "aws_sigv4.region", "must be a region like us-east-1");
    found.check(is_label(&config.service), "aws_sigv4.service", "must be a service like bedrock");
    found.check(config.service != "s3", "aws_sigv4.service", "s3 is signed differently and not supported");
    let (id, secret) = (config.access_key_id.is_some(), config.secret_access_key.is_some());
    found.check(id == secret, "aws_sigv4", "access_key_id and secret_access_key belong together");
    found.check(id || config.session_token.is_none(), "aws_sigv4.session_token", "needs access_key_id");
    found.check(
        !id || config.web_identity.is_none(),
        "aws_sigv4",
        "takes either access_key_id or web_identity",
    );
    found.note(AccessKey::configured(config));
    if let Some(identity) = &config.web_identity
        && let Some(url) = &identity.endpoint
    {
        found.note(Endpoint::new(url, identity.allow_plain_http, "aws_sigv4.web_identity.endpoint"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(yaml: &str) -> Vec<String> {
        let config: CredentialsConfig = serde_saphyr::from_str(yaml).unwrap();
        config.mistakes().0.into_iter().map(|m| format!("{}: {}", m.path, m.message)).collect()
    }

    #[test]
    fn every_kind_is_read_as_it_is_documented() {
        for yaml in [
            "header: { name: x-api-key, value: k }",
            "query: { name: key, value: k }",
            "oauth2: { token_url: 'https://id/t', client_id: c, client_secret: s, scope: a b, audience: x, \
             authentication: client_secret_post, parameters: { resource: r } }",
            "managed_identity: {}",
            "managed_identity: { client_id: c, resource: 'https://ai.azure.com' }",
            "aws_sigv4: { region: us-east-1 }",
            "aws_sigv4: { region: us-east-1, access_key_id: a, secret_access_key: s, session_token: t }",
            "aws_sigv4: { region: us-east-1, web_identity: { role_arn: r, token_file: /t } }",
            "gcp_metadata: {}",
        ] {
            assert_eq!(mistakes(yaml), Vec::<String>::new(), "{yaml}");
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_path() {
        for (yaml, expected) in [
            ("header: { name: 'a b', value: k }", "header.name: `a b` is not a header name"),
            (
                "query: { name: '', value: '${secret:env:TOLLGATE_NOT_SET}' }",
                "query.name: must not be empty | query.value: environment variable TOLLGATE_NOT_SET is not \
                 set; set it or change the reference",
            ),
            (
                "oauth2: { token_url: 'http://id/t', client_id: c, client_secret: s, parameters: { scope: x } }",
                "oauth2.parameters: `scope` is set by the gateway; use the field of that name | \
                 oauth2.token_url: is plain HTTP to another machine; use https, or set allow_plain_http: true",
            ),
            (
                "managed_identity: { client_id: c, object_id: o }",
                "managed_identity: takes only one of client_id, object_id and resource_id",
            ),
            (
                "aws_sigv4: { region: us/east, access_key_id: a }",
                "aws_sigv4.region: must be a region like us-east-1 | aws_sigv4: access_key_id and \
                 secret_access_key belong together",
            ),
            (
                "aws_sigv4: { region: r, service: s3, session_token: t }",
                "aws_sigv4.service: s3 is signed differently and not supported | aws_sigv4.session_token: \
                 needs access_key_id",
            ),
            (
                "gcp_service_account: { key: '{}' }",
                "gcp_service_account.key: is not the JSON of a service account key",
            ),
        ] {
            assert_eq!(mistakes(yaml).join(" | "), expected, "{yaml}");
        }
    }

    #[test]
    fn two_kinds_and_unknown_fields_are_refused() {
        for yaml in [
            "{ header: { name: a, value: b }, query: { name: a, value: b } }",
            "managed_identity: { clientid: x }",
            "kerberos: {}",
        ] {
            assert!(serde_saphyr::from_str::<CredentialsConfig>(yaml).is_err(), "{yaml}");
        }
    }
}
