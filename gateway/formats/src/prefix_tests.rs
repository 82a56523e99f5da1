//! A prompt begins as it did a turn ago: otherwise no provider finds it in its cache, and models that bind proofs of
//! thoughts to the text before them refuse their own.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_families::ApiFormat;

use crate::adapt::{Place, TargetModel, adapt};
use crate::error::FormatError;
use crate::exchange::Request;
use crate::testing::target;
use crate::unmapped::{OnUnmappable, Unmapped};
use crate::{anthropic, bedrock};

type Encode = fn(&Request<'_>, TargetModel<'_>, &mut Unmapped) -> Result<Vec<u8>, FormatError>;

/// The messages that are sent for a conversation, without marks for the cache.
fn sent(turns: &[Value], target: TargetModel<'_>, place: Place, encode: Encode) -> (Value, Vec<Value>) {
    let body = json!({"max_tokens": 100, "system": "be brief", "messages": turns,
        "tools": [{"name": "f", "input_schema": {"type": "object"}}]});
    let text = body.to_string();
    let mut request = anthropic::request::decode(text.as_bytes()).unwrap();
    request.marks_prompt = true;
    adapt(&mut request, target, place);
    let body = encode(&request, target, &mut Unmapped::new(OnUnmappable::Drop)).unwrap();
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    unmarked(&mut body);
    let messages = body["messages"].take().as_array().unwrap().clone();
    (body, messages)
}

/// Removes marks, and writes a single text as the list that it stands for.
fn unmarked(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.retain(|item| item.get("cachePoint").is_none());
            items.iter_mut().for_each(unmarked);
        }
        Value::Object(members) => {
            members.remove("cache_control");
            for name in ["content", "system"] {
                if let Some(text) = members.get(name).and_then(Value::as_str) {
                    let blocks = json!([{"type": "text", "text": text}]);
                    members.insert(name.to_owned(), blocks);
                }
            }
            members.values_mut().for_each(unmarked);
        }
        _ => {}
    }
}

/// A turn of the user: texts, pictures, documents, results, an instruction behind it.
fn asking(nth: usize, kinds: &[u8], note: bool) -> Vec<Value> {
    let block = |(at, kind): (usize, &u8)| match kind {
        0 => json!({"type": "text", "text": format!("question {nth}.{at}")}),
        1 => {
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "/9j/4AAQ"}})
        }
        2 => {
            json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}})
        }
        3 => json!({"type": "text", "text": " "}),
        _ => json!({"type": "tool_result", "tool_use_id": format!("t{nth}"), "content": [
            {"type": "text", "text": "22C"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        ]}),
    };
    let mut blocks: Vec<Value> = kinds.iter().enumerate().map(block).collect();
    blocks.push(json!({"type": "text", "text": "go"}));
    let mut turns = vec![json!({"role": "user", "content": blocks})];
    if note {
        turns.push(json!({"role": "system", "content": format!("note {nth}")}));
    }
    turns
}

fn answering(nth: usize, kind: u8) -> Value {
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": "tg1.test.AA=="});
    let foreign = json!({"type": "thinking", "thinking": "hm", "signature": "tg1.other.AA=="});
    let text = json!({"type": "text", "text": format!("answer {nth} ")});
    let call =
        json!({"type": "tool_use", "id": format!("t{}", nth + 1), "name": "f", "input": {"b": 1, "a": 2}});
    let blocks = match kind {
        0 => json!([text]),
        1 => json!([thought, text, call]),
        2 => json!([foreign, text, call]),
        _ => json!([call]),
    };
    json!({"role": "assistant", "content": blocks})
}

proptest! {
    #[test]
    fn a_prompt_begins_as_it_did_a_turn_ago(
        begins_with_model in any::<bool>(),
        turns in prop::collection::vec((prop::collection::vec(0_u8..5, 0..4), any::<bool>(), 0_u8..4), 1..6),
    ) {
        let places: [(ApiFormat, Place, Encode, &[&str]); 2] = [
            (ApiFormat::Anthropic, anthropic::request::PLACE, anthropic::request::encode,
                &["claude-sonnet-4-5", "claude-opus-4-8", "claude-opus-5-5", "glm-4.6"]),
            (ApiFormat::Bedrock, bedrock::request::PLACE, bedrock::request::encode,
                &["anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0", "us.deepseek.r1-v1:0",
                  "us.meta.llama3-1-70b-instruct-v1:0", "openai.gpt-oss-20b-1:0"]),
        ];
        for (format, place, encode, models) in places {
            for model in models {
                let target = target(model, format);
                let mut conversation = Vec::new();
                if begins_with_model {
                    conversation.push(answering(0, 0));
                }
                let mut before: Option<(Value, Vec<Value>)> = None;
                for (nth, (kinds, note, answer)) in turns.iter().enumerate() {
                    conversation.extend(asking(nth, kinds, *note));
                    let (rest, messages) = sent(&conversation, target, place, encode);
                    if let Some((rest_before, messages_before)) = &before {
                        prop_assert_eq!(&rest, rest_before, "{}", model);
                        prop_assert!(messages.starts_with(messages_before), "{}: {:?} {:?}", model, messages_before, messages);
                    }
                    before = Some((rest, messages));
                    conversation.push(answering(nth, *answer));
                }
            }
        }
    }
}
