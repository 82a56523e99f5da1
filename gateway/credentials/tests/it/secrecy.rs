//! A canary in every secret: it must not be in anything that prints, even when an endpoint repeats it.

use crate::endpoint::{Bench, Endpoint, Reply, head};

const CANARY: &str = "C4naryC4nary";

#[tokio::test]
async fn no_secret_is_in_any_debug_output_or_error() {
    let echo = format!(
        r#"{{"error":"bad secret {CANARY}","error_description":"{CANARY}","access_token":"","x":"{CANARY}"}}"#
    );
    let token_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token_file.path(), CANARY).unwrap();
    let path = token_file.path().display().to_string();
    for status in [200, 400, 401] {
        let endpoint = Endpoint::serve([Reply::new(status, echo.clone())]).await;
        let url = endpoint.url("");
        let header = [("IDENTITY_ENDPOINT", &*url), ("IDENTITY_HEADER", CANARY)];
        for (variables, yaml) in [
            (&[][..], format!("oauth2: {{ token_url: '{url}', client_id: c, client_secret: {CANARY} }}")),
            (&header[..], "managed_identity: {}".to_owned()),
            (
                &[],
                format!(
                    "managed_identity: {{ source: workload_identity, client_id: c, tenant_id: t, \
                     token_file: '{path}', endpoint: '{url}' }}"
                ),
            ),
            (
                &[],
                format!(
                    "aws_sigv4: {{ region: r, web_identity: {{ role_arn: a, token_file: '{path}', \
                     endpoint: '{url}' }} }}"
                ),
            ),
        ] {
            let credentials = Bench::new(variables).credentials(&yaml);
            let mut head = head();
            let error = credentials.prepare(&mut head, b"").await.unwrap_err();
            let printed = format!(
                "{credentials:?} {error} {error:?} {} {head:?}",
                tollgate_base::errors::chain(&error)
            );
            assert!(!printed.contains(CANARY), "{printed}");
        }
    }
}

#[tokio::test]
async fn fixed_secrets_reach_the_request_and_print_nowhere() {
    let header = format!("header: {{ name: api-key, value: {CANARY} }}");
    let aws = format!(
        "aws_sigv4: {{ region: r, access_key_id: a, secret_access_key: {CANARY}, session_token: {CANARY} }}"
    );
    for yaml in [header, aws] {
        let config: tollgate_credentials::CredentialsConfig = serde_saphyr::from_str(&yaml).unwrap();
        let credentials = Bench::new(&[]).credentials(&yaml);
        let mut head = head();
        credentials.prepare(&mut head, b"").await.unwrap();
        let printed = format!("{config:?} {credentials:?} {head:?}");
        assert!(!printed.contains(CANARY), "{printed}");
    }
    let query = Bench::new(&[]).credentials(&format!("query: {{ name: key, value: {CANARY} }}"));
    let mut head = head();
    query.prepare(&mut head, b"").await.unwrap();
    assert_eq!(head.uri.query().unwrap(), format!("key={CANARY}"));
    assert!(!format!("{query:?}").contains(CANARY));
}

#[test]
fn a_secret_that_cannot_be_sent_is_not_repeated() {
    let yaml = format!("header: {{ name: api-key, value: \"{CANARY}\\n\" }}");
    let error = Bench::new(&[]).try_credentials(&yaml).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(CANARY));
}
