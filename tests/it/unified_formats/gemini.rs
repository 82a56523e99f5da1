//! Gemini's API in front of every kind of backend, as its SDKs ask it.

use serde_json::{Value, json};
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::{Operation, UsageEvent};
use tollgate_tests::harness::gateway::GatewayConfig;
use tollgate_tests::harness::http::{Client, Reply};
use tollgate_tests::harness::{keys, log};
use tollgate_tests::sim::faults::{Faults, StatusFault};

use super::{bed_of_every_format, every_format, parsed};
use crate::support::{Bed, bed, usual};

/// An alias of a chat model at a backend of each format.
const ALIASES: [&str; 4] = ["gpt", "claude", "nova", "gemini"];

/// Backends of every format, with a model of OpenAI that can call tools.
async fn bed_of_strict_models() -> Bed {
    let gpt = |config: GatewayConfig| {
        every_format(config)
            .alias("gpt", "sim", "gpt-4.1-mini")
            .product("gold", &["chat", "gpt", "claude", "nova", "gemini"])
    };
    bed(Default::default(), gpt).await
}

/// A client as Google's SDK is one.
fn google(bed: &Bed) -> Client {
    bed.gateway.anyone().with("x-goog-api-key", &keys::text("checkout"))
}

fn at(alias: &str, method: &str) -> String {
    format!("/v1beta/models/{alias}:{method}")
}

fn said(text: &str) -> Value {
    json!({ "systemInstruction": { "parts": [{ "text": "Be brief." }] },
        "contents": [{ "role": "user", "parts": [{ "text": text }] }],
        "generationConfig": { "maxOutputTokens": 500 } })
}

fn parts(answer: &Value) -> &Vec<Value> {
    answer["candidates"][0]["content"]["parts"].as_array().unwrap_or_else(|| panic!("{answer}"))
}

fn text(answer: &Value) -> String {
    parts(answer).iter().filter_map(|part| part["text"].as_str()).collect()
}

fn refused(reply: &Reply, status: u16, name: &str, code: &str) {
    let error = &reply.json()["error"];
    assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
    assert_eq!((&error["code"], &error["status"]), (&json!(status), &json!(name)), "{error}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    let detail = &error["details"][0];
    assert_eq!((&detail["reason"], &detail["domain"]), (&json!(code), &json!("tollgate")), "{error}");
    assert_eq!(detail["metadata"]["request_id"], reply.header("x-request-id"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_backend_answers_whole_as_events_and_as_a_list() {
    let bed = bed_of_strict_models().await;
    let client = google(&bed);
    for alias in ALIASES {
        let body = said("How do refunds work?");
        let reply = client.post(&at(alias, "generateContent"), &body).await.unwrap();
        assert_eq!(reply.status, 200, "{alias}: {}", reply.text());
        let answer = reply.json();
        let whole = text(&answer);
        assert!(whole.contains("refunds"), "{alias}: {answer}");
        assert_eq!(answer["candidates"][0]["finishReason"], "STOP", "{alias}");
        let used = &answer["usageMetadata"];
        assert!(used["promptTokenCount"].as_u64().unwrap() > 0, "{alias}: {used}");
        if alias != "gemini" {
            assert_eq!(answer["modelVersion"], alias);
        }

        let path = format!("{}?alt=sse", at(alias, "streamGenerateContent"));
        let mut stream = client.stream(&path, &body).await.unwrap();
        assert_eq!(stream.status, 200, "{alias}");
        let events = parsed(&stream.rest().await.unwrap());
        assert_eq!(events.iter().map(text).collect::<String>(), whole, "{alias}");
        let last = events.last().unwrap();
        assert_eq!(last["candidates"][0]["finishReason"], "STOP", "{alias}: {last}");
        assert_eq!(last["usageMetadata"]["totalTokenCount"], used["totalTokenCount"], "{alias}");

        let listed = client.post(&at(alias, "streamGenerateContent"), &body).await.unwrap();
        assert!(listed.header("content-type").starts_with("application/json"), "{:?}", listed.headers);
        let items = listed.json();
        let items = items.as_array().unwrap_or_else(|| panic!("{alias}: {}", listed.text()));
        assert_eq!(items.iter().map(text).collect::<String>(), whole, "{alias}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_called_and_their_results_understood_without_ids() {
    let bed = bed_of_strict_models().await;
    let client = google(&bed);
    let weather = json!({ "name": "weather", "description": "Weather of a city",
        "parameters": { "type": "OBJECT", "properties": { "city": { "type": "STRING" } }, "required": ["city"] } });
    for alias in ALIASES {
        let mut body = said("Please use the tool for both cities.");
        body["tools"] = json!([{ "functionDeclarations": [weather] }]);
        let answer = client.post(&at(alias, "generateContent"), &body).await.unwrap().json();
        let calls: Vec<&Value> = parts(&answer).iter().filter_map(|part| part.get("functionCall")).collect();
        let cities: Vec<&Value> = calls.iter().map(|call| &call["args"]["city"]).collect();
        assert_eq!(cities, ["Lisbon", "Oslo"], "{alias}: {answer}");
        let results = ["21 degrees", "9 degrees"].map(
            |degrees| json!({ "functionResponse": { "name": "weather", "response": { "result": degrees } } }),
        );
        let contents = body["contents"].as_array_mut().unwrap();
        contents.push(answer["candidates"][0]["content"].clone());
        contents.push(json!({ "role": "user", "parts": results }));
        let answer = client.post(&at(alias, "generateContent"), &body).await.unwrap().json();
        assert_eq!(text(&answer), "The tool says: 21 degrees; 9 degrees.", "{alias}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn google_itself_gets_the_bytes_of_its_client_but_for_what_the_alias_changes() {
    let capped = |config| every_format(config).set("models.gemini.caps", json!({ "max_output_tokens": 300 }));
    let bed = bed(Default::default(), capped).await;
    let body = said("Hello");
    let sent = google(&bed).post(&at("gemini", "generateContent"), &body).await.unwrap();
    assert_eq!(sent.status, 200, "{}", sent.text());
    let seen = bed.sim.state().seen().pop().unwrap();
    assert_eq!(seen.path, "/v1beta/models/gemini-2.5-flash-lite:generateContent");
    assert_eq!(seen.body, body.to_string().replace("500", "300"));
    let cached =
        json!({ "contents": [{ "parts": [{ "text": "a" }] }], "cached_content": "cachedContents/1" });
    let reply = google(&bed).post(&at("gemini", "generateContent"), &cached).await.unwrap();
    refused(&reply, 400, "INVALID_ARGUMENT", "unbound_handle");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_shape_of_google_s_wherever_they_come_from() {
    let bed = bed_of_every_format().await;
    let client = google(&bed);
    let path = at("chat", "generateContent");
    let nobody = bed.gateway.anyone().post(&path, &said("Hello")).await.unwrap();
    refused(&nobody, 401, "UNAUTHENTICATED", "missing_api_key");
    let stranger =
        bed.gateway.anyone().with("x-goog-api-key", "wrong").post(&path, &said("Hello")).await.unwrap();
    refused(&stranger, 401, "UNAUTHENTICATED", "invalid_api_key");
    let unknown = client.post(&at("chatt", "generateContent"), &said("Hello")).await.unwrap();
    refused(&unknown, 404, "NOT_FOUND", "model_not_found");
    let wrong = client.post(&path, &json!({ "contents": 7 })).await.unwrap();
    refused(&wrong, 400, "INVALID_ARGUMENT", "invalid_body");
    let search = json!({ "contents": [{ "parts": [{ "text": "a" }] }], "tools": [{ "googleSearch": {} }] });
    let own = client.post(&path, &search).await.unwrap();
    refused(&own, 400, "INVALID_ARGUMENT", "unsupported_parameter");
    let method = client.post(&at("chat", "predict"), &said("Hello")).await.unwrap();
    refused(&method, 404, "NOT_FOUND", "unknown_url");
    let verb = client.get("/v1beta/models:generateContent").await.unwrap();
    refused(&verb, 404, "NOT_FOUND", "unknown_url");
    let content = json!({ "content": { "parts": [{ "text": "a" }] } });
    let embed = client.post(&at("claude", "embedContent"), &content).await.unwrap();
    refused(&embed, 400, "INVALID_ARGUMENT", "unsupported_operation");
    let busy = StatusFault { retry_after_s: Some(60), ..StatusFault::code(429) };
    bed.sim.state().set_fault("sim-small", Faults { status: Some(busy), ..Faults::default() });
    refused(
        &client.post(&path, &said("Hello")).await.unwrap(),
        429,
        "RESOURCE_EXHAUSTED",
        "rate_limit_exceeded",
    );
    let listed = client.post(&at("chat", "streamGenerateContent"), &said("Hello")).await.unwrap();
    assert_eq!(listed.json()[0]["error"]["status"], "RESOURCE_EXHAUSTED", "{}", listed.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_ends_with_an_error_as_an_event_and_in_a_list() {
    let bed = usual().await;
    bed.sim.state().set_fault("sim-small", Faults { reset_after_chunks: Some(2), ..Faults::default() });
    let path = format!("{}?alt=sse", at("chat", "streamGenerateContent"));
    let mut stream = google(&bed).stream(&path, &said("Hello")).await.unwrap();
    let events = parsed(&stream.rest().await.unwrap());
    assert_eq!(events.last().unwrap()["error"]["status"], "UNAVAILABLE", "{events:?}");
    let listed = google(&bed).post(&at("chat", "streamGenerateContent"), &said("Hello")).await.unwrap();
    let items = listed.json();
    assert_eq!(items.as_array().unwrap().last().unwrap()["error"]["code"], 502, "{}", listed.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_without_asking_anybody() {
    let bed = usual().await;
    let client = google(&bed);
    let count = async |body: Value| {
        let reply = client.post(&at("chat", "countTokens"), &body).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["totalTokens"].as_u64().unwrap()
    };
    let (short, long) = (count(said("Hello")).await, count(said(&"Hello there. ".repeat(100))).await);
    assert!(short > 0 && long > short + 200, "{short} {long}");
    let mut within = said("Hello");
    within["model"] = json!("models/chat");
    assert_eq!(count(json!({ "generateContentRequest": within })).await, short);
    assert_eq!(bed.sim.state().stats().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_come_back_as_vectors_in_their_order() {
    let embed = |config| every_format(config).alias("vectors", "sim", "text-embedding-3-small");
    let embed = |config| embed(config).product("gold", &["vectors", "titan", "cohere", "gemini-embed"]);
    let bed = bed(Default::default(), embed).await;
    let client = google(&bed);
    for alias in ["vectors", "titan", "cohere", "gemini-embed"] {
        let content = |text: &str| json!({ "parts": [{ "text": text }] });
        let requests: Vec<Value> = ["a ledger", "a spool"]
            .map(|text| json!({ "model": format!("models/{alias}"), "content": content(text), "taskType": "CLUSTERING" }))
            .into();
        let batch =
            client.post(&at(alias, "batchEmbedContents"), &json!({ "requests": requests })).await.unwrap();
        assert_eq!(batch.status, 200, "{alias}: {}", batch.text());
        let batch = batch.json();
        let one = json!({ "content": content("a spool") });
        let one = client.post(&at(alias, "embedContent"), &one).await.unwrap();
        assert_eq!(one.status, 200, "{alias}: {}", one.text());
        let values = &batch["embeddings"][1]["values"];
        assert!(values.as_array().is_some_and(|values| values.len() > 100), "{alias}: {batch}");
        assert_eq!(&one.json()["embedding"]["values"], values, "{alias}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_have_google_s_shape_and_come_in_pages() {
    let bed = usual().await;
    let client = google(&bed);
    for base in ["/v1beta", "/v1"] {
        let list = client.get(&format!("{base}/models?pageSize=1")).await.unwrap().json();
        assert_eq!(
            (&list["models"][0]["name"], &list["nextPageToken"]),
            (&json!("models/chat"), &json!("chat"))
        );
        let next = client.get(&format!("{base}/models?pageToken=chat")).await.unwrap().json();
        assert_eq!((&next["models"][0]["name"], next.get("nextPageToken")), (&json!("models/large"), None));
        let one = client.get(&format!("{base}/models/chat")).await.unwrap().json();
        assert_eq!((&one["name"], &one["displayName"]), (&json!("models/chat"), &json!("chat")));
        refused(
            &client.get(&format!("{base}/models/none")).await.unwrap(),
            404,
            "NOT_FOUND",
            "model_not_found",
        );
    }
    let openai = bed.gateway.client("checkout").get("/v1/models").await.unwrap().json();
    assert_eq!(openai["object"], "list", "other clients see their own shape");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_query_is_taken_and_goes_nowhere() {
    let talkative = |config| every_format(config).set("telemetry.log", json!("trace"));
    let mut bed = bed(Default::default(), talkative).await;
    let key = keys::text("checkout");
    let anyone = bed.gateway.anyone();
    for alias in ["gemini", "chat"] {
        for method in ["generateContent", "countTokens"] {
            let path = format!("{}?key={key}", at(alias, method));
            let reply = anyone.post(&path, &said("Hello")).await.unwrap();
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
        let path = format!("{}?alt=sse&key={key}", at(alias, "streamGenerateContent"));
        let mut stream = anyone.stream(&path, &said("Hello")).await.unwrap();
        assert!(!stream.rest().await.unwrap().is_empty());
    }
    let listed = anyone.get(&format!("/v1beta/models?key={key}")).await.unwrap();
    assert_eq!(listed.status, 200, "{}", listed.text());
    let chat = anyone.post(&format!("/v1/chat/completions?key={key}"), &json!({})).await.unwrap();
    assert_eq!(chat.status, 401, "no other format has its key there");
    for request in bed.sim.state().seen() {
        assert!(!format!("{request:?}").contains(&key), "{request:?}");
    }
    let said = bed.gateway.service().process().log().tail(usize::MAX);
    assert!(!said.is_empty());
    assert!(!said.contains(&key), "the key is in the log");
    bed.gateway.stop().await.unwrap();
    assert!(holding(bed.folder.path(), &key).is_empty());
    let path = bed.folder.path().join("gateway/log");
    let records = tokio::task::spawn_blocking(move || log::usage(&path).unwrap()).await.unwrap();
    // Counts that a provider is asked for have rows of their own.
    let rows = records.rows().into_iter().filter(|row: &&UsageEvent| row.call.operation == Operation::Chat);
    let rows: Vec<&UsageEvent> = rows.collect();
    assert_eq!(rows.len(), 4);
    for row in rows {
        assert_eq!(&*row.call.api_format, "gemini.generate_content");
        assert!(row.lines.iter().any(|line| line.class == TokenClass::Input), "{row:?}");
    }
}

/// Files below a folder that hold a text, the configuration apart.
fn holding(folder: &std::path::Path, text: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if std::fs::read(&path)
            .is_ok_and(|bytes| memchr::memmem::find(&bytes, text.as_bytes()).is_some())
        {
            found.push(path);
        }
    }
    found
}
