//! The client credentials grant.

use crate::endpoint::{Bench, Endpoint, Reply, authorization, token};

fn config(endpoint: &Endpoint, more: &str) -> String {
    let url = endpoint.url("/oauth/token");
    format!("oauth2: {{ token_url: '{url}', client_id: 'my client', client_secret: 's3:cret'{more} }}")
}

#[tokio::test]
async fn id_and_secret_are_sent_by_basic_authentication() {
    let endpoint = Endpoint::serve([token("t1", 3600)]).await;
    let credentials =
        Bench::new(&[]).credentials(&config(&endpoint, ", scope: 'a b', audience: 'https://api'"));
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer t1");
    let asked = endpoint.only_question();
    assert_eq!((&*asked.method, &*asked.target), ("POST", "/oauth/token"));
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
    // `my+client:s3%3Acret`
    assert_eq!(asked.header("authorization"), "Basic bXkrY2xpZW50OnMzJTNBY3JldA==");
    let expected = "grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Fapi";
    assert_eq!(asked.body, expected);
}

#[tokio::test]
async fn id_and_secret_are_sent_in_the_body_where_asked_to() {
    let endpoint = Endpoint::serve([token("t1", 3600)]).await;
    let more = ", authentication: client_secret_post, parameters: { resource: 'urn:x' }";
    let credentials = Bench::new(&[]).credentials(&config(&endpoint, more));
    authorization(&credentials).await.unwrap();
    let asked = endpoint.only_question();
    assert_eq!(asked.header("authorization"), "");
    let form = asked.form();
    assert_eq!((&*form["client_id"], &*form["client_secret"]), ("my client", "s3:cret"));
    assert_eq!(form["resource"], "urn:x");
}

#[tokio::test]
async fn a_wrong_secret_is_told_by_its_code_and_not_tried_again_at_once() {
    let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.","error_codes":[7000215],"trace_id":"x"}"#;
    let endpoint = Endpoint::serve([Reply::new(401, body)]).await;
    let credentials = Bench::new(&[]).credentials(&config(&endpoint, ""));
    for _ in 0..3 {
        let error = authorization(&credentials).await.unwrap_err().to_string();
        assert!(error.ends_with("refuses with status 401 (invalid_client, AADSTS7000215)"), "{error}");
    }
    assert_eq!(endpoint.asked().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Endpoint::serve([token("t", 60)]).await;
    let elsewhere = Reply::new(307, "").header("location", &other.url("/"));
    let endpoint = Endpoint::serve([elsewhere]).await;
    let credentials = Bench::new(&[]).credentials(&config(&endpoint, ""));
    assert!(authorization(&credentials).await.is_err());
    assert!(other.asked().is_empty());
}
