//! What passes as it came between two formats, and what does not.

use tollgate_families::{ApiFormat, Families, Lookup};

use super::super::client::EmbedCall;
use super::*;

fn sent(client: ClientFormat, wire: Wire, body: &'static str) -> String {
    let traits = Families::built_in().resolve(&Lookup::new("gemini-3-pro", ApiFormat::Gemini));
    let target = TargetModel { name: "gemini-3-pro", origin: "a1", traits: &traits };
    let body = Bytes::from_static(body.as_bytes());
    let view = client.view(&body).unwrap();
    let way = Crossing { client, wire };
    let sent = way.request(&view, &body, target, Policy::default(), SmallVec::new(), &[]).unwrap();
    String::from_utf8(sent.body.to_vec()).unwrap()
}

#[test]
fn a_client_s_bound_has_the_word_of_the_model_where_bytes_pass() {
    let body = Bytes::from_static(br#"{"model":"alias","messages":[], "max_tokens":50,"x-new":{"a": 1}}"#);
    let told = |model: &str| {
        let traits = Families::built_in().resolve(&Lookup::new(model, ApiFormat::OpenAi));
        let target = TargetModel { name: model, origin: "a1", traits: &traits };
        let way = Crossing { client: ClientFormat::Chat, wire: Wire::Chat };
        let view = way.client.view(&body).unwrap();
        let sent = way.request(&view, &body, target, Policy::default(), SmallVec::new(), &[]).unwrap();
        String::from_utf8(sent.body.to_vec()).unwrap()
    };
    assert_eq!(
        told("gpt-5-mini"),
        r#"{"model":"gpt-5-mini","messages":[], "max_completion_tokens":50,"x-new":{"a": 1}}"#
    );
    assert_eq!(told("gpt-4o"), r#"{"model":"gpt-4o","messages":[], "max_tokens":50,"x-new":{"a": 1}}"#);
}

#[test]
fn a_label_that_only_an_agent_knows_does_not_reach_a_provider_of_the_same_format() {
    let client = ClientFormat::Responses;
    let cases = [
        (
            r#"{"model":"a","client_metadata":{"x-codex":"1"}, "input":"hi"}"#,
            r#"{"model":"gemini-3-pro", "input":"hi"}"#,
        ),
        (
            r#"{"model":"a","input":"hi","x":{"client_metadata":1}, "client_metadata" : null}"#,
            r#"{"model":"gemini-3-pro","input":"hi","x":{"client_metadata":1}}"#,
        ),
        (
            r#"{"model":"a", "input":"client_metadata"}"#,
            r#"{"model":"gemini-3-pro", "input":"client_metadata"}"#,
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(sent(client, Wire::Responses, body), expected);
    }
}

#[test]
fn gemini_s_own_models_get_the_bytes_of_its_clients_which_name_no_model() {
    let client = ClientFormat::Gemini { stream: true };
    let body = r#"{ "contents":[ {"parts":[{"text":"a", "new_field":1}]} ] }"#;
    assert_eq!(sent(client, Wire::Generate, body), body);
    let named = r#"{"model":"models/alias","contents":[]}"#;
    assert_eq!(sent(client, Wire::Generate, named), r#"{"model":"models/gemini-3-pro","contents":[]}"#);
    let embed = r#"{"content":{"parts":[{"text":"a"}]}}"#;
    assert_eq!(sent(ClientFormat::GeminiEmbeddings(EmbedCall::One), Wire::Embed, embed), embed);
    let batch = r#"{"requests":[{"model":"models/alias","content":{"parts":[{"text":"a"}]}}]}"#;
    assert_eq!(
        sent(ClientFormat::GeminiEmbeddings(EmbedCall::Batch), Wire::BatchEmbed, batch),
        batch.replace("alias", "gemini-3-pro")
    );
}
