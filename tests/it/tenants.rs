//! Tenants that share a provider's account never meet in what the provider keeps: no answer, conversation, file or
//! other object of one is read, written or continued by another.

use http::Method;
use serde_json::{Value, json};
use tollgate_tests::harness::gateway::{GatewayConfig, Subscriber};
use tollgate_tests::harness::http::Client;

use crate::support::{Bed, bed, refused};

const RESPONSES: &str = "/v1/responses";

/// Tenants acme (`checkout`) and globex (`rival`) behind one account that keeps responses.
async fn shared(change: impl FnOnce(GatewayConfig) -> GatewayConfig) -> Bed {
    bed(Default::default(), |config| {
        change(
            config
                .set("backends.sim.serves_responses", json!(true))
                .alias("gpt", "sim", "gpt-4.1-mini")
                .product("kept", &["gpt"])
                .subscription(&subscriber("checkout", "acme"))
                .subscription(&subscriber("rival", "globex")),
        )
    })
    .await
}

fn subscriber<'a>(name: &'a str, tenant: &'a str) -> Subscriber<'a> {
    Subscriber { name, product: "kept", tenant, cost_center: "1", team: name }
}

fn asked(fields: Value) -> Value {
    let mut body = json!({ "model": "gpt", "input": "Hello" });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn stored(client: &Client, input: &str) -> String {
    let reply = client.post(RESPONSES, &asked(json!({ "input": input }))).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_leads_to_another_tenants_response() {
    let bed = shared(|config| config).await;
    let (owner, rival) = (bed.gateway.client("checkout"), bed.gateway.client("rival"));
    let id = stored(&owner, "Our secret is 4711.").await;
    let at = format!("{RESPONSES}/{id}");
    let seen = bed.sim.state().seen().len();
    for (method, path) in [
        (Method::GET, at.clone()),
        (Method::GET, format!("{at}/input_items")),
        (Method::POST, format!("{at}/cancel")),
        (Method::DELETE, at.clone()),
    ] {
        let reply = rival.send(method, &path, Default::default()).await.unwrap();
        refused(&reply, 404, "response_not_found");
    }
    for stream in [false, true] {
        let body = asked(json!({ "previous_response_id": id, "stream": stream }));
        refused(&rival.post(RESPONSES, &body).await.unwrap(), 404, "response_not_found");
    }
    assert_eq!(bed.sim.state().seen().len(), seen, "the provider was asked");

    let again = owner.get(&at).await.unwrap();
    assert_eq!((again.status.as_u16(), again.json()["id"].as_str()), (200, Some(&*id)));
    let body = asked(json!({ "previous_response_id": id }));
    let continued = owner.post(RESPONSES, &body).await.unwrap();
    assert_eq!(continued.json()["previous_response_id"], json!(id), "{}", continued.text());
    assert_ne!(continued.json()["id"], json!(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_in_a_text_is_never_made_into_one_that_opens() {
    let bed = shared(|config| config).await;
    let (owner, rival) = (bed.gateway.client("checkout"), bed.gateway.client("rival"));
    let id = stored(&owner, "Our secret is 4711.").await;
    owner.get(&format!("{RESPONSES}/{id}")).await.unwrap();
    // What the provider calls it, as if it had leaked.
    let path = bed.sim.state().seen().pop().unwrap().path;
    let raw = path.rsplit('/').next().unwrap().to_owned();
    assert!(raw.starts_with("resp_") && !id.contains(&raw), "{raw}");

    let own = stored(&rival, &raw).await;
    let mut said = String::new();
    for path in [format!("{RESPONSES}/{own}"), format!("{RESPONSES}/{own}/input_items")] {
        let reply = rival.get(&path).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        said.push_str(&reply.text());
    }
    assert!(said.contains(&raw), "the text stays as it was: {said}");
    let shown: Vec<&str> = said.split('"').filter(|text| text.starts_with("resp_")).collect();
    assert!(shown.contains(&&*own), "{said}");
    for other in shown.into_iter().filter(|text| *text != own) {
        let reply = rival.get(&format!("{RESPONSES}/{other}")).await.unwrap();
        refused(&reply, 404, "response_not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_handle_of_a_request_reaches_an_account_that_tenants_share() {
    let bed = shared(|config| config).await;
    let content = |part: Value| json!({ "input": [{ "role": "user", "content": [part] }] });
    let tool = |tool: Value| json!({ "tools": [tool] });
    let handles = [
        ("conversation", json!({ "conversation": "conv_1" })),
        ("conversation", json!({ "conversation": { "id": "conv_1" } })),
        ("prompt.id", json!({ "prompt": { "id": "pmpt_1" } })),
        ("input[0].id", json!({ "input": [{ "type": "item_reference", "id": "msg_1" }] })),
        ("input[0].id", json!({ "input": [{ "id": "msg_1" }] })),
        ("input[0].id", json!({ "input": [{ "type": "reasoning", "id": "rs_1", "summary": [] }] })),
        ("input[0].id", json!({ "input": [{ "type": "image_generation_call", "id": "ig_1" }] })),
        ("input[0].content[0].file_id", content(json!({ "type": "input_file", "file_id": "file_1" }))),
        ("input[0].content[0].file_id", content(json!({ "type": "input_image", "file_id": "file_1" }))),
        ("tools[0].vector_store_ids", tool(json!({ "type": "file_search", "vector_store_ids": ["vs_1"] }))),
        ("tools[0].container", tool(json!({ "type": "code_interpreter", "container": "cntr_1" }))),
        (
            "tools[0].container.file_ids",
            tool(
                json!({ "type": "code_interpreter", "container": { "type": "auto", "file_ids": ["file_1"] } }),
            ),
        ),
    ];
    for who in ["checkout", "rival"] {
        let client = bed.gateway.client(who);
        for (field, handle) in &handles {
            for stream in [false, true] {
                let mut body = asked(handle.clone());
                body["stream"] = json!(stream);
                let reply = client.post(RESPONSES, &body).await.unwrap();
                refused(&reply, 400, "unbound_handle");
                assert_eq!(reply.json()["error"]["param"], json!(field), "{}", reply.text());
            }
        }
    }
    assert_eq!(bed.sim.state().seen().len(), 0, "the provider was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_an_account_of_its_own_may_refer_to_what_is_in_it() {
    let bed = bed(Default::default(), |config| {
        config
            .set("backends.sim.serves_responses", json!(true))
            .set("backends.sim.tenant", json!("acme"))
            .alias("gpt", "sim", "gpt-4.1-mini")
            .product("kept", &["gpt"])
            .subscription(&subscriber("checkout", "acme"))
    })
    .await;
    let client = bed.gateway.client("checkout");
    let thought = json!({ "type": "reasoning", "id": "rs_1", "summary": [] });
    let said = json!({ "type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
        "content": [{ "type": "output_text", "text": "Well.", "annotations": [] }] });
    let input = json!([thought, said, { "role": "user", "content": "Go on." }]);
    let reply = client.post(RESPONSES, &asked(json!({ "input": input }))).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen: Value = serde_json::from_str(&bed.sim.state().seen().pop().unwrap().body).unwrap();
    assert_eq!(seen["input"], input);
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotency_keys_of_tenants_never_meet_at_the_provider() {
    let bed = shared(|config| config).await;
    for who in ["checkout", "rival", "checkout"] {
        let client = bed.gateway.client(who).with("idempotency-key", "order-1");
        let reply = client.post(RESPONSES, &asked(json!({}))).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let keys: Vec<String> = bed
        .sim
        .state()
        .seen()
        .iter()
        .flat_map(|seen| seen.headers.iter().filter(|(name, _)| name == "idempotency-key"))
        .map(|(_, value)| value.clone())
        .collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert!(keys[0] == keys[2] && keys[0] != keys[1], "{keys:?}");
    assert!(!keys.iter().any(|key| key.contains("order-1")), "{keys:?}");
}
