//! What all fetched tokens have in common, over real connections.

use std::sync::Arc;
use std::time::Duration;

use tollgate_credentials::{CredentialError, Credentials, Timing};

use crate::endpoint::{Bench, Endpoint, Reply, authorization, head, token};

fn credentials(bench: &Bench, endpoint: &Endpoint) -> Credentials {
    let url = endpoint.url("/t");
    bench.credentials(&format!("oauth2: {{ token_url: '{url}', client_id: c, client_secret: s }}"))
}

/// Uses the credentials until they show something; renewal happens beside the requests.
async fn until_shown(credentials: &Credentials, expected: &str) {
    let shown = async {
        while authorization(credentials).await.unwrap() != expected {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), shown).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_concurrent_requests_cause_one_fetch() {
    let endpoint = Endpoint::serve([token("t1", 3600)]).await;
    let credentials = Arc::new(credentials(&Bench::new(&[]), &endpoint));
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let credentials = Arc::clone(&credentials);
            tokio::spawn(async move { authorization(&credentials).await.unwrap() })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), "Bearer t1");
    }
    assert_eq!(endpoint.asked().len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let endpoint = Endpoint::serve([token("t1", 3600), token("t2", 3600)]).await;
    let bench = Bench::new(&[]);
    let credentials = credentials(&bench, &endpoint);
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer t1");
    bench.clock.advance(Duration::from_secs(2600));
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer t1");
    assert_eq!(endpoint.asked().len(), 1);
    bench.clock.advance(Duration::from_secs(300));
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer t1", "nobody waits for the renewal");
    until_shown(&credentials, "Bearer t2").await;
    assert_eq!(endpoint.asked().len(), 2);
}

#[tokio::test]
async fn an_expired_token_is_not_shown() {
    let endpoint = Endpoint::serve([token("t1", 100), token("t2", 100)]).await;
    let bench = Bench::new(&[]);
    let credentials = credentials(&bench, &endpoint);
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer t1");
    bench.clock.advance(Duration::from_secs(91));
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer t2");
}

#[tokio::test]
async fn a_busy_endpoint_is_asked_again_while_the_request_waits() {
    let busy = Reply::new(429, r#"{"error":"too_many_requests"}"#);
    let endpoint = Endpoint::serve([busy, Reply::new(500, ""), token("t1", 3600)]).await;
    let credentials = credentials(&Bench::new(&[]), &endpoint);
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer t1");
    assert_eq!(endpoint.asked().len(), 3);
}

#[tokio::test]
async fn a_silent_endpoint_is_given_up() {
    let endpoint = Endpoint::serve([Reply::silence()]).await;
    let timing = Timing { fetch_timeout: Duration::from_millis(50), ..Timing::default() };
    let credentials = credentials(&Bench::patient(&[], timing), &endpoint);
    let error = authorization(&credentials).await.unwrap_err();
    assert!(matches!(error, CredentialError::Timeout { .. }), "{error}");
    assert!(error.to_string().contains(&endpoint.addr.to_string()));
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let endpoint = Endpoint::serve([Reply::new(200, vec![b' '; (64 << 10) + 1])]).await;
    let credentials = credentials(&Bench::new(&[]), &endpoint);
    let error = authorization(&credentials).await.unwrap_err().to_string();
    assert!(error.ends_with("it is larger than 64 KiB"), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_unreachable_and_the_log_says_why() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let yaml = format!("oauth2: {{ token_url: 'http://{addr}/', client_id: c, client_secret: s }}");
    let error = authorization(&Bench::new(&[]).credentials(&yaml)).await.unwrap_err();
    assert!(matches!(error, CredentialError::Unreachable { .. }), "{error}");
    assert!(
        tollgate_base::errors::chain(&error).to_lowercase().contains("refused"),
        "{}",
        tollgate_base::errors::chain(&error)
    );
}

#[tokio::test]
async fn a_token_that_the_backend_refuses_is_replaced_once() {
    let endpoint = Endpoint::serve([token("t1", 3600), token("t2", 3600), token("t3", 3600)]).await;
    let bench = Bench::new(&[]);
    let credentials = credentials(&bench, &endpoint);
    authorization(&credentials).await.unwrap();
    bench.clock.advance(Duration::from_secs(60));
    credentials.invalidate();
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer t2");
    credentials.invalidate();
    assert_eq!(authorization(&credentials).await.unwrap(), "Bearer t2");
}

#[tokio::test]
async fn a_token_replaces_what_a_client_sent() {
    let endpoint = Endpoint::serve([token("t1", 3600)]).await;
    let credentials = credentials(&Bench::new(&[]), &endpoint);
    let mut head = head();
    head.headers.append("authorization", "Bearer gateway-key".parse().unwrap());
    credentials.prepare(&mut head, b"").await.unwrap();
    let values: Vec<_> = head.headers.get_all("authorization").iter().collect();
    assert_eq!(values, ["Bearer t1"]);
    assert!(values[0].is_sensitive());
}
