//! A session as the SDK of each client's format sends it after so many turns: words, a picture, an instruction in
//! the midst, thoughts with proofs, calls of tools (some at once, one that fails) and answers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_formats::exchange::Request;
use tollgate_formats::{FormatError, anthropic, gemini, openai_chat, openai_responses};

use super::{origin, proof};

const PICTURE_AT: usize = 3;
const NOTE_AT: usize = 5;
const FAILS_AT: usize = 7;
const PICTURE: &str = "iVBORw0KGgo=";

pub(crate) struct Client {
    pub(crate) name: &'static str,
    /// The backend's format in which its bytes pass.
    pub(crate) own: &'static str,
    /// The request of a turn.
    pub(crate) body: fn(usize) -> Value,
    pub(crate) prepare: fn(&Bytes) -> Bytes,
    pub(crate) decode: for<'a> fn(&'a [u8]) -> Result<Request<'a>, FormatError>,
}

pub(crate) const CLIENTS: [Client; 4] = [
    Client {
        name: "Chat",
        own: "Chat",
        body: chat,
        prepare: Bytes::clone,
        decode: openai_chat::request::decode,
    },
    Client {
        name: "Responses",
        own: "Responses",
        body: responses,
        prepare: Bytes::clone,
        decode: openai_responses::request::decode,
    },
    Client {
        name: "Anthropic",
        own: "Anthropic",
        body: messages,
        prepare: Bytes::clone,
        decode: anthropic::request::decode,
    },
    Client {
        name: "Gemini",
        own: "Gemini",
        body: generate,
        prepare: gemini::client::schema::in_json_schema,
        decode: |body| gemini::client::request::decode(body, true),
    },
];

/// Ids of the calls of a turn.
fn calls(turn: usize) -> Vec<String> {
    let count = if turn.is_multiple_of(3) { 2 } else { 1 };
    (0..count).map(|nth| format!("call_{turn}_{nth}")).collect()
}

fn marked(turn: usize) -> String {
    format!("tg1.{}.{}", origin(turn), proof(turn))
}

fn result(turn: usize) -> &'static str {
    if turn == FAILS_AT { "no such file" } else { "seen" }
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"at": {"type": "string"}}})
}

fn chat(turns: usize) -> Value {
    let mut messages = vec![json!({"role": "system", "content": "be brief"})];
    for turn in 0..turns {
        let mut said = vec![json!({"type": "text", "text": format!("question {turn}")})];
        if turn == PICTURE_AT {
            let url = format!("data:image/png;base64,{PICTURE}");
            said.push(json!({"type": "image_url", "image_url": {"url": url}}));
        }
        messages.push(json!({"role": "user", "content": said}));
        if turn == NOTE_AT {
            messages.push(json!({"role": "system", "content": "note"}));
        }
        if turn + 1 == turns {
            break;
        }
        let called = |id| json!({"id": id, "type": "function", "function": {"name": "look", "arguments": "{\"at\":\"a\"}"}});
        let called: Vec<_> = calls(turn).into_iter().map(called).collect();
        let thought = json!({"type": "thinking", "thinking": "hm", "signature": marked(turn)});
        messages.push(json!({"role": "assistant", "content": "looking", "thinking_blocks": [thought],
            "tool_calls": called}));
        let given = |id| json!({"role": "tool", "tool_call_id": id, "content": result(turn)});
        messages.extend(calls(turn).into_iter().map(given));
        messages.push(json!({"role": "assistant", "content": format!("answer {turn}")}));
    }
    let tool = json!({"type": "function", "function": {"name": "look", "parameters": schema()}});
    json!({"model": "alias", "messages": messages, "tools": [tool]})
}

fn responses(turns: usize) -> Value {
    let mut input = Vec::new();
    for turn in 0..turns {
        let mut said = vec![json!({"type": "input_text", "text": format!("question {turn}")})];
        if turn == PICTURE_AT {
            said.push(
                json!({"type": "input_image", "image_url": format!("data:image/png;base64,{PICTURE}")}),
            );
        }
        input.push(json!({"role": "user", "content": said}));
        if turn == NOTE_AT {
            input.push(json!({"role": "developer", "content": "note"}));
        }
        if turn + 1 == turns {
            break;
        }
        input
            .push(json!({"type": "reasoning", "id": format!("rs_{turn}"), "encrypted_content": marked(turn),
            "summary": [{"type": "summary_text", "text": "hm"}]}));
        input.push(json!({"role": "assistant", "content": [{"type": "output_text", "text": "looking"}]}));
        let called = |id| json!({"type": "function_call", "call_id": id, "name": "look", "arguments": "{\"at\":\"a\"}"});
        input.extend(calls(turn).into_iter().map(called));
        let given = |id| json!({"type": "function_call_output", "call_id": id, "output": result(turn)});
        input.extend(calls(turn).into_iter().map(given));
        let answer = json!([{"type": "output_text", "text": format!("answer {turn}")}]);
        input.push(json!({"role": "assistant", "content": answer}));
    }
    let tool = json!({"type": "function", "name": "look", "strict": false, "parameters": schema()});
    json!({"model": "alias", "instructions": "be brief", "input": input, "tools": [tool], "store": false})
}

fn messages(turns: usize) -> Value {
    let mut messages = Vec::new();
    for turn in 0..turns {
        let mut said = vec![json!({"type": "text", "text": format!("question {turn}")})];
        if turn == PICTURE_AT {
            said.push(json!({"type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}));
        }
        if turn + 1 == turns {
            // As clients mark their last words for the cache.
            said[0]["cache_control"] = json!({"type": "ephemeral"});
        }
        messages.push(json!({"role": "user", "content": said}));
        if turn == NOTE_AT {
            messages.push(json!({"role": "system", "content": "note"}));
        }
        if turn + 1 == turns {
            break;
        }
        let mut said = vec![
            json!({"type": "thinking", "thinking": "hm", "signature": marked(turn)}),
            json!({"type": "text", "text": "looking"}),
        ];
        let called = |id| json!({"type": "tool_use", "id": id, "name": "look", "input": {"at": "a"}});
        said.extend(calls(turn).into_iter().map(called));
        messages.push(json!({"role": "assistant", "content": said}));
        let given = |id| {
            json!({"type": "tool_result", "tool_use_id": id, "content": result(turn),
                "is_error": turn == FAILS_AT})
        };
        let given: Vec<_> = calls(turn).into_iter().map(given).collect();
        messages.push(json!({"role": "user", "content": given}));
        let answer = json!([{"type": "text", "text": format!("answer {turn}")}]);
        messages.push(json!({"role": "assistant", "content": answer}));
    }
    json!({"model": "alias", "max_tokens": 4096, "system": "be brief", "messages": messages,
        "tools": [{"name": "look", "input_schema": schema()}]})
}

fn generate(turns: usize) -> Value {
    let mut contents = Vec::new();
    for turn in 0..turns {
        let mut said = vec![json!({"text": format!("question {turn}")})];
        if turn == PICTURE_AT {
            said.push(json!({"inlineData": {"mimeType": "image/png", "data": PICTURE}}));
        }
        contents.push(json!({"role": "user", "parts": said}));
        if turn + 1 == turns {
            break;
        }
        let proof = BASE64_STANDARD.encode(marked(turn));
        let mut said = vec![
            json!({"text": "hm", "thought": true, "thoughtSignature": proof}),
            json!({"text": "looking"}),
        ];
        let calls = calls(turn);
        said.extend(calls.iter().map(|_| json!({"functionCall": {"name": "look", "args": {"at": "a"}}})));
        contents.push(json!({"role": "model", "parts": said}));
        let key = if turn == FAILS_AT { "error" } else { "output" };
        let given = |_| json!({"functionResponse": {"name": "look", "response": {key: result(turn)}}});
        let given: Vec<_> = calls.iter().map(given).collect();
        contents.push(json!({"role": "user", "parts": given}));
        contents.push(json!({"role": "model", "parts": [{"text": format!("answer {turn}")}]}));
    }
    json!({"contents": contents, "systemInstruction": {"parts": [{"text": "be brief"}]},
        "tools": [{"functionDeclarations": [{"name": "look"}]}]})
}
