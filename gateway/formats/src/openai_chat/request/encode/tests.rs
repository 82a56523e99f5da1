//! Requests as different models take them.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_families::{ApiFormat, Families, Lookup};

use super::*;
use crate::adapt::adapt;
use crate::exchange::{Part, Request, ToolCall, ToolResult, Turn, TurnRole};
use crate::openai_chat::request::decode;
use crate::unmapped::OnUnmappable;

/// Where a model is served.
fn sent_to(
    model: &str,
    provider: &str,
    body: &Value,
    policy: OnUnmappable,
) -> Result<(Value, String), FormatError> {
    let body = body.to_string();
    let mut request = decode(body.as_bytes())?;
    request_to(model, provider, &mut request, policy)
}

fn request_to(
    model: &str,
    provider: &str,
    request: &mut Request<'_>,
    policy: OnUnmappable,
) -> Result<(Value, String), FormatError> {
    let provider = Some(provider).filter(|provider| !provider.is_empty());
    let traits = Families::built_in().resolve(&Lookup { provider, ..Lookup::new(model, ApiFormat::OpenAi) });
    let target = TargetModel { name: model, origin: "test", traits: &traits };
    adapt(request, target, PLACE);
    let mut unmapped = Unmapped::new(policy);
    let body = encode(request, target, &mut unmapped)?;
    Ok((serde_json::from_slice(&body).unwrap(), unmapped.dropped().join(" ")))
}

/// As the model gets it without a switch: what is left out is named.
fn sent(model: &str, mut fields: Value) -> (Value, String) {
    if fields.get("messages").is_none() {
        fields["messages"] = json!([{"role": "user", "content": "hi"}]);
    }
    sent_to(model, "", &fields, OnUnmappable::Reject).unwrap()
}

fn member(model: &str, fields: Value, name: &str) -> Value {
    sent(model, fields).0[name].clone()
}

#[test]
fn the_bound_has_the_word_of_the_model() {
    for (model, word) in [
        ("gpt-4o", "max_tokens"),
        ("llama-3.3-70b", "max_tokens"),
        ("mistral-large-latest", "max_tokens"),
        ("gpt-5-mini", "max_completion_tokens"),
        ("o4-mini", "max_completion_tokens"),
        ("prod-gpt-5", "max_completion_tokens"),
    ] {
        for asked in ["max_tokens", "max_completion_tokens"] {
            let (body, _) = sent(model, json!({ asked: 50 }));
            let found: Vec<&str> = ["max_tokens", "max_completion_tokens"]
                .into_iter()
                .filter(|word| body.get(word).is_some())
                .collect();
            assert_eq!(found, [word], "{model}");
        }
    }
    let (body, named) = sent("gpt-4o", json!({"max_tokens": 32_000}));
    assert_eq!((&body["max_tokens"], &*named), (&json!(16_384), "max_tokens"));
}

#[test]
fn no_thinking_is_said_to_those_who_know_the_word() {
    let effort = json!({"reasoning_effort": "none"});
    for (model, expected, named) in [
        ("gpt-4o", json!({}), ""),
        ("some-model", json!({}), ""),
        ("o4-mini", json!({"reasoning_effort": "low"}), "reasoning_effort"),
        ("gpt-5.1", json!({"reasoning_effort": "none"}), ""),
        ("gpt-5", json!({"reasoning_effort": "minimal"}), "reasoning_effort"),
        ("deepseek-v4-flash", json!({"thinking": {"type": "disabled"}}), ""),
        ("kimi-k2.5", json!({"thinking": {"type": "disabled"}}), ""),
        ("qwen3.6-plus", json!({"enable_thinking": false}), ""),
    ] {
        let (body, dropped) = sent(model, effort.clone());
        for field in ["reasoning_effort", "thinking", "enable_thinking"] {
            assert_eq!(body.get(field), expected.get(field), "{model} {field}");
        }
        assert_eq!(dropped, named, "{model}");
    }
}

#[test]
fn an_effort_becomes_the_nearest_that_the_model_takes() {
    for (model, effort, told, named) in [
        ("gpt-5", "xhigh", json!("high"), "reasoning_effort"),
        ("gpt-6-sol", "max", json!("max"), ""),
        ("gpt-4.1", "high", Value::Null, "reasoning_effort"),
        ("deepseek-v4-flash", "medium", json!("low"), "reasoning_effort"),
        ("some-model", "xhigh", json!("xhigh"), ""),
    ] {
        let (body, dropped) = sent(model, json!({"reasoning_effort": effort}));
        assert_eq!((&body["reasoning_effort"], &*dropped), (&told, named), "{model}");
    }
    let (body, _) = sent("kimi-k2.5", json!({"reasoning_effort": "high"}));
    assert_eq!(body["thinking"], json!({"type": "enabled"}));
    let (body, _) = sent("qwen3.6-plus", json!({"reasoning_effort": "low"}));
    assert_eq!((&body["enable_thinking"], &body["thinking_budget"]), (&json!(true), &json!(2048)));
}

#[test]
fn sampling_that_a_model_refuses_is_refused_by_name_or_left_out() {
    let fields = json!({"messages": [{"role": "user", "content": "hi"}], "temperature": 0, "stop": ["x"]});
    let refused = sent_to("gpt-5-mini", "", &fields, OnUnmappable::Reject).unwrap_err().to_string();
    assert!(refused.contains("temperature"), "{refused}");
    let (body, dropped) = sent_to("gpt-5-mini", "", &fields, OnUnmappable::Drop).unwrap();
    assert_eq!((body.get("temperature"), body.get("stop"), &*dropped), (None, None, "temperature stop"));
    assert_eq!(sent("gpt-5-mini", json!({"temperature": 1})).1, "");
    assert_eq!(sent("mistral-large-latest", json!({"seed": 7})).0["random_seed"], 7);
    let (body, dropped) = sent("mistral-large-latest", json!({"temperature": 1.9}));
    assert_eq!((&body["temperature"], &*dropped), (&json!(1.5), "temperature"));
    let stops = json!({"messages": [], "stop": ["a", "b", "c", "d", "e"]});
    let (body, dropped) = sent_to("gpt-4o", "", &stops, OnUnmappable::Drop).unwrap();
    assert_eq!((&body["stop"], &*dropped), (&json!(["a", "b", "c", "d"]), "stop"));
}

fn tool_loop() -> Value {
    json!({"messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "reasoning_content": "hm", "content": null,
         "tool_calls": [{"id": "toolu_01A", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "toolu_01A", "content": "ok"},
        {"role": "assistant", "content": "done"},
        {"role": "user", "content": "and?"}]})
}

#[test]
fn thoughts_come_back_in_the_field_that_the_model_reads() {
    let messages = |model: &str, provider: &str| {
        sent_to(model, provider, &tool_loop(), OnUnmappable::Reject).unwrap().0["messages"].clone()
    };
    let deepseek = messages("deepseek-v4-flash", "");
    assert_eq!(deepseek[1]["reasoning_content"], "hm");
    assert_eq!(deepseek[3]["reasoning_content"], "", "it is demanded on every turn");
    let kimi = messages("kimi-k2.5", "");
    assert_eq!((&kimi[1]["reasoning_content"], kimi[3].get("reasoning_content")), (&json!("hm"), None));
    let vllm = messages("qwen3-32b", "vllm");
    assert_eq!((&vllm[1]["reasoning"], vllm[1].get("reasoning_content")), (&json!("hm"), None));
    let router = messages("minimax-m2", "openrouter");
    assert_eq!(router[1]["reasoning_details"], json!([{"type": "reasoning.text", "text": "hm", "index": 0}]));
    let mistral = messages("magistral-medium-latest", "");
    assert_eq!(
        mistral[1]["content"],
        json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}])
    );
    for nothing in ["gpt-5", "gpt-4o", "some-model"] {
        assert_eq!(messages(nothing, "")[1].as_object().unwrap().len(), 3, "{nothing}");
    }
}

#[test]
fn proofs_go_back_in_details_to_whom_they_came_from() {
    let details = json!([{"type": "reasoning.text", "text": "hm", "signature": "tg1.test.c2ln"},
        {"type": "reasoning.encrypted", "data": "tg1.test.eA=="}, {"type": "reasoning.text", "text": "foreign"}]);
    let body = json!({"messages": [{"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "reasoning_details": details}, {"role": "user", "content": "c"}]});
    let (body, _) = sent_to("claude-opus-4-6", "openrouter", &body, OnUnmappable::Reject).unwrap();
    assert_eq!(
        body["messages"][1]["reasoning_details"],
        json!([{"type": "reasoning.text", "text": "hm", "signature": "c2ln", "index": 0},
            {"type": "reasoning.encrypted", "data": "eA==", "index": 1}])
    );
}

#[test]
fn ids_of_calls_take_the_form_of_the_model_on_both_sides() {
    let (body, _) = sent_to("mistral-large-latest", "", &tool_loop(), OnUnmappable::Reject).unwrap();
    let id = body["messages"][1]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|letter| letter.is_ascii_alphanumeric()), "{id}");
    assert_eq!(body["messages"][2]["tool_call_id"], id);
}

fn call(id: &'static str) -> Part<'static> {
    Part::ToolCall(ToolCall { id: id.into(), name: "f".into(), arguments: "{}".into() })
}

fn result(call_id: &'static str, text: &str) -> Part<'static> {
    let parts = vec![Part::text(text.to_owned())];
    Part::ToolResult(ToolResult { call_id: call_id.into(), parts, json: None, is_error: false, cache: None })
}

fn turn(role: TurnRole, parts: Vec<Part<'static>>) -> Turn<'static> {
    Turn { role, name: None, parts }
}

#[test]
fn what_a_model_says_without_a_break_is_one_message_and_results_follow_it() {
    use TurnRole::{Assistant, System, User};
    let turns = vec![
        turn(User, vec![Part::text("go")]),
        turn(Assistant, vec![call("c1")]),
        turn(Assistant, vec![Part::text("wait"), call("c2")]),
        turn(System, vec![Part::text("note")]),
        turn(User, vec![result("c1", "1")]),
        turn(User, vec![result("c2", "2"), Part::text("next")]),
    ];
    let mut request = Request { turns, ..Request::default() };
    let (body, _) = request_to("gpt-4o", "", &mut request, OnUnmappable::Reject).unwrap();
    let said: Vec<String> = body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| format!("{}:{}", message["role"].as_str().unwrap(), message["content"]))
        .collect();
    assert_eq!(
        said,
        ["user:\"go\"", "assistant:\"wait\"", "tool:\"1\"", "tool:\"2\"", "system:\"note\"", "user:\"next\""]
    );
    assert_eq!(body["messages"][1]["tool_calls"].as_array().map(Vec::len), Some(2));
}

fn tool(parameters: Value) -> Value {
    json!([{"type": "function", "function": {"name": "f", "parameters": parameters, "strict": true}}])
}

#[test]
fn tools_have_the_schemas_that_the_model_takes() {
    let (body, dropped) = sent("gpt-4o", json!({"tools": tool(json!({"type": "object"}))}));
    assert_eq!(body["tools"][0]["function"]["parameters"], json!({"type": "object", "properties": {}}));
    assert_eq!(body["tools"][0]["function"].get("strict"), None);
    assert_eq!(dropped, "tools[].function.strict");
    let (body, _) = sent("some-model", json!({"tools": tool(json!({"type": "object"}))}));
    assert_eq!(body["tools"][0]["function"]["parameters"], json!({"type": "object"}));
}

#[test]
fn a_choice_that_a_model_lacks_becomes_the_nearest_and_is_named() {
    let choice = |model: &str, choice: &str| {
        let (body, dropped) = sent(
            model,
            json!({"tools": tool(json!({"type": "object", "properties": {}})), "tool_choice": choice}),
        );
        (body["tool_choice"].clone(), body.get("tools").is_some(), dropped.contains("tool_choice"))
    };
    assert_eq!(choice("gpt-4o", "required"), (json!("required"), true, false));
    assert_eq!(choice("kimi-k2.5", "required"), (json!("auto"), true, true));
    assert_eq!(choice("glm-4.7", "none"), (Value::Null, false, false));
    let one_at_a_time = json!({"tools": tool(json!({})), "parallel_tool_calls": false});
    let (body, dropped) = sent("deepseek-v4-flash", one_at_a_time);
    assert_eq!(body.get("parallel_tool_calls"), None);
    assert!(dropped.contains("parallel_tool_calls"), "{dropped}");
}

#[test]
fn json_is_asked_for_in_the_way_of_the_model() {
    let object = json!({"response_format": {"type": "json_object"}});
    let (body, _) = sent("gpt-4o", object.clone());
    assert_eq!(body["messages"][0], json!({"role": "system", "content": "Answer with JSON."}));
    let asked = json!({"response_format": {"type": "json_object"}, "messages": [
        {"role": "system", "content": "Give JSON."}, {"role": "user", "content": "hi"}]});
    assert_eq!(member("gpt-4o", asked, "messages").as_array().map(Vec::len), Some(2));
    assert_eq!(member("some-model", object.clone(), "messages").as_array().map(Vec::len), Some(1));
    let schema = json!({"response_format": {"type": "json_schema",
        "json_schema": {"name": "my form", "schema": {"type": "object"}}}});
    let (body, dropped) = sent("deepseek-v4-flash", schema.clone());
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    assert!(body["messages"][0]["content"].as_str().unwrap().contains(r#"{"type":"object"}"#));
    assert_eq!(dropped, "response_format");
    assert_eq!(member("some-model", schema, "response_format")["json_schema"]["name"], "my_form");
}

#[test]
fn labels_are_carried_where_they_are_taken_and_never_refused() {
    let long = "x".repeat(155);
    let fields = json!({"user": long, "prompt_cache_key": "k", "verbosity": "low", "metadata": {"a": "b"}});
    let (body, dropped) = sent("gpt-5", fields.clone());
    assert_eq!(body["user"].as_str().map(str::len), Some(32));
    assert_eq!((&body["verbosity"], &body["prompt_cache_key"], &*dropped), (&json!("low"), &json!("k"), ""));
    let (body, dropped) = sent("mistral-large-latest", fields);
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["messages", "model"]);
    assert_eq!(dropped, "user metadata prompt_cache_key verbosity");
    assert_eq!(sent("gpt-4o", json!({"verbosity": "low"})).1, "verbosity");
}

#[test]
fn a_model_gets_no_media_that_it_does_not_take() {
    let image = |url: &str| json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]});
    let refused = |model: &str, url: &str| sent_to(model, "", &image(url), OnUnmappable::Reject).is_err();
    assert!(refused("deepseek-v3.2", "data:image/png;base64,iVBORw0KGgo="));
    assert!(refused("kimi-k2.5", "https://a.example/x.png"));
    assert!(!refused("kimi-k2.5", "data:image/png;base64,iVBORw0KGgo="));
    assert!(!refused("gpt-4o", "https://a.example/x.png"));
    let text = json!({"messages": [{"role": "user", "content": [
        {"type": "file", "file": {"filename": "a.csv", "file_data": "data:text/csv;base64,YSxi"}}]}]});
    assert_eq!(sent("gpt-4o", text).0["messages"][0]["content"], "a.csv:\n\na,b");
}

#[test]
fn a_turn_to_be_continued_is_marked_as_such() {
    let prefill = json!({"messages": [{"role": "user", "content": "a", "name": "ann"}, {"role": "assistant", "content": "b"}]});
    let (body, dropped) = sent("mistral-large-latest", prefill.clone());
    assert_eq!((&body["messages"][1]["prefix"], &*dropped), (&json!(true), "messages[].name"));
    assert_eq!(sent("kimi-k2.5", prefill.clone()).0["messages"][1]["partial"], true);
    assert_eq!(sent("gpt-4o", prefill).0["messages"][1], json!({"role": "assistant", "content": "b"}));
}

#[test]
fn marks_of_a_cache_go_to_servers_that_take_them() {
    let body = json!({"messages": [
        {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}]});
    let to = |provider| {
        let (body, _) = sent_to("claude-opus-4-6", provider, &body, OnUnmappable::Reject).unwrap();
        (body["messages"][0]["content"].clone(), body["messages"][1]["content"].clone())
    };
    let mark = |text: &str, control: Value| json!([{"type": "text", "text": text, "cache_control": control}]);
    assert_eq!(
        to("openrouter"),
        (mark("s", json!({"type": "ephemeral", "ttl": "1h"})), mark("a", json!({"type": "ephemeral"})))
    );
    assert_eq!(to(""), (json!("s"), json!("a")));
}

/// One step of a conversation: what the model said, what its tools gave, what the user says next.
fn step() -> impl Strategy<Value = Vec<Turn<'static>>> {
    let thought = prop_oneof![Just(None), Just(Some("hm"))];
    (thought, "[a-z]{0,5}", any::<bool>(), any::<bool>(), "[a-z]{1,5}").prop_map(
        |(thought, said, calls, note, next)| {
            let mut parts: Vec<Part<'static>> = Vec::new();
            parts.extend(thought.map(|text| Part::Reasoning {
                text: text.into(),
                signature: None,
                redacted: None,
            }));
            parts.push(Part::text(said));
            let mut turns = Vec::new();
            if calls {
                parts.extend([call("toolu_1"), call("toolu_2")]);
            }
            turns.push(turn(TurnRole::Assistant, parts));
            if calls {
                turns.push(turn(TurnRole::User, vec![result("toolu_1", "1"), result("toolu_2", "2")]));
            }
            if note {
                turns.push(turn(TurnRole::System, vec![Part::text("90000 left")]));
            }
            turns.push(turn(TurnRole::User, vec![Part::text(next)]));
            turns
        },
    )
}

proptest! {
    /// What providers' prompt caches go by.
    #[test]
    fn a_prompt_begins_as_it_did_a_turn_ago(
        steps in proptest::collection::vec(step(), 1..5),
        model in prop_oneof![
            Just("gpt-5"), Just("some-model"), Just("deepseek-v4-flash"), Just("kimi-k3"),
            Just("mistral-large-latest"), Just("magistral-medium-latest"), Just("o1-mini"), Just("gemma-3-27b-it"),
        ],
        json in any::<bool>(),
    ) {
        let mut turns = vec![turn(TurnRole::User, vec![Part::text("go")])];
        let mut before: Option<String> = None;
        for step in steps {
            turns.extend(step);
            let output = if json { crate::exchange::OutputForm::JsonObject } else { Default::default() };
            let system = vec![crate::exchange::SystemText { text: "Be brief.".into(), cache: None }];
            let mut request = Request { system, turns: turns.clone(), output, ..Request::default() };
            let (body, _) = request_to(model, "", &mut request, OnUnmappable::Reject).unwrap();
            let mut now = body["messages"].to_string();
            now.pop();
            prop_assert!(before.is_none_or(|before| now.starts_with(&before)), "{}", now);
            before = Some(now);
        }
    }
}
