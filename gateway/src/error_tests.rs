//! What clients are told.

use tollgate_limits::{Meter, Scope, Span, Window};

use super::*;

#[test]
fn waits_are_rounded_up_to_whole_seconds() {
    assert_eq!(seconds_up(Duration::from_millis(1)), 1);
    assert_eq!(seconds_up(Duration::from_millis(1001)), 2);
    assert_eq!(seconds_up(Duration::ZERO), 1);
}

#[test]
fn a_refusal_by_a_limit_names_its_scope_meter_and_window() {
    let rule = Arc::new(LimitRule {
        name: "tokens_per_minute".into(),
        scope: Scope::Subscription,
        meter: Meter::Tokens,
        window: Window::Sliding(Span::Minute),
        amount: 100,
    });
    let used_up = LimitExceeded::UsedUp {
        rule: Arc::clone(&rule),
        remaining: 3,
        retry_after: Duration::from_millis(1500),
    };
    assert_eq!(
        GatewayError::from(used_up).to_string(),
        "token limit of 100 tokens per minute for this subscription is exceeded; try again in 2 s"
    );
    assert_eq!(
        GatewayError::from(LimitExceeded::TooLarge { rule, needed: 101 }).to_string(),
        "the request needs about 101 tokens, more than the limit of 100 tokens per minute for this subscription ever allows"
    );
}

#[test]
fn an_unknown_model_names_its_neighbours() {
    let error = GatewayError::UnknownModel { model: "gtp".into(), near: vec!["gpt".into()] };
    assert!(error.to_string().ends_with("did you mean `gpt`?"), "{error}");
    assert_eq!(error.class().status, 404);
}
