//! What operators write below `credentials` of a backend.
//!
//! Secrets stand here as references and are resolved when the gateway starts; token files of platforms are
//! read anew for every fetch. Every endpoint has the usual default and can be set, for sovereign clouds and
//! for private ones. Plain HTTP is spoken to loopback, link-local and metadata addresses alone, unless
//! `allow_plain_http` says otherwise.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tollgate_settings::SecretTemplate;

/// Credentials towards a backend: exactly one kind. A client certificate is part of the backend's `tls`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CredentialsConfig {
    /// A header with a secret value.
    Header(HeaderConfig),
    /// A query parameter with a secret value.
    Query(QueryConfig),
    /// A token by the OAuth 2.0 client credentials grant.
    Oauth2(Oauth2Config),
    /// A token of an Azure managed identity or workload identity.
    ManagedIdentity(ManagedIdentityConfig),
    /// A signature of AWS, version 4.
    AwsSigv4(AwsSigv4Config),
    /// A token of a Google Cloud service account, by its key.
    GcpServiceAccount(GcpServiceAccountConfig),
    /// A token of the Google Cloud identity that this machine or pod has.
    GcpMetadata(GcpMetadataConfig),
}

/// A header with a secret value.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HeaderConfig {
    /// Name of the header.
    pub name: String,
    /// Its value, for example `Bearer ${secret:env:OPENAI_API_KEY}`.
    pub value: SecretTemplate,
}

/// A query parameter with a secret value. It replaces a parameter of the same name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QueryConfig {
    /// Name of the parameter, as it reads decoded.
    pub name: String,
    /// Its value, as it reads decoded.
    pub value: SecretTemplate,
}

/// OAuth 2.0 client credentials (RFC 6749 §4.4).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Oauth2Config {
    /// The token endpoint.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: SecretTemplate,
    /// How both are sent.
    #[serde(default)]
    pub authentication: ClientAuthentication,
    /// Scopes asked for, separated by spaces.
    #[serde(default)]
    pub scope: Option<String>,
    /// Audience asked for, where the endpoint knows that parameter.
    #[serde(default)]
    pub audience: Option<String>,
    /// Further parameters of the request.
    #[serde(default)]
    pub parameters: IndexMap<String, SecretTemplate>,
    /// Whether `token_url` may be plain HTTP anywhere.
    #[serde(default)]
    pub allow_plain_http: bool,
}

/// How a client shows its id and secret to the token endpoint (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// By HTTP Basic authentication, which every endpoint must know.
    #[default]
    ClientSecretBasic,
    /// As parameters in the body.
    ClientSecretPost,
}

/// An identity that Azure gives to what runs there. At most one of `client_id`, `object_id` and
/// `resource_id` names a user-assigned identity; without them it is the system-assigned one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ManagedIdentityConfig {
    /// Where tokens come from.
    pub source: IdentitySource,
    /// Client id of a user-assigned identity, or of the application of a workload identity
    /// (`AZURE_CLIENT_ID` when absent).
    pub client_id: Option<String>,
    /// Object (principal) id of a user-assigned identity.
    pub object_id: Option<String>,
    /// Azure resource id of a user-assigned identity.
    pub resource_id: Option<String>,
    /// What the token is for; `https://cognitiveservices.azure.com` when absent.
    pub resource: Option<String>,
    /// Tenant of a workload identity; `AZURE_TENANT_ID` when absent.
    pub tenant_id: Option<String>,
    /// Token file of a workload identity; `AZURE_FEDERATED_TOKEN_FILE` when absent.
    pub token_file: Option<String>,
    /// Base URL of the instance metadata service (`http://169.254.169.254`), the App Service endpoint
    /// (`IDENTITY_ENDPOINT`) or the authority of a workload identity (`AZURE_AUTHORITY_HOST`, or
    /// `https://login.microsoftonline.com`); what stands in parentheses when absent.
    pub endpoint: Option<String>,
    /// Whether that may be plain HTTP anywhere.
    pub allow_plain_http: bool,
}

/// Where tokens of a managed identity come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IdentitySource {
    /// Workload identity where `AZURE_FEDERATED_TOKEN_FILE` is set, App Service where `IDENTITY_ENDPOINT` is
    /// set, the instance metadata service otherwise.
    #[default]
    Auto,
    /// The instance metadata service of virtual machines.
    InstanceMetadata,
    /// The endpoint of App Service, Functions and Container Apps.
    AppService,
    /// A Kubernetes service account's token, exchanged with Microsoft Entra.
    WorkloadIdentity,
}

/// AWS Signature Version 4. Keys come from here, from `web_identity`, or, when neither stands here, from the
/// environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, else
/// `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AwsSigv4Config {
    /// Region in the signature, for example `us-east-1`.
    pub region: String,
    /// Service in the signature.
    #[serde(default = "bedrock")]
    pub service: String,
    /// A fixed access key. Its id is no secret (IAM user guide, "Manage access keys").
    #[serde(default, serialize_with = "tollgate_settings::not_a_secret")]
    pub access_key_id: Option<SecretTemplate>,
    /// Its secret.
    #[serde(default)]
    pub secret_access_key: Option<SecretTemplate>,
    /// The session token that belongs to a temporary access key.
    #[serde(default)]
    pub session_token: Option<SecretTemplate>,
    /// Temporary keys of a role, for a token that the platform keeps in a file.
    #[serde(default)]
    pub web_identity: Option<WebIdentityConfig>,
}

fn bedrock() -> String {
    "bedrock".to_owned()
}

/// `AssumeRoleWithWebIdentity` of the AWS Security Token Service.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct WebIdentityConfig {
    /// The role; `AWS_ROLE_ARN` when absent.
    pub role_arn: Option<String>,
    /// File with the platform's token; `AWS_WEB_IDENTITY_TOKEN_FILE` when absent.
    pub token_file: Option<String>,
    /// Name of the session in AWS's records; `AWS_ROLE_SESSION_NAME` or `tollgate` when absent.
    pub session_name: Option<String>,
    /// The service; that of the region when absent.
    pub endpoint: Option<String>,
    /// Whether that may be plain HTTP anywhere.
    pub allow_plain_http: bool,
}

/// A Google Cloud service account with a key of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GcpServiceAccountConfig {
    /// The key as Google gives it out, a JSON text: `${secret:file:/run/secrets/gcp.json}`.
    pub key: SecretTemplate,
    /// Scopes asked for, separated by spaces.
    #[serde(default = "cloud_platform")]
    pub scope: String,
    /// The token endpoint; the one that the key names when absent.
    #[serde(default)]
    pub token_url: Option<String>,
    /// Whether that may be plain HTTP anywhere.
    #[serde(default)]
    pub allow_plain_http: bool,
}

fn cloud_platform() -> String {
    "https://www.googleapis.com/auth/cloud-platform".to_owned()
}

/// The metadata server of Google Cloud: virtual machines, Cloud Run, and pods with workload identity.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GcpMetadataConfig {
    /// Email of the service account; the machine's own (`default`) when absent.
    pub service_account: Option<String>,
    /// Base URL of the metadata server; `GCE_METADATA_HOST`, or `http://metadata.google.internal` when absent.
    pub endpoint: Option<String>,
    /// Whether that may be plain HTTP anywhere.
    pub allow_plain_http: bool,
}
