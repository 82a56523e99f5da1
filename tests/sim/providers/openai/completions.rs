//! OpenAI's legacy Completions.

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::ask::{Ask, Part, Role};
use super::super::check::{Checked, Node};
use super::super::mind::{End, Said};
use super::super::{now_s, pieces};
use super::{Extras, event};

const FIELDS: [&str; 18] = [
    "model",
    "prompt",
    "suffix",
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "stream",
    "stream_options",
    "logprobs",
    "echo",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "best_of",
    "logit_bias",
    "seed",
    "user",
];

/// Most tokens of an answer when the request does not say.
const DEFAULT_MAX_TOKENS: u64 = 16;

/// Reads a request.
pub(in super::super) fn read(root: &Node<'_>) -> Checked<(Ask, Extras)> {
    root.only(&FIELDS)?;
    let prompt = root.need("prompt")?;
    let texts = prompt.text().map_or_else(|_| prompt.texts(), |text| Ok(vec![text.to_owned()]))?;
    let [text] = texts.as_slice() else { return Err(prompt.wrong("must be one text here")) };
    root.get("temperature").map(|node| node.number(0.0, 2.0)).transpose()?;
    let max_tokens = root.get("max_tokens").map_or(Ok(DEFAULT_MAX_TOKENS), |node| node.count())?;
    let mut ask = Ask { max_tokens: Some(max_tokens), ..Ask::default() };
    ask.stream = root.get("stream").map_or(Ok(false), |node| node.flag())?;
    let mut extras = Extras::default();
    if let Some(options) = root.get("stream_options") {
        extras.wants_usage = options.get("include_usage").map_or(Ok(false), |node| node.flag())?;
    }
    if let Some(stop) = root.get("stop") {
        ask.stop = stop.text().map_or_else(|_| stop.texts(), |text| Ok(vec![text.to_owned()]))?;
    }
    ask.push(Role::User, vec![Part::Text(text.clone())]);
    Ok((ask, extras))
}

/// The answer as one object.
pub(in super::super) fn whole(said: &Said, model: &str) -> Value {
    let mut answer = head(model);
    answer["choices"] = json!([choice(&said.text, json!(finish(&said.end)))]);
    answer["usage"] = usage(said);
    answer
}

/// The answer as chunks.
pub(in super::super) fn stream(said: &Said, model: &str, extras: Extras) -> Vec<Bytes> {
    let head = head(model);
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = head.clone();
        chunk["choices"] = choices;
        if extras.wants_usage {
            chunk["usage"] = usage;
        }
        event(&chunk)
    };
    let texts = pieces(&said.text).into_iter();
    let mut events: Vec<_> =
        texts.map(|piece| chunk(json!([choice(piece, Value::Null)]), Value::Null)).collect();
    events.push(chunk(json!([choice("", json!(finish(&said.end)))]), Value::Null));
    if extras.wants_usage {
        events.push(chunk(json!([]), usage(said)));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

fn head(model: &str) -> Value {
    json!({ "id": format!("cmpl-{}", Uuid::now_v7().simple()), "object": "text_completion",
        "created": now_s(), "model": model })
}

fn choice(text: &str, finish: Value) -> Value {
    json!({ "text": text, "index": 0, "logprobs": null, "finish_reason": finish })
}

fn finish(end: &End) -> &'static str {
    if *end == End::Length { "length" } else { "stop" }
}

fn usage(said: &Said) -> Value {
    let (prompt, answer) = (said.used.prompt(), said.used.answer());
    json!({ "prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer })
}
