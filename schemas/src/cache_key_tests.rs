//! What moves a request to another place in the cache, what does not, and what is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[path = "cache_key/reference.rs"]
mod reference;

use reference::key_of_tree;

fn key(body: &Value) -> Result<CacheKey, Uncacheable> {
    cache_key_from_slice(body.to_string().as_bytes(), "acme", "team:checkout", "gpt", &KeyLimits::default())
}

fn request() -> Value {
    json!({
        "model": "gpt",
        "temperature": 0.2,
        "messages": [
            { "role": "system", "content": "You are brief." },
            { "role": "user", "content": "Hello" },
            { "role": "assistant", "content": "Hello, how can I help?" },
            { "role": "user", "content": "What is the capital of France?" },
        ],
    })
}

fn with(path: &str, value: Value) -> Value {
    let mut body = request();
    match path.rsplit_once('/') {
        Some((parent, name)) => match body.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
            parent => parent[name] = value,
        },
        None => body[path] = value,
    }
    body
}

#[test]
fn the_last_question_is_the_text_and_everything_before_it_the_wall() {
    let base = key(&request()).unwrap();
    assert_eq!(base.text, "What is the capital of France?");
    let other = key(&with("/messages/3/content", json!("And of Spain?"))).unwrap();
    assert_eq!(other.partition, base.partition);
    assert_ne!(other.exact_key, base.exact_key);
}

#[test]
fn anything_that_changes_the_answer_changes_the_partition_and_nothing_else_does() {
    let base = key(&request()).unwrap();
    for (path, value) in [
        ("temperature", json!(0.3)),
        ("top_p", json!(0.5)),
        ("seed", json!(7)),
        ("max_tokens", json!(100)),
        ("max_completion_tokens", json!(100)),
        ("stop", json!(["\n"])),
        ("logit_bias", json!({ "50256": -100 })),
        ("presence_penalty", json!(1)),
        ("frequency_penalty", json!(1)),
        ("tools", json!([{ "type": "function", "function": { "name": "weather" } }])),
        ("tool_choice", json!("none")),
        ("response_format", json!({ "type": "json_object" })),
        ("reasoning_effort", json!("low")),
        ("a_field_of_next_year", json!(true)),
        ("/messages/0/content", json!("You are long-winded.")),
        ("/messages/0/role", json!("developer")),
        ("/messages/1/content", json!("Good day")),
        ("/messages/2/content", json!("Yes?")),
        ("/messages/3/name", json!("ann")),
        ("/messages/1/name", json!("ann")),
    ] {
        let other = key(&with(path, value)).unwrap();
        assert_ne!(other.partition.context_hash, base.partition.context_hash, "{path}");
        assert_eq!(other.exact_key, base.exact_key, "{path}");
    }
    for name in WITHOUT_EFFECT {
        assert_eq!(key(&with(name, json!({ "x": 1 }))).unwrap(), base, "{name}");
    }
}

#[test]
fn tenant_scope_and_alias_are_walls_of_their_own() {
    let at = |tenant, scope, model| {
        let body = request().to_string();
        cache_key_from_slice(body.as_bytes(), tenant, scope, model, &KeyLimits::default()).unwrap().partition
    };
    let base = at("acme", "tenant", "gpt");
    for other in [at("umbrella", "tenant", "gpt"), at("acme", "key:1", "gpt"), at("acme", "tenant", "o5")] {
        assert_ne!(other, base);
        assert_eq!(other.context_hash, base.context_hash);
    }
}

#[test]
fn a_system_prompt_between_messages_keeps_its_place() {
    let system = json!({ "role": "system", "content": "S" });
    let (a, b) = (json!({ "role": "user", "content": "a" }), json!({ "role": "user", "content": "b" }));
    let first = key(&json!({ "messages": [system, a, b] })).unwrap();
    let second = key(&json!({ "messages": [a, system, b] })).unwrap();
    assert_ne!(first.partition.context_hash, second.partition.context_hash);
}

#[test]
fn marks_on_text_parts_are_part_of_the_wall() {
    let part = |extra: Value| {
        let mut part = json!({ "type": "text", "text": "hi" });
        part.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        key(&with("/messages/3/content", json!([part]))).unwrap()
    };
    let (plain, marked) = (part(json!({})), part(json!({ "cache_control": { "type": "ephemeral" } })));
    assert_eq!(plain.text, "hi");
    assert_ne!(plain.partition.context_hash, marked.partition.context_hash);
}

#[test]
fn a_text_too_long_for_meaning_is_still_found_exactly() {
    let long = key(&with("/messages/3/content", json!("x".repeat(9 << 10)))).unwrap();
    assert_eq!(long.text, "");
    assert_eq!(long.exact_key.len(), 64);
}

#[test]
fn what_cannot_be_keyed_safely_is_refused_with_a_reason() {
    let image = json!([{ "type": "image_url", "image_url": { "url": "data:" } }]);
    for (body, reason) in [
        (json!([]), Uncacheable::NotAnObject),
        (json!({}), Uncacheable::NoMessages),
        (json!({ "messages": [] }), Uncacheable::NoMessages),
        (json!({ "messages": ["hi"] }), Uncacheable::NoMessages),
        (with("/messages/3/content", json!(" \n")), Uncacheable::Empty),
        (with("/messages/3/content", json!([])), Uncacheable::Empty),
        (with("/messages/3/content", image.clone()), Uncacheable::NotText),
        (with("/messages/1/content", image), Uncacheable::NotText),
        (with("/messages/3/role", json!("assistant")), Uncacheable::NoQuestion),
        (with("/messages/2/role", json!("tool")), Uncacheable::ToolUse),
        (with("/messages/2/tool_calls", json!([{}])), Uncacheable::ToolUse),
        (with("n", json!(2)), Uncacheable::SeveralAnswers),
        (with("modalities", json!(["text", "audio"])), Uncacheable::NotText),
        (
            with("messages", vec![json!({ "role": "user", "content": "x" }); 33].into()),
            Uncacheable::TooManyMessages,
        ),
    ] {
        assert_eq!(key(&body), Err(reason), "{body}");
    }
}

#[test]
fn a_large_body_is_passed_by_without_being_parsed() {
    let limits = KeyLimits::default();
    let read = |body: &str| cache_key_from_slice(body.as_bytes(), "t", "s", "m", &limits);
    // Parsed it would be no JSON at all: it has no end.
    let body = "[0".to_owned() + &",0".repeat(8 << 20);
    assert_eq!(body.len(), (16 << 20) + 2);
    assert_eq!(read(&body), Err(Uncacheable::TooLarge));
    let mut body = request().to_string();
    body.push_str(&" ".repeat(limits.max_body_bytes() - body.len()));
    assert!(read(&body).is_ok());
    body.push(' ');
    assert_eq!(read(&body), Err(Uncacheable::TooLarge));
}

#[test]
fn keys_are_those_of_version_one() {
    let found = key(&request()).unwrap();
    assert_eq!(
        &*found.partition.context_hash,
        "e5a28bca4586ac55d8880724982b6dc9a4635a97d9b1eae5abaea119c15b2ac8"
    );
    assert_eq!(&*found.exact_key, "05ebf79a75d4ca055651a4c11590aa1fac5553de622d943e0194d55228e465d7");
}

#[test]
fn a_field_that_could_pass_for_content_parts_is_refused() {
    assert_eq!(key(&with("/messages/3/content parts", json!([{}]))), Err(Uncacheable::NotText));
}

#[test]
fn what_nests_too_deep_is_refused() {
    let deep = |levels: usize| {
        format!(
            r#"{{"x":{}{},"messages":[{{"role":"user","content":"x"}}]}}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    let read = |body: &str| cache_key_from_slice(body.as_bytes(), "t", "s", "m", &KeyLimits::default());
    assert!(read(&deep(100)).is_ok());
    assert_eq!(read(&deep(100_000)), Err(Uncacheable::NotAnObject));
}

#[test]
fn a_body_that_two_readers_could_read_differently_is_refused() {
    let read = |body: &str| cache_key_from_slice(body.as_bytes(), "t", "s", "m", &KeyLimits::default());
    let twice = r#"{"temperature":0,"messages":[{"role":"user","content":"x"}],"temperature":2}"#;
    assert_eq!(read(twice), Err(Uncacheable::NotAnObject));
    let below = r#"{"metadata":{"a":1,"a":2},"messages":[{"role":"user","content":"x"}]}"#;
    assert_eq!(read(below), Err(Uncacheable::NotAnObject));
    assert_eq!(read(r#"{"messages":[{"role":"user","content":"x"}]"#), Err(Uncacheable::NotAnObject));
    assert!(read(r#"{"temperature":0,"messages":[{"role":"user","content":"x"}]}"#).is_ok());
}

/// Any small JSON value.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6f64..1e6).prop_map(Value::from),
        "[a-zé\"\\\\\n]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-c]{1,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The same value as text, with the keys of every object in another order and white space in between.
fn shuffled(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let fields: Vec<String> = object
                .iter()
                .rev()
                .map(|(name, value)| format!(" {}\t: {}", Value::from(name.as_str()), shuffled(value)))
                .collect();
            format!("{{{}\n}}", fields.join(" ,"))
        }
        Value::Array(items) => {
            format!("[ {} ]", items.iter().map(shuffled).collect::<Vec<_>>().join(" , "))
        }
        scalar => scalar.to_string(),
    }
}

/// A message that may be cacheable.
fn any_message() -> impl Strategy<Value = Value> {
    let content = prop_oneof![
        "[a-zé\"\\\\\n ]{0,12}".prop_map(Value::from),
        Just(Value::Null),
        proptest::collection::vec(("[a-z]{0,4}", any_json()), 0..3).prop_map(|parts| {
            let part = |(text, mark): (String, Value)| json!({ "type": "text", "text": text, "mark": mark });
            parts.into_iter().map(part).collect()
        }),
        any_json(),
    ];
    let role = prop_oneof![4 => Just("user"), 1 => Just("system"), 1 => Just("assistant"), 1 => Just("tool")];
    (role, content, any_json(), "[a-z]{1,5}").prop_map(|(role, content, extra, name)| {
        let mut message = json!({ "role": role, "content": content });
        message.as_object_mut().unwrap().entry(name).or_insert(extra);
        message
    })
}

proptest! {
    #[test]
    fn keys_are_those_of_the_whole_tree(
        messages in proptest::collection::vec(any_message(), 0..4),
        fields in proptest::collection::btree_map("n|user|store|modalities|[a-c]{1,2}", any_json(), 0..4),
    ) {
        let mut body = json!({ "messages": messages });
        body.as_object_mut().unwrap().extend(fields);
        let (text, limits) = (shuffled(&body), KeyLimits::default());
        let ours = cache_key_from_slice(text.as_bytes(), "acme", "team:checkout", "gpt", &limits);
        let theirs = key_of_tree(text.as_bytes(), &limits);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok());
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn different_places_never_share_a_partition(
        one in ("[ab:/]{0,3}", "[ab:/]{0,3}", "[ab:/]{0,3}"),
        two in ("[ab:/]{0,3}", "[ab:/]{0,3}", "[ab:/]{0,3}"),
    ) {
        let body = request().to_string();
        let at = |(tenant, scope, model): &(String, String, String)| {
            cache_key_from_slice(body.as_bytes(), tenant, scope, model, &KeyLimits::default()).unwrap().partition
        };
        prop_assert_eq!(at(&one) == at(&two), one == two);
    }

    #[test]
    fn order_of_keys_and_white_space_do_not_matter(extra in any_json(), name in "[d-f]{1,3}") {
        let body = with(&name, extra);
        let read = |text: &str| cache_key_from_slice(text.as_bytes(), "t", "s", "m", &KeyLimits::default());
        prop_assert_eq!(read(&shuffled(&body)), read(&body.to_string()));
    }

    #[test]
    fn two_values_of_any_parameter_never_share_a_partition(one in any_json(), two in any_json(), name in "[d-f]{1,3}") {
        let same = key(&with(&name, one.clone())).unwrap().partition == key(&with(&name, two.clone())).unwrap().partition;
        prop_assert_eq!(same, one == two);
    }

    #[test]
    fn a_parameter_is_not_mistaken_for_another(value in any_json(), one in "[d-f]{1,3}", two in "[d-f]{1,3}") {
        prop_assume!(one != two);
        prop_assert_ne!(key(&with(&one, value.clone())).unwrap().partition, key(&with(&two, value)).unwrap().partition);
    }

    #[test]
    fn different_questions_have_different_exact_keys(one in "[a-z ]{1,20}x", two in "[a-z ]{1,20}x") {
        let at = |text: &str| key(&with("/messages/3/content", json!(text))).unwrap().exact_key;
        prop_assert_eq!(at(&one) == at(&two), one == two);
    }

    #[test]
    fn hostile_bodies_never_panic(body in any_json(), bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = key(&body);
        let _ = key(&with("messages", json!([body])));
        let _ = cache_key_from_slice(&bytes, "t", "s", "m", &KeyLimits::default());
    }
}
