//! Requests signed for AWS, as they leave.

use std::time::Duration;

use http::Request;
use http::request::Parts;

use crate::endpoint::{Bench, Endpoint, Reply};

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const STATIC: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", ID), ("AWS_SECRET_ACCESS_KEY", SECRET)];

/// The request of AWS's documentation.
fn list_users() -> Parts {
    let request = Request::get("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .header("authorization", "Bearer of-the-client")
        .header("user-agent", "any");
    request.body(()).unwrap().into_parts().0
}

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
     SignedHeaders=content-type;host;x-amz-date, \
     Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";

#[tokio::test]
async fn the_documented_request_is_signed_with_keys_of_the_environment() {
    let credentials = Bench::new(&STATIC).credentials("aws_sigv4: { region: us-east-1, service: iam }");
    let mut head = list_users();
    credentials.prepare(&mut head, b"").await.unwrap();
    assert_eq!(head.headers["authorization"], SIGNED);
    assert_eq!(head.headers["x-amz-date"], "20150830T123600Z");
    assert_eq!(head.headers["host"], "iam.amazonaws.com");
}

#[tokio::test]
async fn configured_keys_come_before_those_of_the_environment() {
    let bench = Bench::new(&[("AWS_ACCESS_KEY_ID", "OTHER"), ("AWS_SECRET_ACCESS_KEY", "other")]);
    let yaml = format!(
        "aws_sigv4: {{ region: us-east-1, service: iam, access_key_id: {ID}, secret_access_key: '{SECRET}' }}"
    );
    let mut head = list_users();
    bench.credentials(&yaml).prepare(&mut head, b"").await.unwrap();
    assert_eq!(head.headers["authorization"], SIGNED);
}

#[tokio::test]
async fn another_body_or_day_has_another_signature() {
    let bench = Bench::new(&STATIC);
    let credentials = bench.credentials("aws_sigv4: { region: us-east-1, service: iam }");
    let mut other_body = list_users();
    credentials.prepare(&mut other_body, b"{}").await.unwrap();
    assert_ne!(other_body.headers["authorization"], SIGNED);
    bench.clock.advance(Duration::from_secs(86_400));
    let mut next_day = list_users();
    credentials.prepare(&mut next_day, b"").await.unwrap();
    assert!(next_day.headers["authorization"].to_str().unwrap().contains("/20150831/"));
}

#[tokio::test]
async fn a_session_token_is_sent_and_signed() {
    let mut variables = STATIC.to_vec();
    variables.push(("AWS_SESSION_TOKEN", "session"));
    let credentials = Bench::new(&variables).credentials("aws_sigv4: { region: us-east-1 }");
    let mut head = list_users();
    credentials.prepare(&mut head, b"").await.unwrap();
    assert_eq!(head.headers["x-amz-security-token"], "session");
    let authorization = head.headers["authorization"].to_str().unwrap();
    assert!(authorization.contains("/us-east-1/bedrock/aws4_request"), "{authorization}");
    assert!(authorization.contains("host;x-amz-date;x-amz-security-token"), "{authorization}");
}

fn assumed(id: &str, expiration: &str) -> Reply {
    let xml = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><SessionToken>session-of-{id}</SessionToken>\
         <SecretAccessKey>{SECRET}</SecretAccessKey><Expiration>{expiration}</Expiration>\
         <AccessKeyId>{id}</AccessKeyId></Credentials></AssumeRoleWithWebIdentityResult>\
         </AssumeRoleWithWebIdentityResponse>"
    );
    Reply::new(200, xml).header("content-type", "text/xml")
}

#[tokio::test]
async fn a_role_is_assumed_with_the_platforms_token_and_again_when_its_keys_expire() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "kubernetes-token\n").unwrap();
    let replies = [assumed("ASIA1", "2015-08-30T13:36:00Z"), assumed("ASIA2", "2015-08-30T14:36:00Z")];
    let endpoint = Endpoint::serve(replies).await;
    let path = file.path().display().to_string();
    let bench =
        Bench::new(&[("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", &path)]);
    let yaml =
        format!("aws_sigv4: {{ region: us-east-1, web_identity: {{ endpoint: '{}' }} }}", endpoint.url("/"));
    let credentials = bench.credentials(&yaml);
    let mut head = list_users();
    credentials.prepare(&mut head, b"").await.unwrap();
    assert_eq!(head.headers["x-amz-security-token"], "session-of-ASIA1");
    assert!(head.headers["authorization"].to_str().unwrap().contains("Credential=ASIA1/"));
    let form = endpoint.only_question().form();
    assert_eq!(form["Action"], "AssumeRoleWithWebIdentity");
    assert_eq!(form["RoleArn"], "arn:aws:iam::1:role/r");
    assert_eq!(form["RoleSessionName"], "tollgate");
    assert_eq!(form["WebIdentityToken"], "kubernetes-token");
    bench.clock.advance(Duration::from_secs(3600));
    let mut head = list_users();
    credentials.prepare(&mut head, b"").await.unwrap();
    assert_eq!(head.headers["x-amz-security-token"], "session-of-ASIA2");
}

#[test]
fn without_any_keys_what_is_missing_is_named() {
    let error = Bench::new(&[]).try_credentials("aws_sigv4: { region: us-east-1 }").unwrap_err();
    assert_eq!(
        error.to_string(),
        "credentials.aws_sigv4.web_identity.role_arn: is missing, and AWS_ROLE_ARN is not set"
    );
}
