//! A Responses request, read as strictly as OpenAI does.

use serde_json::{Value, json};

use super::super::super::ask::{Ask, Choice, Tool, Turn};
use super::super::super::catalogue::{Kind, Offer};
use super::super::super::check::{Checked, Node};
use super::super::request::{function, is_declared, named_schema, word_choice};
use super::{items, resume};

const FIELDS: [&str; 29] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "max_output_tokens",
    "temperature",
    "top_p",
    "stream",
    "stream_options",
    "store",
    "previous_response_id",
    "metadata",
    "include",
    "truncation",
    "user",
    "background",
    "conversation",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "max_tool_calls",
    "top_logprobs",
    "prompt",
    "context_management",
];

/// What an answer may be asked to hold besides.
const INCLUDES: [&str; 8] = [
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
];

/// Reads a request for this model that goes on after `earlier`.
pub(in super::super::super) fn read(root: &Node<'_>, offer: &Offer, earlier: &[Turn]) -> Checked<Ask> {
    root.only(&FIELDS)?;
    let mut ask = Ask::default();
    if let Some(instructions) = root.get("instructions") {
        ask.system.push(instructions.text()?.to_owned());
    }
    if let Some(most) = root.get("max_output_tokens") {
        let tokens = most.count()?;
        if tokens < 16 {
            return Err(most.wrong("must be at least 16"));
        }
        ask.max_tokens = Some(tokens);
    }
    for name in ["temperature", "top_p"] {
        let Some(node) = root.get(name) else { continue };
        node.number(0.0, 2.0)?;
        if offer.kind == Kind::Thinker && node.raw().as_f64() != Some(1.0) {
            return Err(node.wrong("is not supported with this model"));
        }
    }
    if let Some(reasoning) = root.get("reasoning") {
        reasoning.only(&["effort", "summary", "generate_summary"])?;
        if offer.kind != Kind::Thinker {
            return Err(reasoning.wrong("is not supported with this model"));
        }
        reasoning.get("summary").map(|node| node.word(&["auto", "concise", "detailed"])).transpose()?;
        let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
        let effort = reasoning.get("effort").map(|node| node.word(&efforts)).transpose()?;
        ask.thinks = effort != Some("none");
    }
    ask.stream = root.get("stream").map_or(Ok(false), |node| node.flag())?;
    for name in ["store", "background", "parallel_tool_calls"] {
        root.get(name).map(|node| node.flag()).transpose()?;
    }
    if let Some(text) = root.get("text") {
        text.only(&["format", "verbosity"])?;
        text.get("verbosity").map(|node| node.word(&["low", "medium", "high"])).transpose()?;
        ask.schema = text.get("format").map_or(Ok(None), |form| format(&form))?;
    }
    if let Some(include) = root.get("include") {
        for node in include.list()? {
            if node.word(&INCLUDES)? == INCLUDES[0] && offer.kind != Kind::Thinker {
                return Err(node.wrong("is not supported with this model"));
            }
        }
    }
    tools(root, &mut ask)?;
    items::read(&root.need("input")?, &mut ask)?;
    resume(&mut ask, earlier);
    ask.calls_are_answered().map_err(|what| root.wrong(what))?;
    Ok(ask)
}

fn format(form: &Node<'_>) -> Checked<Option<Value>> {
    match form.need("type")?.word(&["text", "json_object", "json_schema"])? {
        "text" => Ok(None),
        "json_object" => Ok(Some(json!({}))),
        _ => named_schema(form, &["type", "name", "description", "schema", "strict"]).map(Some),
    }
}

fn tools(root: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    for tool in root.get("tools").map_or(Ok(Vec::new()), |node| node.list())? {
        read_tool(&tool, ask)?;
    }
    ask.one_call = root.get("parallel_tool_calls").map_or(Ok(false), |node| node.flag().map(|flag| !flag))?;
    let Some(choice) = root.get("tool_choice") else { return Ok(()) };
    ask.choice = match choice.text() {
        Ok(_) => word_choice(&choice)?,
        Err(_) => {
            choice.only(&["type", "name"])?;
            choice.need("type")?.word(&["function", "custom"])?;
            Choice::Named(choice.need("name")?.text()?.to_owned())
        }
    };
    is_declared(&choice, ask)
}

fn read_tool(tool: &Node<'_>, ask: &mut Ask) -> Checked<()> {
    match tool.need("type")?.word(&["function", "custom", "namespace", "web_search", "tool_search"])? {
        "function" => {
            ask.tools.push(function(tool, &["type", "name", "description", "parameters", "strict"])?);
        }
        "custom" => ask.tools.push(custom(tool)?),
        "namespace" => {
            tool.only(&["type", "name", "description", "tools"])?;
            tool.need("name")?.name(64)?;
            tool.need("tools")?.filled_list()?.iter().try_for_each(|inner| read_tool(inner, ask))?;
        }
        // Tools that OpenAI runs itself: the simulated model does not use them.
        _ => {}
    }
    Ok(())
}

/// A tool that takes a text, free or after a grammar.
fn custom(tool: &Node<'_>) -> Checked<Tool> {
    tool.only(&["type", "name", "description", "format"])?;
    if let Some(format) = tool.get("format") {
        match format.need("type")?.word(&["text", "grammar"])? {
            "text" => format.only(&["type"])?,
            _ => {
                format.only(&["type", "syntax", "definition"])?;
                format.need("syntax")?.word(&["lark", "regex"])?;
                format.need("definition")?.filled()?;
            }
        }
    }
    Ok(Tool { name: tool.need("name")?.name(64)?.to_owned(), schema: json!({ "type": "string" }) })
}

#[cfg(test)]
mod tests {
    use super::super::super::super::catalogue::find;
    use super::*;

    fn verdict(input: Value) -> Result<(), String> {
        let body = json!({ "model": "gpt-5.6-sol", "input": input, "store": false });
        let read = read(&Node::root(&body), find("gpt-5.6-sol").unwrap(), &[]);
        read.map(|_| ()).map_err(|mistake| format!("{}: {}", mistake.path, mistake.what))
    }

    #[test]
    fn thoughts_come_back_with_what_followed_them_or_not_at_all() {
        let user = json!({ "role": "user", "content": "Hi" });
        let thought = json!({ "type": "reasoning", "summary": [], "encrypted_content": items::SEALED });
        let said = json!({ "type": "message", "role": "assistant",
            "content": [{ "type": "output_text", "text": "Hello" }] });
        assert_eq!(verdict(json!([user, thought, said])), Ok(()));
        let alone = verdict(json!([user, thought])).unwrap_err();
        assert!(alone.contains("without its required following item"), "{alone}");
        let parted = verdict(json!([user, thought, user])).unwrap_err();
        assert!(parted.contains("without its required following item"), "{parted}");
        let mut foreign = thought;
        foreign["encrypted_content"] = json!("EqQBCkYIBBgC");
        let foreign = verdict(json!([user, foreign, said])).unwrap_err();
        assert!(foreign.contains("could not be verified"), "{foreign}");
    }
}
