//! Google Cloud: assertions that verify, and the metadata server.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::endpoint::{Bench, EPOCH, Endpoint, Reply, authorization, token};

/// A key that nothing but these tests knows. `ring` signs with RSA keys, but does not make them.
const KEY: &str = include_str!("data/test-only-rsa.pem");

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn key_file(key: &str, token_uri: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = json!({
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "kid-1",
        "private_key": key,
        "client_email": "gateway@p.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
        "universe_domain": "googleapis.com",
    });
    std::fs::write(file.path(), text.to_string()).unwrap();
    file
}

#[tokio::test]
async fn a_service_account_asks_with_an_assertion_that_its_public_key_verifies() {
    let endpoint = Endpoint::serve([token("ya29.x", 3599)]).await;
    let file = key_file(KEY, &endpoint.url("/token"));
    let yaml = format!("gcp_service_account: {{ key: '${{secret:file:{}}}' }}", file.path().display());
    let credentials = Bench::new(&[]).credentials(&yaml);
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer ya29.x");

    let form = endpoint.only_question().form();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (signed, signature) = form["assertion"].rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key());
    public.verify(signed.as_bytes(), &signature).unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    assert_eq!(decoded(header), json!({ "alg": "RS256", "typ": "JWT", "kid": "kid-1" }));
    let now = EPOCH.as_secs();
    assert_eq!(
        decoded(claims),
        json!({
            "iss": "gateway@p.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": endpoint.url("/token"),
            "iat": now,
            "exp": now + 3600,
        })
    );
}

#[tokio::test]
async fn a_deleted_key_is_told_by_its_code() {
    let body = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
    let endpoint = Endpoint::serve([Reply::new(400, body)]).await;
    let file = key_file(KEY, "https://oauth2.googleapis.com/token");
    let yaml = format!(
        "gcp_service_account: {{ key: '${{secret:file:{}}}', token_url: '{}' }}",
        file.path().display(),
        endpoint.url("/token")
    );
    let error = authorization(&Bench::new(&[]).credentials(&yaml)).await.unwrap_err().to_string();
    assert!(error.ends_with("status 400 (invalid_grant)"), "{error}");
    // The assertion is for Google, whoever passes it on.
    let form = endpoint.only_question().form();
    let claims = decoded(form["assertion"].split('.').nth(1).unwrap());
    assert_eq!(claims["aud"], "https://oauth2.googleapis.com/token");
}

#[test]
fn a_key_that_is_not_one_is_refused_without_repeating_it() {
    let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for (key, reason) in [
        ("s3cret", "private_key is not a PEM private key"),
        (&elliptic, "private_key is not an RSA key of 2048 to 4096 bits"),
    ] {
        let file = key_file(key, "https://oauth2.googleapis.com/token");
        let yaml = format!("gcp_service_account: {{ key: '${{secret:file:{}}}' }}", file.path().display());
        let error = Bench::new(&[]).try_credentials(&yaml).unwrap_err().to_string();
        assert_eq!(error, format!("credentials.gcp_service_account.key: {reason}"));
    }
}

#[tokio::test]
async fn the_metadata_server_is_asked_for_the_machines_identity() {
    let endpoint = Endpoint::serve([token("meta", 3599)]).await;
    let host = endpoint.addr.to_string();
    let credentials = Bench::new(&[("GCE_METADATA_HOST", &host)]).credentials("gcp_metadata: {}");
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer meta");
    let asked = endpoint.only_question();
    assert_eq!(asked.header("metadata-flavor"), "Google");
    assert_eq!(asked.target, "/computeMetadata/v1/instance/service-accounts/default/token");
}
