//! Clients of each API format, as far as a session with tools needs them: what is said is added at the end of the
//! conversation, answers as they came.

use serde_json::{Value, json};

/// A one-pixel picture.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const MAX_TOKENS: u64 = 4096;
const BUDGET: u64 = 2048;

/// A call of a tool that an answer makes.
pub(super) struct Call {
    id: Value,
    name: Value,
}

/// What came of a call.
#[derive(Clone, Copy)]
pub(super) struct Outcome<'a> {
    pub(super) text: &'a str,
    pub(super) failed: bool,
}

/// A client's format, and the conversation so far.
pub(super) trait Client: Send + Sync {
    fn name(&self) -> &'static str;
    /// The path of conversations with an alias.
    fn path(&self, alias: &str) -> String;
    fn body(&self, alias: &str) -> Value;
    fn say(&mut self, text: &str, with_picture: bool);
    /// An instruction in the midst of the conversation.
    fn note(&mut self, text: &str);
    /// Adds an answer.
    fn take(&mut self, answer: &Value) -> Vec<Call>;
    fn give(&mut self, calls: &[Call], outcome: Outcome<'_>);
}

fn schema() -> Value {
    json!({ "type": "object", "properties": { "at": { "type": "string" } }, "required": ["at"] })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Chat Completions, as agents use them that keep thoughts.
pub(super) struct Chat(pub(super) Vec<Value>);

impl Chat {
    pub(super) fn new(instructions: &str) -> Self {
        Self(vec![json!({ "role": "system", "content": instructions })])
    }
}

impl Client for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn path(&self, _: &str) -> String {
        crate::support::CHAT.to_owned()
    }

    fn body(&self, alias: &str) -> Value {
        let tool = json!({ "type": "function", "function": { "name": "look", "parameters": schema() } });
        json!({ "model": alias, "messages": self.0, "tools": [tool], "reasoning_effort": "low" })
    }

    fn say(&mut self, text: &str, with_picture: bool) {
        let mut content = vec![json!({ "type": "text", "text": text })];
        if with_picture {
            let url = format!("data:image/png;base64,{PNG}");
            content.push(json!({ "type": "image_url", "image_url": { "url": url } }));
        }
        self.0.push(json!({ "role": "user", "content": content }));
    }

    fn note(&mut self, text: &str) {
        self.0.push(json!({ "role": "system", "content": text }));
    }

    fn take(&mut self, answer: &Value) -> Vec<Call> {
        let said = &answer["choices"][0]["message"];
        let mut message = json!({ "role": "assistant" });
        for name in ["content", "thinking_blocks", "tool_calls"] {
            if said.get(name).is_some() {
                message[name] = said[name].clone();
            }
        }
        self.0.push(message);
        let calls = list(&said["tool_calls"]).iter();
        calls.map(|call| Call { id: call["id"].clone(), name: call["function"]["name"].clone() }).collect()
    }

    fn give(&mut self, calls: &[Call], outcome: Outcome<'_>) {
        let result =
            |call: &Call| json!({ "role": "tool", "tool_call_id": call.id, "content": outcome.text });
        self.0.extend(calls.iter().map(result));
    }
}

/// Responses without anything kept by the provider.
pub(super) struct Responses {
    instructions: String,
    input: Vec<Value>,
}

impl Responses {
    pub(super) fn new(instructions: &str) -> Self {
        Self { instructions: instructions.to_owned(), input: Vec::new() }
    }
}

impl Client for Responses {
    fn name(&self) -> &'static str {
        "responses"
    }

    fn path(&self, _: &str) -> String {
        "/v1/responses".to_owned()
    }

    fn body(&self, alias: &str) -> Value {
        let tool = json!({ "type": "function", "name": "look", "strict": false, "parameters": schema() });
        json!({ "model": alias, "instructions": self.instructions, "input": self.input, "tools": [tool],
            "store": false, "include": ["reasoning.encrypted_content"],
            "reasoning": { "effort": "low", "summary": "auto" } })
    }

    fn say(&mut self, text: &str, with_picture: bool) {
        let mut content = vec![json!({ "type": "input_text", "text": text })];
        if with_picture {
            let url = format!("data:image/png;base64,{PNG}");
            content.push(json!({ "type": "input_image", "image_url": url, "detail": "auto" }));
        }
        self.input.push(json!({ "role": "user", "content": content }));
    }

    fn note(&mut self, text: &str) {
        self.input.push(json!({ "role": "developer", "content": text }));
    }

    fn take(&mut self, answer: &Value) -> Vec<Call> {
        let output = list(&answer["output"]);
        self.input.extend_from_slice(output);
        let calls = output.iter().filter(|item| item["type"] == "function_call");
        calls.map(|call| Call { id: call["call_id"].clone(), name: call["name"].clone() }).collect()
    }

    fn give(&mut self, calls: &[Call], outcome: Outcome<'_>) {
        let result = |call: &Call| json!({ "type": "function_call_output", "call_id": call.id, "output": outcome.text });
        self.input.extend(calls.iter().map(result));
    }
}

/// Messages with a mark behind the last words, as Anthropic's own agents set it.
pub(super) struct Messages {
    system: String,
    messages: Vec<Value>,
}

impl Messages {
    pub(super) fn new(instructions: &str) -> Self {
        Self { system: instructions.to_owned(), messages: Vec::new() }
    }
}

impl Client for Messages {
    fn name(&self) -> &'static str {
        "messages"
    }

    fn path(&self, _: &str) -> String {
        "/v1/messages".to_owned()
    }

    fn body(&self, alias: &str) -> Value {
        let mut messages = self.messages.clone();
        let last =
            messages.iter_mut().rev().find_map(|message| message["content"].as_array_mut()?.last_mut());
        if let Some(block) = last {
            block["cache_control"] = json!({ "type": "ephemeral" });
        }
        json!({ "model": alias, "max_tokens": MAX_TOKENS, "system": self.system, "messages": messages,
            "thinking": { "type": "enabled", "budget_tokens": BUDGET },
            "tools": [{ "name": "look", "input_schema": schema() }] })
    }

    fn say(&mut self, text: &str, with_picture: bool) {
        let mut content = vec![json!({ "type": "text", "text": text })];
        if with_picture {
            let source = json!({ "type": "base64", "media_type": "image/png", "data": PNG });
            content.push(json!({ "type": "image", "source": source }));
        }
        self.messages.push(json!({ "role": "user", "content": content }));
    }

    fn note(&mut self, text: &str) {
        self.messages.push(json!({ "role": "system", "content": text }));
    }

    fn take(&mut self, answer: &Value) -> Vec<Call> {
        self.messages.push(json!({ "role": "assistant", "content": answer["content"] }));
        let calls = list(&answer["content"]).iter().filter(|block| block["type"] == "tool_use");
        calls.map(|call| Call { id: call["id"].clone(), name: call["name"].clone() }).collect()
    }

    fn give(&mut self, calls: &[Call], outcome: Outcome<'_>) {
        let result = |call: &Call| {
            json!({ "type": "tool_result", "tool_use_id": call.id, "content": outcome.text,
                "is_error": outcome.failed })
        };
        let results: Vec<Value> = calls.iter().map(result).collect();
        self.messages.push(json!({ "role": "user", "content": results }));
    }
}

/// Gemini's API.
pub(super) struct Gemini {
    system: String,
    contents: Vec<Value>,
}

impl Gemini {
    pub(super) fn new(instructions: &str) -> Self {
        Self { system: instructions.to_owned(), contents: Vec::new() }
    }
}

impl Client for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn path(&self, alias: &str) -> String {
        format!("/v1beta/models/{alias}:generateContent")
    }

    fn body(&self, _: &str) -> Value {
        json!({ "contents": self.contents, "systemInstruction": { "parts": [{ "text": self.system }] },
            "tools": [{ "functionDeclarations": [{ "name": "look", "parametersJsonSchema": schema() }] }],
            "generationConfig": { "maxOutputTokens": MAX_TOKENS,
                "thinkingConfig": { "includeThoughts": true, "thinkingBudget": BUDGET } } })
    }

    fn say(&mut self, text: &str, with_picture: bool) {
        let mut parts = vec![json!({ "text": text })];
        if with_picture {
            parts.push(json!({ "inlineData": { "mimeType": "image/png", "data": PNG } }));
        }
        self.contents.push(json!({ "role": "user", "parts": parts }));
    }

    /// The API has instructions at the beginning alone: a note is words of the user.
    fn note(&mut self, text: &str) {
        self.contents.push(json!({ "role": "user", "parts": [{ "text": text }] }));
    }

    fn take(&mut self, answer: &Value) -> Vec<Call> {
        let content = &answer["candidates"][0]["content"];
        self.contents.push(content.clone());
        let calls = list(&content["parts"]).iter().filter_map(|part| part.get("functionCall"));
        calls.map(|call| Call { id: call["id"].clone(), name: call["name"].clone() }).collect()
    }

    fn give(&mut self, calls: &[Call], outcome: Outcome<'_>) {
        let key = if outcome.failed { "error" } else { "output" };
        let result = |call: &Call| {
            let mut response = json!({ "name": call.name, "response": { key: outcome.text } });
            if !call.id.is_null() {
                response["id"] = call.id.clone();
            }
            json!({ "functionResponse": response })
        };
        let results: Vec<Value> = calls.iter().map(result).collect();
        self.contents.push(json!({ "role": "user", "parts": results }));
    }
}
