//! Requests on their way to a backend.

use tollgate_families::{ApiFormat, Families, Lookup};

use super::*;

fn sent(client: ClientFormat, wire: Wire, body: &'static str, policy: Policy) -> String {
    let format = if wire == Wire::Converse { ApiFormat::Bedrock } else { ApiFormat::Anthropic };
    let name = "anthropic.claude-sonnet-4-5-20250929-v1:0";
    let traits = Families::built_in().resolve(&Lookup::new(name, format));
    let target = TargetModel { name, origin: "a1", traits: &traits };
    let body = Bytes::from_static(body.as_bytes());
    let view = client.view(&body).unwrap();
    let outgoing =
        Crossing { client, wire }.request(&view, &body, target, policy, SmallVec::new(), &[]).unwrap();
    String::from_utf8(outgoing.body.to_vec()).unwrap()
}

#[test]
fn thoughts_of_other_models_do_not_pass_with_the_bytes() {
    let body = r#"{"model":"m", "max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""}, {"type":"thinking","thinking":"","signature":"tg1.b2.AA"},{"type":"text","text":"b"}]},{"role":"user","content":"c"}]}"#;
    assert_eq!(
        sent(ClientFormat::Messages, Wire::Messages, body, Policy::default()),
        r#"{"model":"anthropic.claude-sonnet-4-5-20250929-v1:0", "max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"}]},{"role":"user","content":"c"}]}"#
    );
}

#[test]
fn a_translated_prompt_is_marked_for_the_cache_where_the_alias_says_so() {
    let body =
        r#"{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"a"}]}"#;
    let marked = |wire, marks_prompt| {
        let policy = Policy { marks_prompt, ..Policy::default() };
        let sent = sent(ClientFormat::Chat, wire, body, policy);
        sent.matches("cachePoint").count() + sent.matches("cache_control").count()
    };
    assert_eq!((marked(Wire::Converse, true), marked(Wire::Messages, true)), (2, 2));
    assert_eq!((marked(Wire::Converse, false), marked(Wire::Messages, false)), (0, 0));
}
