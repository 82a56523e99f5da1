//! Requests read, written and read again.

use super::*;
use tollgate_families::ApiFormat;

use crate::error::FormatError;
use crate::exchange::{
    CacheMark, Effort, Image, Media, OutputForm, Part, Reasoning, Request, Sampling, Source, SystemText,
    Tool, ToolCall, ToolChoice, ToolResult, Turn, TurnRole,
};
use crate::testing::target;
use crate::unmapped::{OnUnmappable, Unmapped};
use proptest::prelude::*;
use serde_json::value::RawValue;

fn with_messages(messages: &str) -> Vec<u8> {
    format!(r#"{{"model":"m","messages":{messages}}}"#).into_bytes()
}

fn error(messages: &str) -> FormatError {
    decode(&with_messages(messages)).unwrap_err()
}

fn encoded(request: &Request<'_>, model: &str) -> String {
    let mut unmapped = Unmapped::new(OnUnmappable::Reject);
    String::from_utf8(encode(request, target(model, ApiFormat::OpenAi), &mut unmapped).unwrap()).unwrap()
}

#[test]
fn a_fault_in_a_message_is_named_by_its_path() {
    let place = |messages: &str| match error(messages) {
        FormatError::Invalid { param, .. } => param.unwrap_or_default().into_owned(),
        FormatError::Unsupported { param } => format!("unsupported {param}"),
        FormatError::CutShort | FormatError::Provider(_) => String::new(),
    };
    assert_eq!(place(r#"[{"content":"a"}]"#), "messages[0].role");
    assert_eq!(place(r#"[{"role":"user","content":"a"},{"role":"robot"}]"#), "messages[1].role");
    assert_eq!(place(r#"[{"role":"tool","content":"a"}]"#), "messages[0].tool_call_id");
    assert_eq!(
        place(r#"[{"role":"user","content":[{"type":"image_url"}]}]"#),
        "messages[0].content[0].image_url"
    );
    assert_eq!(
        place(r#"[{"role":"assistant","tool_calls":[{"id":"c","type":"custom"}]}]"#),
        "messages[0].tool_calls[0].custom"
    );
    let image = r#"[{"role":"system","content":[{"type":"image_url","image_url":"https://a.example"}]}]"#;
    assert_eq!(place(image), "messages[0].content[0]");
}

#[test]
fn wrong_types_are_refused_without_a_panic() {
    for messages in ["7", "[7]", r#"[{"role":7}]"#, r#"[{"role":"user","content":7}]"#, "{}"] {
        assert!(decode(&with_messages(messages)).is_err(), "{messages}");
    }
    for field in [
        r#""temperature":"hot""#,
        r#""max_tokens":-1"#,
        r#""tools":{}"#,
        r#""tools":[{"type":"function","function":{}}]"#,
        r#""stop":7"#,
        r#""tool_choice":"maybe""#,
        r#""max_tokens":2.5"#,
        r#""response_format":{"type":"json_schema"}"#,
        r#""reasoning_effort":"enormous""#,
    ] {
        let body = format!(r#"{{"messages":[],{field}}}"#);
        assert!(decode(body.as_bytes()).is_err(), "{field}");
    }
}

#[test]
fn what_is_not_known_is_kept_by_its_name() {
    let body = br#"{"messages":[
        {"role":"user","content":[{"type":"hologram"},{"type":"text","text":"a"}]},
        {"role":"assistant","tool_calls":[{"id":"c","type":"robot"}]}],
        "tools":[{"type":"function","function":{"name":"f"}},{"type":"web_search"}],
        "tool_choice":{"type":"allowed_tools","allowed_tools":{}},
        "response_format":{"type":"grammar","grammar":"x"}}"#;
    let request = decode(body).unwrap();
    let names: Vec<&str> = request.extras.iter().map(|extra| &*extra.name).collect();
    assert_eq!(
        names,
        ["messages[0].content[0]", "messages[1].tool_calls[0]", "tools[1]", "tool_choice", "response_format"]
    );
    let mut unmapped = Unmapped::new(OnUnmappable::Drop);
    assert!(encode(&request, target("m", ApiFormat::OpenAi), &mut unmapped).is_ok());
    assert_eq!(unmapped.dropped(), names);
}

#[test]
fn tools_that_take_free_text_are_functions_with_one_text() {
    let body = br#"{"messages":[{"role":"user","content":"x"},
        {"role":"assistant","tool_calls":[{"id":"c","type":"custom","custom":{"name":"apply_patch","input":"*** \"a\""}}]},
        {"role":"tool","tool_call_id":"c","content":"ok"}],
        "tools":[{"type":"custom","custom":{"name":"apply_patch","description":"d","format":{"type":"text"}}}],
        "tool_choice":{"type":"custom","custom":{"name":"apply_patch"}}}"#;
    let request = decode(body).unwrap();
    assert!(request.tool_names.is_custom("apply_patch"));
    assert!(request.tools[0].custom.is_some_and(|custom| custom.format.is_some()));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("apply_patch".into())));
    let sent = encoded(&request, "m");
    assert!(
        sent.contains(r#""parameters":{"type":"object","properties":{"input":{"type":"string"}}"#),
        "{sent}"
    );
    assert!(sent.contains(r#"{"name":"apply_patch","arguments":"{\"input\":\"*** \\\"a\\\"\"}"}"#), "{sent}");
}

#[test]
fn whole_numbers_may_be_written_with_a_fraction_of_zero() {
    let body = br#"{"messages":[],"max_tokens":2.0,"n":1.0,"seed":-3.0,"top_k":4.0,"logprobs":true,"top_logprobs":5.0}"#;
    let sampling = decode(body).unwrap().sampling;
    assert_eq!((sampling.max_output_tokens, sampling.choices, sampling.seed), (Some(2), None, Some(-3)));
    assert_eq!((sampling.top_k, sampling.top_logprobs), (Some(4), Some(5)));
    let seen = crate::openai_chat::view::view(body).unwrap();
    assert_eq!((seen.max_output_tokens, seen.choices), (Some(2), 1));
}

#[test]
fn a_form_without_a_schema_is_any_object() {
    let body = br#"{"messages":[],"response_format":{"type":"json_schema","json_schema":{"name":"x"}}}"#;
    assert!(matches!(decode(body).unwrap().output, OutputForm::JsonObject));
}

#[test]
fn nesting_without_end_does_not_exhaust_the_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    // In a value that is only carried: kept as text.
    let carried = format!(r#"{{"messages":[],"metadata":{deep},"x-new":{deep}}}"#);
    assert!(decode(carried.as_bytes()).is_ok());
    // In a value that is read: refused.
    assert!(decode(&with_messages(&format!(r#"[{{"role":"user","content":{deep}}}]"#))).is_err());
    let thinking = "{\"type\":\"thinking\",\"thinking\":[".repeat(1000);
    assert!(decode(&with_messages(&format!(r#"[{{"role":"user","content":[{thinking}"#))).is_err());
}

#[test]
fn ten_thousand_messages_are_read() {
    let messages = vec![r#"{"role":"user","content":"a"}"#; 10_000].join(",");
    assert_eq!(decode(&with_messages(&format!("[{messages}]"))).unwrap().turns.len(), 10_000);
}

#[test]
fn plain_texts_are_borrowed_from_the_body() {
    let body = with_messages(r#"[{"role":"user","content":"plain"}]"#);
    let request = decode(&body).unwrap();
    let Part::Text { text, .. } = &request.turns[0].parts[0] else { panic!("no text") };
    assert!(matches!(text, std::borrow::Cow::Borrowed("plain")));
}

#[test]
fn cache_marks_are_read_wherever_clients_put_them() {
    let body = br#"{"messages":[
        {"role":"system","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]},
        {"role":"user","content":"b","cache_control":{"type":"ephemeral"}},
        {"role":"tool","tool_call_id":"c","content":"d","cache_control":{"type":"ephemeral"}}],
        "tools":[{"type":"function","function":{"name":"f","cache_control":{"type":"ephemeral"}}}]}"#;
    let request = decode(body).unwrap();
    assert_eq!(request.system[0].cache, Some(CacheMark::OneHour));
    assert!(matches!(request.turns[0].parts[0], Part::Text { cache: Some(CacheMark::FiveMinutes), .. }));
    assert!(
        matches!(&request.turns[1].parts[0], Part::ToolResult(result) if result.cache == Some(CacheMark::FiveMinutes))
    );
    assert_eq!(request.tools[0].cache, Some(CacheMark::FiveMinutes));
}

#[test]
fn thoughts_with_proofs_come_back_from_clients() {
    let body = with_messages(
        r#"[{"role":"assistant","reasoning_content":"x","thinking_blocks":[{"type":"thinking","thinking":"x","signature":"s"},{"type":"redacted_thinking","data":"d"}],"content":"y"}]"#,
    );
    let request = decode(&body).unwrap();
    let [Part::Reasoning { signature, .. }, Part::Reasoning { redacted, .. }, Part::Text { .. }] =
        &request.turns[0].parts[..]
    else {
        panic!("{:?}", request.turns[0].parts)
    };
    assert_eq!((signature.as_deref(), redacted.as_deref()), (Some("s"), Some("d")));
}

#[test]
fn log_probabilities_are_asked_for_in_two_fields() {
    let top = |fields: &str| {
        let body = format!(r#"{{"messages":[],{fields}}}"#);
        decode(body.as_bytes()).unwrap().sampling.top_logprobs
    };
    assert_eq!(top(r#""logprobs":true"#), Some(0));
    assert_eq!(top(r#""logprobs":true,"top_logprobs":3"#), Some(3));
    assert_eq!(top(r#""logprobs":false,"top_logprobs":null"#), None);
}

#[test]
fn both_names_of_the_end_user_keep_their_meaning() {
    let both = decode(br#"{"messages":[],"user":"u","safety_identifier":"s"}"#).unwrap();
    assert_eq!((both.end_user.as_deref(), both.extras.len()), (Some("u"), 1));
    let one = decode(br#"{"messages":[],"safety_identifier":"s"}"#).unwrap();
    assert_eq!((one.end_user.as_deref(), one.extras.len()), (Some("s"), 0));
}

#[test]
fn reasoning_models_are_told_their_limit_by_its_new_name() {
    let sampling = Sampling { max_output_tokens: Some(5), ..Sampling::default() };
    let request = Request { sampling, ..Request::default() };
    for model in ["gpt-5-mini", "o3", "o4-mini", "openai/o1", "prod-gpt-5"] {
        assert!(encoded(&request, model).contains(r#""max_completion_tokens":5"#), "{model}");
    }
    for model in ["gpt-4o", "llama3.1:8b", "phi-4", "olmo-2", "qwen-o"] {
        assert!(encoded(&request, model).contains(r#""max_tokens":5"#), "{model}");
    }
}

#[test]
fn results_of_tools_come_before_what_the_user_says() {
    let result = |parts| ToolResult { call_id: "c".into(), parts, json: None, is_error: false, cache: None };
    let source = Source::Url("https://a.example/x.png".into());
    let image = Part::Image(Image { media_type: "".into(), source, detail: None, cache: None });
    let parts = vec![Part::text("and?"), Part::ToolResult(result(vec![Part::text("ok"), image]))];
    let turns = vec![Turn { role: TurnRole::User, name: None, parts }];
    let request = Request { turns, ..Request::default() };
    assert_eq!(
        encoded(&request, "m"),
        r#"{"model":"m","messages":[{"role":"tool","tool_call_id":"c","content":"ok"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/x.png"}},{"type":"text","text":"and?"}]}]}"#
    );
}

fn raw() -> impl Strategy<Value = &'static RawValue> {
    prop_oneof![Just("{}"), Just(r#"{"type":"object","x":[1.5,"é"]}"#)]
        .prop_map(|json| serde_json::from_str(json).unwrap())
}

fn word() -> impl Strategy<Value = std::borrow::Cow<'static, str>> {
    "[ -~é\n\u{1F600}]{1,8}".prop_map(Into::into)
}

fn user_part() -> impl Strategy<Value = Part<'static>> {
    let image = (word(), proptest::option::of(word())).prop_map(|(url, detail)| {
        let source = Source::Url(url);
        Part::Image(Image { media_type: "".into(), source, detail, cache: None })
    });
    let audio = prop_oneof![Just("audio/wav"), Just("audio/mpeg"), Just("audio/flac")].prop_map(|kind| {
        Part::Audio(Media { media_type: kind.into(), source: Source::Base64("QQ==".into()), cache: None })
    });
    let file = word().prop_map(|name| {
        let source = Source::Base64("QQ==".into());
        let media = Media { media_type: "application/pdf".into(), source, cache: None };
        Part::Document { media, name: Some(name) }
    });
    let text = word().prop_map(Part::text);
    prop_oneof![3 => text, 1 => image, 1 => audio, 1 => file]
}

/// Turns as they come out again: what a model says without a break is one turn, and results follow their calls.
fn turns() -> impl Strategy<Value = Vec<Turn<'static>>> {
    proptest::collection::vec(turn(), 0..6).prop_map(|turns| {
        let mut kept: Vec<Turn<'static>> = Vec::new();
        for turn in turns {
            let after_model = kept.last().is_some_and(|last| last.role == TurnRole::Assistant);
            let is_result = |turn: &Turn<'_>| matches!(turn.parts[..], [Part::ToolResult(_)]);
            let after_result = kept.last().is_some_and(is_result);
            let fits = match turn.role {
                TurnRole::Assistant => !after_model,
                _ => !is_result(&turn) || after_model || after_result,
            };
            kept.extend(fits.then_some(turn));
        }
        kept
    })
}

fn turn() -> impl Strategy<Value = Turn<'static>> {
    let user = (proptest::option::of(word()), proptest::collection::vec(user_part(), 1..4))
        .prop_map(|(name, parts)| Turn { role: TurnRole::User, name, parts });
    let call = (word(), word(), word()).prop_map(|(id, name, arguments)| ToolCall { id, name, arguments });
    let assistant = (proptest::collection::vec(word(), 1..3), proptest::collection::vec(call, 0..3))
        .prop_map(|(texts, calls)| {
            let parts = texts.into_iter().map(Part::text).chain(calls.into_iter().map(Part::ToolCall));
            Turn { role: TurnRole::Assistant, name: None, parts: parts.collect() }
        });
    let result = (word(), proptest::collection::vec(word(), 1..3)).prop_map(|(call_id, texts)| {
        let parts = texts.into_iter().map(Part::text).collect();
        let result = ToolResult { call_id, parts, json: None, is_error: false, cache: None };
        Turn { role: TurnRole::User, name: None, parts: vec![Part::ToolResult(result)] }
    });
    prop_oneof![user, assistant, result]
}

fn tenths() -> impl Strategy<Value = Option<f64>> {
    proptest::option::of((1u8..20).prop_map(|tenths| f64::from(tenths) / 10.0))
}

fn sampling() -> impl Strategy<Value = Sampling<'static>> {
    (
        proptest::option::of(any::<u64>()),
        tenths(),
        tenths(),
        proptest::collection::vec(word(), 0..3),
        proptest::option::of(any::<i64>()),
        tenths(),
        proptest::option::of(0u8..20),
    )
        .prop_map(|(max_output_tokens, temperature, top_p, stop, seed, penalty, top_logprobs)| {
            Sampling {
                max_output_tokens,
                temperature,
                top_p,
                stop,
                seed,
                frequency_penalty: penalty,
                top_logprobs,
                ..Sampling::default()
            }
        })
}

fn request() -> impl Strategy<Value = Request<'static>> {
    let tool = (word(), proptest::option::of(word()), proptest::option::of(raw()), any::<Option<bool>>())
        .prop_map(|(name, description, parameters, strict)| Tool {
            name,
            description,
            parameters,
            strict,
            ..Tool::default()
        });
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        word().prop_map(ToolChoice::Named)
    ];
    let output = prop_oneof![
        Just(OutputForm::Text),
        Just(OutputForm::JsonObject),
        ("[a-z_]{1,8}", raw(), any::<Option<bool>>()).prop_map(|(name, schema, strict)| {
            let name = name.into();
            OutputForm::JsonSchema { name, description: None, schema, strict }
        }),
    ];
    let effort = prop_oneof![Just(Effort::Minimal), Just(Effort::Low), Just(Effort::XHigh)];
    (
        proptest::collection::vec(word(), 0..3),
        turns(),
        proptest::collection::vec(tool, 1..3),
        proptest::option::of(choice),
        sampling(),
        output,
        proptest::option::of(effort),
        any::<bool>(),
        proptest::option::of(word()),
    )
        .prop_map(|(system, turns, tools, tool_choice, sampling, output, effort, stream, end_user)| {
            Request {
                system: system.into_iter().map(|text| SystemText { text, cache: None }).collect(),
                turns,
                tools,
                tool_choice,
                sampling,
                output,
                reasoning: effort.map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() }),
                stream,
                include_usage: stream,
                end_user,
                ..Request::default()
            }
        })
}

#[test]
fn of_two_bounds_the_smaller_one_holds() {
    for bounds in
        ["\"max_tokens\":7,\"max_completion_tokens\":900", "\"max_tokens\":900,\"max_completion_tokens\":7"]
    {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"x"}}],{bounds}}}"#);
        assert_eq!(decode(body.as_bytes()).unwrap().sampling.max_output_tokens, Some(7), "{bounds}");
    }
}

proptest! {
    #[test]
    fn what_is_written_means_the_same_when_it_is_read(request in request()) {
        let body = encoded(&request, "m");
        let read = decode(body.as_bytes()).unwrap();
        prop_assert_eq!(format!("{read:?}"), format!("{request:?}"), "{}", body);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&body);
    }

    #[test]
    fn any_damage_is_read_or_refused(request in request(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = encoded(&request, "m").into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(read) = decode(&body) {
            let _ = encode(&read, target("m", ApiFormat::OpenAi), &mut Unmapped::new(OnUnmappable::Drop));
        }
    }
}
