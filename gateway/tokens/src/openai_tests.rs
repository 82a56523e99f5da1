//! Counts of whole requests against figures that OpenAI has published or that its API reports.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::bound::upper_bound;

fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

fn chat(model: &str, messages: &Value, tools: Option<&Value>) -> Count {
    count_chat(model, &raw(messages), tools.map(raw).as_deref(), Budget::worker())
}

fn input(json: &str) -> Count {
    count_input("text-embedding-3-small", &RawValue::from_string(json.to_owned()).unwrap(), Budget::inline())
}

#[test]
fn a_known_conversation_counts_as_the_provider_counts_it() {
    let messages = json!([{"role": "user", "content": "Say hi"}]);
    assert_eq!(chat("gpt-4o", &messages, None), Count::exactly(9));
}

#[test]
fn the_cookbooks_conversation_counts_as_the_cookbook_says() {
    let example = |name: &str, content: &str| json!({"role": "system", "name": name, "content": content});
    let messages = json!([
        {"role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
        example("example_user", "New synergies will help drive top-line growth."),
        example("example_assistant", "Things working well together will increase revenue."),
        example("example_user", "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."),
        example("example_assistant", "Let's talk later when we're less busy about how to do better."),
        {"role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client deliverable."},
    ]);
    assert_eq!(chat("gpt-4-0613", &messages, None), Count::exactly(129));
    assert_eq!(chat("gpt-35-turbo", &messages, None), Count::exactly(129));
    assert_eq!(chat("openai/gpt-4o-mini", &messages, None), Count::exactly(124));
    assert_eq!(
        chat("gpt-3.5-turbo-0301", &messages, None),
        Count::exactly(127),
        "a name replaces the role there"
    );
}

#[test]
fn the_cookbooks_tools_count_as_the_cookbook_says() {
    let messages = json!([
        {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
        {"role": "user", "content": "What's the weather like in San Francisco?"},
    ]);
    let tools = json!([{"type": "function", "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {"type": "object", "required": ["location"], "properties": {
            "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
            "unit": {"type": "string", "description": "The unit of temperature to return", "enum": ["celsius", "fahrenheit"]},
        }},
    }}]);
    assert_eq!(chat("gpt-4", &messages, Some(&tools)), Count::about(105));
    assert_eq!(chat("gpt-4o", &messages, Some(&tools)), Count::about(101));
    assert!(chat("claude-sonnet-4", &messages, Some(&tools)).tokens > 346);
}

#[test]
fn an_image_counts_by_its_size_and_not_by_its_bytes() {
    let header =
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &[0, 0, 4, 0, 0, 0, 4, 0], &[0; 4_000]].concat();
    let url = format!(
        "data:image/png;base64,{}",
        base64::Engine::encode(&base64::prelude::BASE64_STANDARD, header)
    );
    let with = |image: Value| {
        chat(
            "gpt-4o",
            &json!([{"role": "user", "content": [{"type": "text", "text": "Say hi"}, image]}]),
            None,
        )
    };
    let part =
        |url: &str, detail: &str| json!({"type": "image_url", "image_url": {"url": url, "detail": detail}});
    assert_eq!(with(part(&url, "high")), Count::exactly(9 + 765));
    assert_eq!(with(part(&url, "low")), Count::exactly(9 + 85));
    assert_eq!(with(part(&url, "auto")), Count::about(9 + 765));
    assert_eq!(with(part("https://example.com/a.png", "high")), Count::about(9 + 765));
    assert_eq!(
        with(json!({"type": "input_image", "image_url": url, "detail": "high"})),
        Count::exactly(9 + 765)
    );
}

#[test]
fn inputs_of_embeddings_count_in_all_their_forms() {
    assert_eq!(input(r#""Say hi""#), Count::exactly(2));
    assert_eq!(input(r#"["Say hi", "Say hi"]"#), Count::exactly(4));
    assert_eq!(input("[1, 2, 3]"), Count::exactly(3));
    assert_eq!(input("[[1, 2], [3]]"), Count::exactly(3));
    assert_eq!(input("[]"), Count::ZERO);
    assert!(!input("{\"a\":1}").exact);
    assert!(!input("[[[1]]]").exact, "deeper than the format goes");
}

#[test]
fn what_is_of_no_known_form_is_estimated_from_its_text() {
    for messages in
        [json!("hello"), json!({"a": 1}), json!([7, null]), json!([{"role": "user", "content": {"x": 1}}])]
    {
        assert!(!chat("gpt-4o", &messages, None).exact, "{messages}");
    }
    assert!(!chat("claude-sonnet-4", &json!([{"role": "user", "content": "hello"}]), None).exact);
}

#[test]
fn images_spelt_with_escapes_are_within_the_bound() {
    let messages =
        r#"[{"role":"user","content":[{"type":"x","\u0069mage\u005furl":"https://example.com"}]}]"#;
    let counted = chat("gpt-4o-mini", &serde_json::from_str(messages).unwrap(), None);
    assert!(counted.tokens > 25_000, "it is an image: {counted:?}");
    assert!(upper_bound("gpt-4o-mini", messages.as_bytes(), None) >= counted.tokens);
}

fn any_json(depth: u32) -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>(), Just(String::new()), "[ -~]{0,60}"];
    let leaf = prop_oneof![
        text.prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!({"type": "image_url", "image_url": {"url": "https://example.com"}})),
        Just(json!({"type": "text", "text": "a"})),
    ];
    let key = prop::sample::select(vec![
        "role",
        "name",
        "content",
        "text",
        "tool_calls",
        "function",
        "arguments",
        "parameters",
        "properties",
        "enum",
        "items",
        "description",
        "type",
        "image_url",
        "url",
        "refusal",
    ]);
    leaf.prop_recursive(depth, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..5)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_conversation_exceeds_its_bound(
        messages in prop::collection::vec(any_json(4), 0..6),
        tools in prop::option::of(prop::collection::vec(any_json(5), 0..4)),
        model in prop::sample::select(vec!["gpt-4o", "gpt-4o-mini", "gpt-4", "claude-sonnet-4", "gemini-2.5-pro", "llama3", "?"]),
    ) {
        let (messages, tools) = (Value::from(messages), tools.map(Value::from));
        let counted = chat(model, &messages, tools.as_ref());
        let tools = tools.map(|tools| tools.to_string());
        let bound = upper_bound(model, messages.to_string().as_bytes(), tools.as_ref().map(String::as_bytes));
        prop_assert!(counted.tokens <= bound, "{} > {}", counted.tokens, bound);
    }

    #[test]
    fn no_text_exceeds_its_bytes(text in any::<String>(), model in prop::sample::select(vec!["gpt-4", "claude-3", "gemini", "davinci"])) {
        prop_assert!(crate::count_text(model, &text).tokens <= text.len() as u64);
    }
}
