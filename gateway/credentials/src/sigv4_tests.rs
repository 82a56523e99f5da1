//! AWS's published examples, byte by byte.

use http::Request;

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TIME: u64 = 1_440_938_160;

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// The signature of AWS's test suite for a request to `service` in us-east-1.
fn signed(head: &Parts, body: &str, service: &str) -> String {
    let moment = Moment::at(TIME).unwrap();
    let key = signing_key(SECRET, moment.date(), "us-east-1", service);
    let scope = scope(moment.date(), "us-east-1", service);
    signature(&key, &moment, &scope, &canonical(head, body.as_bytes()))
}

fn suite(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut all = vec![("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
    all.extend(headers);
    signed(&head(method, &format!("https://example.amazonaws.com{path}"), &all), body, "service")
}

#[test]
fn a_moment_reads_as_aws_wants_it() {
    assert_eq!(Moment::at(TIME).unwrap().as_str(), "20150830T123600Z");
    assert_eq!(Moment::at(TIME).unwrap().date(), "20150830");
    assert_eq!(Moment::at(u64::MAX), None);
}

#[test]
fn the_documented_signing_key_is_derived() {
    assert_eq!(
        hex::encode(derived(SECRET, "20150830", "us-east-1", "iam")),
        "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
    );
}

#[test]
fn the_documented_list_users_request_is_signed() {
    let head = head(
        "GET",
        "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        &[
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ],
    );
    let canonical = canonical(&head, b"");
    assert_eq!(canonical.signed_headers, "content-type;host;x-amz-date");
    assert_eq!(canonical.hash, "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59");
    let expected = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    assert_eq!(signed(&head, "", "iam"), expected);
}

#[test]
fn the_signatures_of_the_test_suite_are_made() {
    let vanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    for (path, expected) in [
        ("/", vanilla),
        ("//", vanilla),
        ("/./", vanilla),
        ("/example/..", vanilla),
        ("/?Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ] {
        assert_eq!(suite("GET", path, &[], ""), expected, "{path}");
    }
    let post = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
    assert_eq!(suite("POST", "/", &[], ""), post);
    assert_eq!(
        suite("POST", "/", &[("content-type", "application/x-www-form-urlencoded")], "Param1=value1"),
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
    );
}

#[test]
fn a_model_id_is_encoded_once_more_than_it_travels() {
    let path = |uri: &str| canonical_path(uri.parse::<http::Uri>().unwrap().path());
    let base = "https://bedrock-runtime.us-east-1.amazonaws.com/model";
    assert_eq!(
        path(&format!("{base}/anthropic.claude-3-sonnet-20240229-v1%3A0/converse")),
        "/model/anthropic.claude-3-sonnet-20240229-v1%253A0/converse"
    );
    assert_eq!(
        path(&format!("{base}/amazon.nova-lite-v1:0/converse")),
        "/model/amazon.nova-lite-v1%3A0/converse"
    );
    assert_eq!(
        path(&format!("{base}/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse")),
        "/model/arn%253Aaws%253Abedrock%253Aus-east-1%253A1%253Ainference-profile%252Fx/converse"
    );
}

#[test]
fn paths_are_normalized() {
    for (path, expected) in [
        ("", "/"),
        ("/", "/"),
        ("//example//", "/example/"),
        ("/./example", "/example"),
        ("/example1/example2/../..", "/"),
        ("/a/.hidden/..b/", "/a/.hidden/..b/"),
        ("/a-_.~b/c d", "/a-_.~b/c%20d"),
    ] {
        assert_eq!(canonical_path(path), expected, "{path}");
    }
}

#[test]
fn queries_are_sorted_and_encoded_alike_however_they_were_written() {
    assert_eq!(canonical_query(""), "");
    assert_eq!(canonical_query("b=2&a=%2f&a=1&flag"), "a=%2F&a=1&b=2&flag=");
    assert_eq!(canonical_query("x=a%20b&x=a+b&x=a:b"), "x=a%20b&x=a%2Bb&x=a%3Ab");
}

#[test]
fn headers_are_joined_and_trimmed_and_others_are_left_out() {
    let head = head(
        "GET",
        "https://h/",
        &[
            ("x-amz-meta", "  a   b  "),
            ("x-amz-meta", "c"),
            ("host", "h"),
            ("user-agent", "u"),
            ("accept-encoding", "identity"),
        ],
    );
    let text = canonical_text(&head, b"");
    assert_eq!(text.signed_headers, "host;x-amz-meta");
    assert!(text.request.contains("\nhost:h\nx-amz-meta:a b,c\n\n"), "{}", text.request);
}
