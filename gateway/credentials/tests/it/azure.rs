//! Azure's three ways to a token, with answers in Azure's own shapes.

use std::io::Write;

use crate::endpoint::{Bench, EPOCH, Endpoint, Reply, authorization, token};

/// All numbers are text there.
const INSTANCE: &str = r#"{"access_token":"imds","client_id":"c","expires_in":"86399","expires_on":"1441024559","ext_expires_in":"86399","not_before":"1440938160","resource":"https://cognitiveservices.azure.com","token_type":"Bearer"}"#;

#[tokio::test]
async fn a_machine_shows_its_own_identity() {
    let endpoint = Endpoint::serve([Reply::new(200, INSTANCE)]).await;
    let yaml = format!("managed_identity: {{ endpoint: '{}' }}", endpoint.url(""));
    let credentials = Bench::new(&[]).credentials(&yaml);
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer imds");
    let asked = endpoint.only_question();
    assert_eq!(asked.header("metadata"), "true");
    assert_eq!(
        asked.target,
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com"
    );
}

#[tokio::test]
async fn a_metadata_service_that_is_being_updated_is_asked_again() {
    let replies = [Reply::new(410, ""), Reply::new(404, ""), Reply::new(200, INSTANCE)];
    let endpoint = Endpoint::serve(replies).await;
    let yaml = format!("managed_identity: {{ endpoint: '{}' }}", endpoint.url(""));
    assert!(authorization(&Bench::new(&[]).credentials(&yaml)).await.is_ok());
}

#[tokio::test]
async fn an_identity_that_the_machine_does_not_have_is_refused_once() {
    let body = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
    let endpoint = Endpoint::serve([Reply::new(400, body)]).await;
    let yaml = format!("managed_identity: {{ endpoint: '{}', client_id: nobody }}", endpoint.url(""));
    let error = authorization(&Bench::new(&[]).credentials(&yaml)).await.unwrap_err().to_string();
    assert!(error.ends_with("status 400 (invalid_request)"), "{error}");
    assert!(endpoint.only_question().target.ends_with("&client_id=nobody"));
}

#[tokio::test]
async fn app_service_is_asked_with_its_header_and_tells_only_the_moment_of_expiry() {
    let until = EPOCH.as_secs() + 3600;
    let body =
        format!(r#"{{"access_token":"app","expires_on":"{until}","resource":"r","token_type":"Bearer"}}"#);
    let endpoint = Endpoint::serve([Reply::new(200, body)]).await;
    let url = endpoint.url("/msi/token");
    let bench = Bench::new(&[("IDENTITY_ENDPOINT", &url), ("IDENTITY_HEADER", "853b9a84")]);
    let credentials = bench.credentials("managed_identity: { resource: 'https://ai.azure.com' }");
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer app");
    let asked = endpoint.only_question();
    assert_eq!(asked.header("x-identity-header"), "853b9a84");
    assert_eq!(asked.target, "/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fai.azure.com");
}

#[tokio::test]
async fn a_workload_exchanges_its_token_and_reads_it_anew_each_time() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "federated-1").unwrap();
    let endpoint = Endpoint::serve([token("w1", 3600), token("w2", 3600)]).await;
    let (path, authority) = (file.path().display().to_string(), endpoint.url("/"));
    let bench = Bench::new(&[
        ("AZURE_FEDERATED_TOKEN_FILE", &path),
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_AUTHORITY_HOST", &authority),
    ]);
    let credentials = bench.credentials("managed_identity: {}");
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer w1");
    std::fs::write(file.path(), "federated-2").unwrap();
    bench.clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer w2");
    let asked = endpoint.asked();
    assert_eq!(asked[0].target, "/tenant/oauth2/v2.0/token");
    let form = asked[0].form();
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_id"], "app");
    assert_eq!(form["scope"], "https://cognitiveservices.azure.com/.default");
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!(form["client_assertion"], "federated-1");
    assert_eq!(asked[1].form()["client_assertion"], "federated-2");
}

#[tokio::test]
async fn a_missing_token_file_is_named() {
    let bench = Bench::new(&[("AZURE_CLIENT_ID", "app"), ("AZURE_TENANT_ID", "tenant")]);
    let yaml = "managed_identity: { source: workload_identity, token_file: /no/such/token }";
    let error = authorization(&bench.credentials(yaml)).await.unwrap_err().to_string();
    assert!(error.starts_with("the token file /no/such/token cannot be used"), "{error}");
}
