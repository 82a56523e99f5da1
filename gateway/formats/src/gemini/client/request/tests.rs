//! Requests read: what the golden files do not show.

use proptest::prelude::*;

use super::*;
use crate::exchange::{Effort, OutputForm, Part, ToolChoice, TurnRole};

fn extras(request: &Request<'_>) -> Vec<String> {
    request.extras.iter().map(|extra| extra.name.clone().into_owned()).collect()
}

fn read(json: &str) -> Request<'_> {
    decode(json.as_bytes(), false).unwrap()
}

#[test]
fn names_are_read_in_camel_case_and_in_snake_case() {
    let camel = r#"{"contents":[{"role":"user","parts":[{"text":"a"},{"inlineData":{"mimeType":"image/png","data":"-_8="}}]}],
        "systemInstruction":{"parts":[{"text":"s"}]},"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}}]}],
        "toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},
        "generationConfig":{"maxOutputTokens":9,"topP":0.5,"topK":40.0,"stopSequences":["x"],"candidateCount":1,
        "responseMimeType":"application/json","responseJsonSchema":{},"thinkingConfig":{"thinkingBudget":512,"includeThoughts":true}}}"#;
    let mut snake = camel.to_owned();
    for (name, spelled) in [
        ("inlineData", "inline_data"),
        ("mimeType", "mime_type"),
        ("systemInstruction", "system_instruction"),
        ("functionDeclarations", "function_declarations"),
        ("parametersJsonSchema", "parameters_json_schema"),
        ("toolConfig", "tool_config"),
        ("functionCallingConfig", "function_calling_config"),
        ("allowedFunctionNames", "allowed_function_names"),
        ("generationConfig", "generation_config"),
        ("maxOutputTokens", "max_output_tokens"),
        ("topP", "top_p"),
        ("topK", "top_k"),
        ("stopSequences", "stop_sequences"),
        ("candidateCount", "candidate_count"),
        ("responseMimeType", "response_mime_type"),
        ("responseJsonSchema", "response_json_schema"),
        ("thinkingConfig", "thinking_config"),
        ("thinkingBudget", "thinking_budget"),
        ("includeThoughts", "include_thoughts"),
    ] {
        snake = snake.replace(&format!("\"{name}\""), &format!("\"{spelled}\""));
    }
    let request = read(camel);
    assert_eq!(format!("{request:?}"), format!("{:?}", read(&snake)));
    assert_eq!((request.sampling.max_output_tokens, request.sampling.top_k), (Some(9), Some(40)));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".into())));
    assert!(matches!(request.output, OutputForm::JsonSchema { .. }));
    assert_eq!(request.reasoning.unwrap().budget_tokens, Some(512));
    assert!(request.tools[0].parameters.is_some() && request.extras.is_empty());
    let Part::Image(image) = &request.turns[0].parts[1] else { panic!("{:?}", request.turns) };
    assert!(format!("{:?}", image.source).contains("+/8="), "the alphabet for addresses is Google's alone");
}

#[test]
fn results_without_ids_belong_to_the_open_calls_of_their_function_in_order() {
    let request = read(
        r#"{"contents":[{"parts":[{"text":"q"}]},
        {"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":1}}},{"functionCall":{"name":"g"}},{"functionCall":{"id":"own","name":"f"}}]},
        {"role":"user","parts":[{"functionResponse":{"name":"g","response":{"output":"1"}}},
        {"functionResponse":{"name":"f","response":{"error":"2"}}},{"functionResponse":{"id":"own","name":"f","response":{"a":1,"b":2}}}]}]}"#,
    );
    let results: Vec<_> = request.turns[2]
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolResult(result) => {
                (&*result.call_id, result.is_error, result.json.map(|json| json.get()))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        results,
        [("call_2", false, None), ("call_1", true, None), ("own", false, Some(r#"{"a":1,"b":2}"#))]
    );
    let orphan = r#"{"contents":[{"parts":[{"functionResponse":{"name":"f","response":{}}}]}]}"#;
    let refusal = decode(orphan.as_bytes(), false).unwrap_err().to_string();
    assert!(refusal.contains("contents[0].parts[0].functionResponse"), "{refusal}");
}

#[test]
fn an_answer_that_was_streamed_comes_back_as_one() {
    let proof = proof_of("tg1.a1.sig");
    let json = format!(
        r#"{{"contents":[{{"parts":[{{"text":"q"}}]}},{{"role":"model","parts":[{{"text":"h","thought":true}}]}},
        {{"role":"model","parts":[{{"text":"m","thought":true}},{{"text":"","thought":true,"thoughtSignature":"{proof}"}}]}},
        {{"role":"model","parts":[{{"text":"he"}},{{"text":"llo"}},{{"text":"","thoughtSignature":"c2ln"}}]}}]}}"#
    );
    let request = read(&json);
    let [_, turn] = &request.turns[..] else { panic!("{:?}", request.turns) };
    assert_eq!(turn.role, TurnRole::Assistant);
    let shown: Vec<String> = turn.parts.iter().map(|part| format!("{part:?}")).collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown[0].contains("\"hm\"") && shown[0].contains("\"tg1.a1.sig\""), "{shown:?}");
    assert!(shown[1].contains("\"hello\"") && shown[2].contains("gemini#c2ln"), "{shown:?}");
}

fn proof_of(signature: &str) -> String {
    crate::gemini::client::proof::shown(signature).into_owned()
}

#[test]
fn thinking_has_levels_a_budget_or_is_off() {
    let reasoning = |config: &str| {
        let json = format!(r#"{{"contents":[],"generationConfig":{{"thinkingConfig":{config}}}}}"#);
        let request = decode(json.as_bytes(), false)?;
        let reasoning = request.reasoning.unwrap_or_default();
        Ok::<_, FormatError>((reasoning.effort, reasoning.budget_tokens, reasoning.show))
    };
    assert_eq!(reasoning(r#"{"thinkingLevel":"LOW"}"#), Ok((Some(Effort::Low), None, None)));
    assert_eq!(reasoning(r#"{"thinkingBudget":0}"#), Ok((Some(Effort::None), None, None)));
    assert_eq!(reasoning(r#"{"thinkingBudget":-1,"includeThoughts":true}"#), Ok((None, None, Some(true))));
    assert_eq!(reasoning(r#"{"thinkingBudget":2048}"#), Ok((None, Some(2048), None)));
    assert!(reasoning(r#"{"thinkingLevel":"NONE"}"#).is_err());
}

#[test]
fn what_changes_the_answer_is_kept_by_its_path_and_hints_are_not() {
    let request = read(
        r#"{"contents":[{"parts":[{"fileData":{"fileUri":"gs://b/x"}},{"text":"a","videoMetadata":{"fps":1},"partMetadata":{"a":1}},
        {"fileData":{"fileUri":"https://h/x.pdf","mimeType":"application/pdf"}}]}],
        "cachedContent":"cachedContents/1","safetySettings":[{"category":"c"}],"labels":{"a":"b"},
        "tools":[{"googleSearch":{}},{"functionDeclarations":[{"name":"f"}]}],"toolConfig":{"retrievalConfig":{"a":1}},
        "generationConfig":{"mediaResolution":"LOW","responseModalities":["TEXT"],"speechConfig":{"a":1},"responseMimeType":"text/x.enum"}}"#,
    );
    assert_eq!(
        extras(&request),
        [
            "cachedContent",
            "contents[0].parts[0].fileData",
            "contents[0].parts[1].videoMetadata",
            "tools[0].googleSearch",
            "toolConfig.retrievalConfig",
            "generationConfig.speechConfig",
            "generationConfig.responseMimeType",
        ]
    );
    assert_eq!(
        request.hints,
        ["safetySettings", "labels", "contents[0].parts[1].partMetadata", "generationConfig.mediaResolution"]
    );
    assert!(matches!(request.turns[0].parts[..], [Part::Text { .. }, Part::Document { .. }]));
    assert_eq!(request.tools.len(), 1);
}

#[test]
fn the_functions_that_may_be_called_are_named_by_the_choice() {
    let request = read(
        r#"{"contents":[],"tools":[{"functionDeclarations":[{"name":"a"},{"name":"b"},{"name":"c"}]}],
        "toolConfig":{"functionCallingConfig":{"mode":"any","allowedFunctionNames":["a","c"]}}}"#,
    );
    let names: Vec<_> = request.tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let allowed = ToolChoice::Allowed { required: true, names: vec!["a".into(), "c".into()] };
    assert_eq!(request.tool_choice, Some(allowed));
}

#[test]
fn wrong_values_are_named() {
    let error = |json: &str| decode(json.as_bytes(), false).unwrap_err().to_string();
    assert_eq!(error("{}"), "`contents` must be a list");
    assert!(error(r#"{"contents":[{"role":"system","parts":[]}]}"#).contains("contents[0].role"));
    assert!(error(r#"{"contents":[],"generationConfig":{"topK":-1}}"#).contains("generationConfig.topK"));
    assert!(error(r#"{"contents":[],"generationConfig":{"topK":1.5}}"#).contains("whole number"));
    assert!(error(r#"{"contents":[],"toolConfig":{"functionCallingConfig":{"mode":"X"}}}"#).contains("mode"));
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(body in "[{}\\[\\]\":,a-zA-Z_0-9.]{0,160}") {
        let _ = decode(body.as_bytes(), true);
    }
}

#[test]
fn what_gemini_s_models_do_by_themselves_is_no_wish_to_the_models_of_others() {
    let body = br#"{"contents":[],"generationConfig":{"temperature":1,"topP":0.95,"topK":64}}"#;
    let request = decode(body, false).unwrap();
    assert_eq!((request.sampling.top_p, request.sampling.top_k), (None, None));
    assert_eq!(request.hints, ["generationConfig.topP", "generationConfig.topK"]);
    let request = decode(br#"{"contents":[],"generationConfig":{"topP":0.9,"topK":40}}"#, false).unwrap();
    assert_eq!((request.sampling.top_p, request.sampling.top_k), (Some(0.9), Some(40)));
    assert!(request.hints.is_empty());
}
