//! OpenAI Responses in front of backends that have only other APIs.

use serde_json::{Value, json};

use super::{bed_of_every_format, every_format, parsed};
use crate::support::{bed, refused, usual};

const PATH: &str = "/v1/responses";

fn response(input: &str) -> Value {
    json!({ "model": "chat", "instructions": "Be brief.", "input": input, "store": false })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_answered_as_openai_does() {
    let bed = usual().await;
    let reply = bed.gateway.client("checkout").post(PATH, &response("How do refunds work?")).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    assert_eq!((&body["object"], &body["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(body["model"], "chat");
    let message = body["output"].as_array().unwrap().iter().find(|item| item["type"] == "message").unwrap();
    assert_eq!(message["content"][0]["type"], "output_text");
    assert!(message["content"][0]["text"].as_str().unwrap().contains("refunds"), "{body}");
    assert!(body["usage"]["output_tokens"].as_u64().unwrap() > 0);
    let seen = bed.sim.state().seen().pop().unwrap();
    assert_eq!(seen.path, "/v1/chat/completions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_with_created_and_ends_with_completed() {
    let bed = usual().await;
    let client = bed.gateway.client("checkout");
    let plain = client.post(PATH, &response("What is a spool?")).await.unwrap().json();
    let mut body = response("What is a spool?");
    body["stream"] = json!(true);
    let mut stream = client.stream(PATH, &body).await.unwrap();
    let events = parsed(&stream.rest().await.unwrap());
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    assert_eq!(events[0]["type"], "response.created");
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
    let text: String = deltas.map(|event| event["delta"].as_str().unwrap()).collect();
    let message =
        |body: &Value| body["output"].as_array().unwrap().last().unwrap()["content"][0]["text"].clone();
    assert_eq!(message(&last["response"]), text);
    assert_eq!(message(&plain), text);
    assert_eq!(last["response"]["usage"], plain["usage"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_keeps_cannot_be_continued_or_read() {
    let bed = usual().await;
    let client = bed.gateway.client("checkout");
    let first = client.post(PATH, &response("Hello")).await.unwrap().json();
    let id = first["id"].as_str().unwrap();
    for id in [id, "resp_68a1", "nonsense"] {
        let mut next = response("And then?");
        next["previous_response_id"] = json!(id);
        refused(&client.post(PATH, &next).await.unwrap(), 404, "response_not_found");
        refused(&client.get(&format!("{PATH}/{id}")).await.unwrap(), 404, "response_not_found");
    }
    assert_eq!(bed.sim.state().stats().requests, 1, "only the first one was asked of the backend");
}

/// What a coding agent sends: tools in a namespace, with free text, found by a search of its own, and hints.
fn agent(alias: &str) -> Value {
    let nothing = json!({ "type": "object", "properties": {} });
    json!({ "model": alias, "instructions": "You are an agent.", "store": false, "tool_choice": "auto",
        "parallel_tool_calls": true, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "thread",
        "client_metadata": { "session": "1" }, "text": { "verbosity": "low" },
        "input": [{ "type": "message", "role": "user",
            "content": [{ "type": "input_text", "text": "Please use the tool." }] }],
        "tools": [
            { "type": "namespace", "name": "mcp__notes", "description": "Notes.",
                "tools": [{ "type": "function", "name": "read", "parameters": nothing }] },
            { "type": "custom", "name": "apply_patch", "format": { "type": "text" } },
            { "type": "tool_search", "execution": "client", "description": "Finds.", "parameters": nothing },
            { "type": "web_search" },
        ] })
}

/// The items of an answer, after adding them and what the tool gave to the request.
fn go_on(body: &mut Value, answer: &Value, kind: &str) -> Vec<Value> {
    let items = answer["output"].as_array().unwrap().clone();
    let call = items.iter().find(|item| item["call_id"].is_string()).unwrap_or_else(|| panic!("{answer}"));
    let output = json!({ "type": kind, "call_id": call["call_id"], "output": "milk" });
    let input = body["input"].as_array_mut().unwrap();
    input.extend(items.clone());
    input.push(output);
    items
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coding_agent_works_with_its_tools_on_every_backend_by_default() {
    let aliases = ["mini", "claude", "nova", "gemini"];
    let config = |config| every_format(config).alias("mini", "sim", "gpt-4.1-mini").product("gold", &aliases);
    let bed = bed(Default::default(), config).await;
    let client = bed.gateway.client("checkout");
    for alias in aliases {
        let mut body = agent(alias);
        let reply = client.post(PATH, &body).await.unwrap();
        assert_eq!(reply.status, 200, "{alias}: {}", reply.text());
        assert!(reply.header("x-tollgate-dropped-parameters").contains("tools[web_search]"), "{alias}");
        let items = go_on(&mut body, &reply.json(), "function_call_output");
        let call = items.last().unwrap();
        assert_eq!(
            (&call["type"], &call["namespace"], &call["name"]),
            (&json!("function_call"), &json!("mcp__notes"), &json!("read")),
            "{alias}: {call}"
        );
        let reply = client.post(PATH, &body).await.unwrap();
        assert!(reply.text().contains("milk"), "{alias}: {}", reply.text());

        let mut body = agent(alias);
        body["tool_choice"] = json!({ "type": "custom", "name": "apply_patch" });
        let answer = client.post(PATH, &body).await.unwrap().json();
        let items = go_on(&mut body, &answer, "custom_tool_call_output");
        let call = items.last().unwrap();
        assert_eq!(call["type"], "custom_tool_call", "{alias}: {call}");
        assert!(!call["input"].as_str().unwrap().contains('{'), "{alias}: {call}");
        body["tool_choice"] = json!("auto");
        let reply = client.post(PATH, &body).await.unwrap();
        assert!(reply.text().contains("milk"), "{alias}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thoughts_of_claude_go_on_through_the_items_of_an_agent() {
    let bed = bed_of_every_format().await;
    let client = bed.gateway.client("checkout");
    let mut body = agent("claude");
    body["reasoning"] = json!({ "effort": "low", "summary": "auto" });
    let first = client.post(PATH, &body).await.unwrap().json();
    let items = go_on(&mut body, &first, "function_call_output");
    assert_eq!(items[0]["type"], "reasoning", "{first}");
    assert!(items[0]["encrypted_content"].as_str().unwrap().starts_with("tg1."), "{first}");
    let reply = client.post(PATH, &body).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(!reply.header("x-tollgate-dropped-parameters").contains("reasoning"), "{}", reply.text());
    let sent: Value = serde_json::from_str(&bed.sim.state().seen().pop().unwrap().body).unwrap();
    assert_eq!(sent["thinking"]["type"], "enabled", "{sent}");
    assert_eq!(sent["messages"][1]["content"][0]["type"], "thinking", "{sent}");
}
