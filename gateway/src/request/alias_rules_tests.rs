//! What an alias changes about a request.

use super::*;
use tollgate_settings::units::Tokens;

fn applied(body: &str, defaults: &AliasDefaults, caps: &AliasCaps) -> String {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let view = ClientFormat::Chat.view(&body).unwrap();
    let changed = apply(ClientFormat::Chat, &view, &body, defaults, caps).unwrap();
    String::from_utf8(changed.unwrap_or_else(|| body.clone()).to_vec()).unwrap()
}

#[test]
fn defaults_fill_what_is_missing_and_leave_what_is_there() {
    let defaults = AliasDefaults { max_output_tokens: Some(Tokens(100)), temperature: Some(0.2) };
    assert_eq!(
        applied(r#"{"messages":[],"temperature":1}"#, &defaults, &AliasCaps::default()),
        r#"{"max_tokens":100,"messages":[],"temperature":1}"#
    );
}

#[test]
fn caps_bound_what_is_asked_and_what_is_left_open() {
    let caps = AliasCaps { max_output_tokens: Some(Tokens(50)), temperature: Some(0.7) };
    assert_eq!(
        applied(r#"{"messages":[],"max_tokens":1000,"temperature":2}"#, &AliasDefaults::default(), &caps),
        r#"{"messages":[],"max_tokens":50,"temperature":0.7}"#
    );
    assert_eq!(
        applied(r#"{"messages":[]}"#, &AliasDefaults::default(), &caps),
        r#"{"max_tokens":50,"messages":[]}"#
    );
    assert_eq!(
        applied(r#"{"messages":[],"max_tokens":1000.0}"#, &AliasDefaults::default(), &caps),
        r#"{"messages":[],"max_tokens":50}"#
    );
    let inside = r#"{"messages":[],"max_tokens":10,"temperature":0.5}"#;
    assert_eq!(applied(inside, &AliasDefaults::default(), &caps), inside);
}

#[test]
fn every_bound_that_a_request_has_is_capped() {
    let caps = AliasCaps { max_output_tokens: Some(Tokens(16)), temperature: None };
    let defaults = AliasDefaults { max_output_tokens: Some(Tokens(9)), temperature: None };
    for (body, expected) in [
        (
            r#"{"messages":[],"max_tokens":90,"max_completion_tokens":90}"#,
            r#"{"messages":[],"max_tokens":16,"max_completion_tokens":16}"#,
        ),
        (
            r#"{"messages":[],"max_tokens":null,"max_completion_tokens":90}"#,
            r#"{"messages":[],"max_tokens":null,"max_completion_tokens":16}"#,
        ),
        (r#"{"messages":[],"max_tokens":null}"#, r#"{"messages":[],"max_tokens":9}"#),
    ] {
        assert_eq!(applied(body, &defaults, &caps), expected);
        let changed = Bytes::copy_from_slice(expected.as_bytes());
        assert!(ClientFormat::Chat.view(&changed).unwrap().max_output_tokens.unwrap() <= 16);
    }
}

#[test]
fn a_capped_field_that_is_no_number_is_refused() {
    let body = Bytes::from_static(br#"{"messages":[],"temperature":"hot"}"#);
    let view = ClientFormat::Chat.view(&body).unwrap();
    let caps = AliasCaps { temperature: Some(1.0), ..AliasCaps::default() };
    assert!(apply(ClientFormat::Chat, &view, &body, &AliasDefaults::default(), &caps).is_err());
}
