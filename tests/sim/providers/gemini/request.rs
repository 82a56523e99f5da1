//! A generateContent request, read as strictly as Google does.

use serde_json::{Value, json};

use super::super::ask::{Ask, Choice, Part, Role, Tool};
use super::super::catalogue::{Kind, Offer};
use super::super::check::{Checked, Node};

const FIELDS: [&str; 8] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "safetySettings",
    "cachedContent",
    "serviceTier",
];
const CONFIG: [&str; 16] = [
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "stopSequences",
    "seed",
    "frequencyPenalty",
    "presencePenalty",
    "responseLogprobs",
    "logprobs",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "candidateCount",
    "thinkingConfig",
    "responseModalities",
];

/// Reads a request for this model.
pub(in super::super) fn read(root: &Node<'_>, offer: &Offer) -> Checked<Ask> {
    root.only(&FIELDS)?;
    let mut ask = Ask::default();
    if let Some(system) = root.get("systemInstruction") {
        system.only(&["parts", "role"])?;
        for part in system.need("parts")?.filled_list()? {
            ask.system.push(part.need("text")?.filled()?.to_owned());
        }
    }
    if let Some(config) = root.get("generationConfig") {
        generation(&config, offer, &mut ask)?;
    }
    tools(root, &mut ask)?;
    if ask.schema.is_some() && !ask.tools.is_empty() {
        return Err(root.wrong("asks for function calling with a JSON response, which is unsupported"));
    }
    contents(&root.need("contents")?, &mut ask)?;
    Ok(ask)
}

fn generation(config: &Node<'_>, offer: &Offer, ask: &mut Ask) -> Checked<()> {
    config.only(&CONFIG)?;
    ask.max_tokens = config.get("maxOutputTokens").map(|node| node.count()).transpose()?;
    config.get("temperature").map(|node| node.number(0.0, 2.0)).transpose()?;
    config.get("topP").map(|node| node.number(0.0, 1.0)).transpose()?;
    config.get("topK").map(|node| node.count()).transpose()?;
    config.get("seed").map(|node| node.number(f64::from(i32::MIN), f64::from(i32::MAX))).transpose()?;
    if let Some(stop) = config.get("stopSequences") {
        ask.stop = stop.texts()?;
        if ask.stop.len() > 5 {
            return Err(stop.wrong("must have at most 5 elements"));
        }
    }
    let wants_json = match config.get("responseMimeType") {
        None => false,
        Some(kind) => kind.word(&["application/json", "text/plain"])? == "application/json",
    };
    let own = config.get("responseSchema").map(|schema| in_small_letters(schema.raw()));
    let schema = config.get("responseJsonSchema").or_else(|| config.get("responseSchema"));
    if let Some(schema) = &schema {
        schema.object()?;
        if !wants_json {
            return Err(schema.wrong("is only supported with a JSON response mime type"));
        }
    }
    let schema = config.get("responseJsonSchema").map(|schema| schema.raw().clone()).or(own);
    ask.schema = wants_json.then(|| schema.unwrap_or_else(|| json!({})));
    if let Some(thinking) = config.get("thinkingConfig") {
        if offer.kind != Kind::Thinker {
            return Err(thinking.wrong("is not supported by this model"));
        }
        thinking.only(&["includeThoughts", "thinkingBudget"])?;
        let shows = thinking.get("includeThoughts").map_or(Ok(false), |node| node.flag())?;
        let budget = thinking.get("thinkingBudget").map(|node| node.number(-1.0, 24_576.0)).transpose()?;
        ask.thinks = budget != Some(0.0);
        ask.hides_thoughts = !shows;
    }
    Ok(())
}

fn tools(root: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    for tool in root.get("tools").map_or(Ok(Vec::new()), |node| node.list())? {
        tool.only(&["functionDeclarations"])?;
        for function in tool.need("functionDeclarations")?.filled_list()? {
            function.only(&[
                "name",
                "description",
                "parameters",
                "parametersJsonSchema",
                "response",
                "responseJsonSchema",
            ])?;
            function.get("description").map(|node| node.text()).transpose()?;
            let schema = function.get("parametersJsonSchema").or_else(|| function.get("parameters"));
            let schema = schema.map_or(Ok(json!({})), |schema| schema.object().map(in_small_letters))?;
            ask.tools.push(Tool { name: function.need("name")?.name(64)?.to_owned(), schema });
        }
    }
    let Some(config) = root.get("toolConfig") else { return Ok(()) };
    config.only(&["functionCallingConfig"])?;
    let config = config.need("functionCallingConfig")?;
    config.only(&["mode", "allowedFunctionNames"])?;
    let names = config.get("allowedFunctionNames").map_or(Ok(Vec::new()), |node| node.texts())?;
    ask.choice = match config.need("mode")?.word(&["AUTO", "ANY", "NONE", "VALIDATED"])? {
        "ANY" => names.first().map_or(Choice::Any, |name| Choice::Named(name.clone())),
        "NONE" => Choice::None,
        _ => Choice::Auto,
    };
    match &ask.choice {
        Choice::Named(name) if !ask.tools.iter().any(|tool| tool.name == *name) => {
            Err(config.wrong(format!("allows the function {name}, which is not declared")))
        }
        _ => Ok(()),
    }
}

/// A schema in the words of OpenAPI, whose types are in capitals, as JSON Schema.
fn in_small_letters(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let value = match value.as_str().filter(|_| name == "type") {
                    Some(kind) => json!(kind.to_ascii_lowercase()),
                    None => in_small_letters(value),
                };
                (name.clone(), value)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(in_small_letters).collect()),
        other => other.clone(),
    }
}

/// Calls have no ids that must be used, so results are matched by name, in order.
fn contents(contents: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    let mut open: Vec<(String, String)> = Vec::new();
    let mut calls = 0;
    for content in contents.filled_list()? {
        content.only(&["role", "parts"])?;
        let role =
            match content.get("role").map_or(Ok("user"), |role| role.word(&["user", "model", "function"]))? {
                "model" => Role::Model,
                _ => Role::User,
            };
        let mut parts = Vec::new();
        let mut called = Vec::new();
        for node in content.need("parts")?.filled_list()? {
            let part = part(&node, role, &mut open, &mut calls)?;
            if let Part::Call { id, name } = &part {
                called.push((name.clone(), id.clone()));
            }
            parts.push(part);
        }
        open.extend(called);
        ask.push(role, parts);
    }
    let what = "the number of function response parts must equal that of the function call parts before them";
    ask.calls_are_answered().map_err(|reason| contents.wrong(format!("{what}: {reason}")))
}

fn part(node: &Node<'_>, role: Role, open: &mut Vec<(String, String)>, calls: &mut usize) -> Checked<Part> {
    node.only(&[
        "text",
        "thought",
        "thoughtSignature",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
    ])?;
    node.get("thoughtSignature").map(|proof| proof.text()).transpose()?;
    match node.one_of(&["text", "inlineData", "fileData", "functionCall", "functionResponse"])? {
        ("text", _) if node.get("thought").map_or(Ok(false), |flag| flag.flag())? => Ok(Part::Thought),
        ("text", text) => Ok(Part::Text(text.text()?.to_owned())),
        ("inlineData", data) => {
            data.only(&["mimeType", "data", "displayName"])?;
            let bytes = data.need("data")?.base64()?;
            match data.need("mimeType")?.text()? {
                kind if kind.starts_with("image/") => Ok(Part::Image(bytes)),
                _ => Ok(Part::File(bytes)),
            }
        }
        ("fileData", data) => {
            data.only(&["mimeType", "fileUri", "displayName"])?;
            data.need("fileUri")?.filled().map(|_| Part::Image(0))
        }
        ("functionCall", call) if role == Role::Model => {
            call.only(&["id", "name", "args"])?;
            call.get("args").map(|args| args.object()).transpose()?;
            *calls += 1;
            let id = call.get("id").map_or(Ok(format!("#{calls}")), |id| id.text().map(str::to_owned))?;
            Ok(Part::Call { id, name: call.need("name")?.filled()?.to_owned() })
        }
        ("functionResponse", result) if role == Role::User => {
            result.only(&["id", "name", "response", "parts", "willContinue", "scheduling"])?;
            let name = result.need("name")?;
            let wanted = name.filled()?;
            let at = open.iter().position(|(name, _)| name == wanted);
            let at = at.ok_or_else(|| name.wrong("names no function that was called"))?;
            let (_, id) = open.remove(at);
            Ok(Part::Result { id, text: told(result.need("response")?.object()?) })
        }
        (kind, _) => Err(node.wrong(format!("{kind} has no place in this role"))),
    }
}

/// A result as text: of an object with nothing but a text, the text.
fn told(response: &Value) -> String {
    let fields = response.as_object().into_iter().flatten();
    match fields.collect::<Vec<_>>().as_slice() {
        [(_, Value::String(text))] => text.clone(),
        _ => response.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::catalogue::find;
    use super::*;

    fn mistake(body: &Value) -> String {
        let mistake = read(&Node::root(body), find("gemini-2.5-flash").unwrap()).unwrap_err();
        format!("{}: {}", mistake.path, mistake.what)
    }

    #[test]
    fn what_the_api_refuses_is_refused() {
        let user = json!({ "role": "user", "parts": [{ "text": "Hi" }] });
        let system = json!({ "contents": [{ "role": "system", "parts": [{ "text": "Hi" }] }] });
        assert!(mistake(&system).starts_with("contents.0.role"));
        assert!(mistake(&json!({ "contents": [user], "model": "m" })).starts_with("model: is no known"));
        let two = json!({ "contents": [{ "parts": [{ "text": "a", "functionCall": { "name": "f" } }] }] });
        assert!(mistake(&two).contains("only one of"));
        let call = json!({ "role": "model", "parts": [{ "functionCall": { "name": "f" } }] });
        assert!(mistake(&json!({ "contents": [user, call] })).contains("number of function response"));
        let result = json!({ "parts": [{ "functionResponse": { "name": "g", "response": {} } }] });
        assert!(
            mistake(&json!({ "contents": [user, call, result] })).contains("no function that was called")
        );
    }
}
