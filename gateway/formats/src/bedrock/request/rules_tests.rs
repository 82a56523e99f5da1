//! What follows from a model's family: betas, documents, results, strict tools, sampling, forms of answers.

use tollgate_families::ApiFormat;

use super::*;
use crate::exchange::{Media, OutputForm, Part, Source, Tool, ToolCall, ToolResult, Turn, TurnRole};
use crate::testing::target;
use crate::unmapped::OnUnmappable;

const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "amazon.nova-pro-v1:0";
const QWEN: &str = "qwen.qwen3-235b-a22b-2507-v1:0";

fn asking(parts: Vec<Part<'static>>) -> Request<'static> {
    Request { turns: vec![Turn { role: TurnRole::User, name: None, parts }], ..Request::default() }
}

fn named(request: &Request<'_>, model: &str) -> (String, Vec<String>) {
    let mut unmapped = Unmapped::new(OnUnmappable::Drop);
    let body = encode(request, target(model, ApiFormat::Bedrock), &mut unmapped).unwrap();
    let dropped = unmapped.dropped().iter().map(|name| name.clone().into_owned()).collect();
    (String::from_utf8(body).unwrap(), dropped)
}

fn document(kind: &'static str) -> Part<'static> {
    let media = Media { media_type: kind.into(), source: Source::Base64("aGk=".into()), cache: None };
    Part::Document { media, name: None }
}

fn picture() -> Part<'static> {
    Part::Image(crate::exchange::Image {
        media_type: "image/png".into(),
        source: Source::Base64("/9j/4AAQ".into()),
        detail: None,
        cache: None,
    })
}

#[test]
fn betas_that_bedrock_knows_stand_among_the_fields_of_claude() {
    let mut request = asking(vec![Part::text("hi")]);
    request.betas = vec!["context-1m-2025-08-07".into(), "claude-code-20250219".into()];
    let (body, dropped) = named(&request, CLAUDE);
    assert!(body.contains(r#"{"anthropic_beta":["context-1m-2025-08-07"]}"#), "{body}");
    assert_eq!(dropped, ["anthropic-beta"]);
    let (body, _) = named(&request, NOVA);
    assert!(!body.contains("beta"), "{body}");
}

#[test]
fn documents_have_a_text_beside_them_and_are_at_most_five() {
    let (body, _) = named(&asking(vec![document("text/x-python")]), NOVA);
    assert!(body.contains(r#""format":"txt""#), "{body}");
    assert!(body.contains(r#"{"text":"The documents are attached."}]"#), "{body}");
    let (body, dropped) = named(&asking((0..7).map(|_| document("application/pdf")).collect()), NOVA);
    assert_eq!(body.matches("\"document\"").count(), 5 + 1, "one name is `document`");
    assert_eq!(dropped, ["messages[].content[].file"]);
    let (body, dropped) =
        named(&asking(vec![document("application/pdf"), Part::text("hi")]), "amazon.nova-micro-v1:0");
    assert!(!body.contains("document\""), "{body}");
    assert_eq!(dropped, ["messages[].content[].file"]);
}

#[test]
fn a_picture_in_a_result_stands_behind_it_where_results_hold_none() {
    let call = Part::ToolCall(ToolCall { id: "1".into(), name: "f".into(), arguments: "{}".into() });
    let result = Part::ToolResult(ToolResult {
        call_id: "1".into(),
        parts: vec![Part::text("see"), picture()],
        json: None,
        is_error: false,
        cache: None,
    });
    let mut request = asking(vec![Part::text("go")]);
    request.turns.push(Turn { role: TurnRole::Assistant, name: None, parts: vec![call] });
    request.turns.push(Turn { role: TurnRole::User, name: None, parts: vec![result] });
    let image = r#"{"image":{"format":"jpeg","source":{"bytes":"/9j/4AAQ"}}}"#;
    let within = format!(r#""content":[{{"text":"see"}},{image}]}}}}]"#);
    assert!(named(&request, CLAUDE).0.contains(&within));
    let behind = format!(r#""content":[{{"text":"see"}}]}}}},{image}]"#);
    let (body, _) = named(&request, QWEN);
    assert!(body.contains(&behind), "{body}");
    let (body, _) = named(&request, "us.deepseek.r1-v1:0");
    assert!(body.contains(r#"{"text":"Called the tool f with {}"}"#) && !body.contains("toolUse"), "{body}");
}

#[test]
fn strict_is_told_to_those_who_take_it() {
    let mut request = asking(vec![Part::text("hi")]);
    request.tools = vec![Tool { name: "f".into(), strict: Some(true), ..Tool::default() }];
    assert!(named(&request, CLAUDE).0.contains(r#""strict":true"#));
    let (body, dropped) = named(&request, NOVA);
    assert!(!body.contains("strict"), "{body}");
    assert_eq!(dropped, ["tools[].strict"]);
    let bounded = RawValue::from_string(
        r#"{"type":"object","properties":{"n":{"type":"integer","minimum":1}}}"#.to_owned(),
    );
    let bounded = bounded.unwrap();
    request.tools[0].parameters = Some(&bounded);
    assert_eq!(named(&request, CLAUDE).1, ["tools[].strict"]);
}

#[test]
fn stop_texts_go_to_those_who_take_them() {
    let mut request = asking(vec![Part::text("hi")]);
    request.sampling.stop = vec!["END".into()];
    for (model, sent) in
        [(CLAUDE, true), ("openai.gpt-5.4", true), ("openai.gpt-5.6-sol", false), ("xai.grok-4.7", false)]
    {
        let (body, dropped) = named(&request, model);
        assert_eq!((body.contains("stopSequences"), dropped.is_empty()), (sent, sent), "{model}: {body}");
    }
}

#[test]
fn a_form_without_a_place_is_told_by_an_instruction() {
    let mut request = asking(vec![Part::text("hi")]);
    request.output = OutputForm::JsonObject;
    let (body, dropped) = named(&request, CLAUDE);
    assert!(body.contains(r#""system":[{"text":"Answer with one JSON object"#), "{body}");
    assert_eq!(dropped, ["response_format"]);
    let schema = RawValue::from_string(r#"{"type":"object"}"#.to_owned()).unwrap();
    request.output =
        OutputForm::JsonSchema { name: "n".into(), description: None, schema: &schema, strict: Some(true) };
    let (body, dropped) = named(&request, "openai.gpt-oss-20b-1:0");
    assert!(
        body.contains(r#"JSON Schema:\n{\"type\":\"object\"}"#) && !body.contains("textFormat"),
        "{body}"
    );
    assert_eq!(dropped, ["response_format"]);
    let (body, dropped) = named(&request, CLAUDE);
    assert!(body.contains(r#""schema":"{\"type\":\"object\",\"additionalProperties\":false}""#), "{body}");
    assert_eq!(dropped, [""; 0]);
}

#[test]
fn a_model_that_does_not_go_on_by_itself_is_asked_to() {
    let mut request = asking(vec![Part::text("hi")]);
    request.turns.push(Turn { role: TurnRole::Assistant, name: None, parts: vec![Part::text("Once ")] });
    assert!(named(&request, CLAUDE).0.contains(r#"[{"text":"Once"}]}]"#));
    let (body, dropped) = named(&request, "anthropic.claude-opus-4-7");
    assert!(body.contains(r#"{"role":"user","content":[{"text":"Continue."}]}]"#), "{body}");
    assert_eq!(dropped, ["messages[].prefill"]);
}
