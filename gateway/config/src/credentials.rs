//! How the gateway identifies itself towards a backend; every kind is described in [`tollgate_credentials`].

pub use tollgate_credentials::config::{
    AwsSigv4Config, ClientAuthentication, CredentialsConfig, GcpMetadataConfig, GcpServiceAccountConfig,
    HeaderConfig, IdentitySource, ManagedIdentityConfig, Oauth2Config, QueryConfig, WebIdentityConfig,
};
