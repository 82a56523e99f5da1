//! What clients of Gemini's generateContent can say.

use super::probe::{Probe, on, probe};

pub(crate) const MINIMAL: &str = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;

const TOOL: &str = r#"{"tools":[{"functionDeclarations":[{"name":"look","description":"Looks.","parameters":{"type":"OBJECT"}}]}]}"#;
const CALLED: &str = r#"{"tools":[{"functionDeclarations":[{"name":"look"}]}],"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"look","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"look","response":{"a":1}}}]}]}"#;
const SAID: &str = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"well"}]},{"role":"user","parts":[{"text":"go on"}]}]}"#;

/// A part beside a text.
macro_rules! part {
    ($name:literal, $part:literal) => {
        probe($name, concat!(r#"{"contents":[{"role":"user","parts":[{"text":"hi"},"#, $part, "]}]}"))
    };
}

/// What an answer had before its text.
macro_rules! said {
    ($name:literal, $part:literal) => {
        on(
            $name,
            SAID,
            concat!(
                r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":["#,
                $part,
                r#",{"text":"well"}]},{"role":"user","parts":[{"text":"go on"}]}]}"#
            ),
        )
    };
}

/// A setting of `generationConfig`.
macro_rules! config {
    ($name:literal, $settings:literal) => {
        probe($name, concat!(r#"{"generationConfig":{"#, $settings, "}}"))
    };
}

pub(crate) const PROBES: &[Probe] = &[
    config!("`maxOutputTokens`", r#""maxOutputTokens":100"#),
    config!("`temperature`", r#""temperature":0.3"#),
    config!("`temperature` above 1", r#""temperature":1.5"#),
    config!("`topP`", r#""topP":0.3"#),
    config!("`topK`", r#""topK":5"#),
    config!("`stopSequences`", r#""stopSequences":["END"]"#),
    config!("`seed`", r#""seed":7"#),
    config!("`frequencyPenalty`", r#""frequencyPenalty":0.5"#),
    config!("`presencePenalty`", r#""presencePenalty":0.5"#),
    config!("`candidateCount` above 1", r#""candidateCount":2"#),
    config!("`responseLogprobs` and `logprobs`", r#""responseLogprobs":true,"logprobs":3"#),
    config!("`responseMimeType` `application/json`", r#""responseMimeType":"application/json""#),
    config!(
        "`responseSchema`",
        r#""responseMimeType":"application/json","responseSchema":{"type":"OBJECT","properties":{"b":{"type":"STRING"}}}"#
    ),
    config!(
        "`responseJsonSchema`",
        r#""responseMimeType":"application/json","responseJsonSchema":{"type":"object","properties":{"b":{"type":"string"}}}"#
    ),
    config!(
        "`responseMimeType` `text/x.enum`",
        r#""responseMimeType":"text/x.enum","responseSchema":{"type":"STRING","enum":["a","b"]}"#
    ),
    config!("`responseModalities` with pictures", r#""responseModalities":["TEXT","IMAGE"]"#),
    config!("`speechConfig`", r#""speechConfig":{"languageCode":"de-DE"}"#),
    config!("`imageConfig`", r#""imageConfig":{"aspectRatio":"1:1"}"#),
    config!("`mediaResolution`", r#""mediaResolution":"MEDIA_RESOLUTION_LOW""#),
    config!("`thinkingConfig.thinkingBudget`", r#""thinkingConfig":{"thinkingBudget":2048}"#),
    config!("`thinkingConfig.thinkingBudget` 0", r#""thinkingConfig":{"thinkingBudget":0}"#),
    config!("`thinkingConfig.thinkingLevel`", r#""thinkingConfig":{"thinkingLevel":"HIGH"}"#),
    on(
        "`thinkingConfig.includeThoughts`",
        r#"{"generationConfig":{"thinkingConfig":{"thinkingBudget":2048}}}"#,
        r#"{"generationConfig":{"thinkingConfig":{"thinkingBudget":2048,"includeThoughts":true}}}"#,
    ),
    config!("a setting that is not known", r#""newSetting":1"#),
    probe("`tools`: a function", TOOL),
    on(
        "`tools`: a function's `response`",
        TOOL,
        r#"{"tools":[{"functionDeclarations":[{"name":"look","description":"Looks.","parameters":{"type":"OBJECT"},"response":{"type":"OBJECT"}}]}]}"#,
    ),
    on(
        "`tools`: a function's `responseJsonSchema`",
        TOOL,
        r#"{"tools":[{"functionDeclarations":[{"name":"look","description":"Looks.","parameters":{"type":"OBJECT"},"responseJsonSchema":{"type":"object"}}]}]}"#,
    ),
    on(
        "`tools`: a function's `behavior`",
        TOOL,
        r#"{"tools":[{"functionDeclarations":[{"name":"look","description":"Looks.","parameters":{"type":"OBJECT"},"behavior":"NON_BLOCKING"}]}]}"#,
    ),
    probe("`tools`: `googleSearch`", r#"{"tools":[{"googleSearch":{}}]}"#),
    probe("`tools`: `urlContext`", r#"{"tools":[{"urlContext":{}}]}"#),
    probe("`tools`: `codeExecution`", r#"{"tools":[{"codeExecution":{}}]}"#),
    on("`mode` `ANY`", TOOL, r#"{"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}}"#),
    on("`mode` `NONE`", TOOL, r#"{"toolConfig":{"functionCallingConfig":{"mode":"NONE"}}}"#),
    on("`mode` `VALIDATED`", TOOL, r#"{"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}}}"#),
    on(
        "`allowedFunctionNames`",
        TOOL,
        r#"{"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["look"]}}}"#,
    ),
    on(
        "`allowedFunctionNames` with `VALIDATED`",
        TOOL,
        r#"{"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED","allowedFunctionNames":["look"]}}}"#,
    ),
    on(
        "`streamFunctionCallArguments`",
        TOOL,
        r#"{"toolConfig":{"functionCallingConfig":{"mode":"AUTO","streamFunctionCallArguments":true}}}"#,
    ),
    on("`retrievalConfig`", TOOL, r#"{"toolConfig":{"retrievalConfig":{"languageCode":"de"}}}"#),
    probe(
        "`safetySettings`",
        r#"{"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}]}"#,
    ),
    probe("`cachedContent`", r#"{"cachedContent":"cachedContents/1"}"#),
    probe("`labels`", r#"{"labels":{"a":"b"}}"#),
    probe("`serviceTier`", r#"{"serviceTier":"flex"}"#),
    probe("a parameter that is not known", r#"{"newParameter":1}"#),
    probe("`systemInstruction`", r#"{"systemInstruction":{"parts":[{"text":"s"}]}}"#),
    part!("a picture in the request", r#"{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}"#),
    part!(
        "a picture at an address",
        r#"{"fileData":{"mimeType":"image/png","fileUri":"https://x.example/a.png"}}"#
    ),
    part!("a sound in the request", r#"{"inlineData":{"mimeType":"audio/wav","data":"UklGRg=="}}"#),
    part!("a document in the request", r#"{"inlineData":{"mimeType":"application/pdf","data":"JVBERi0="}}"#),
    part!(
        "a document at an address",
        r#"{"fileData":{"mimeType":"application/pdf","fileUri":"https://x.example/a.pdf"}}"#
    ),
    part!("a video in the request", r#"{"inlineData":{"mimeType":"video/mp4","data":"AAAAGGZ0eXA="}}"#),
    part!("a video at an address", r#"{"fileData":{"fileUri":"https://www.youtube.com/watch?v=1"}}"#),
    part!(
        "a file kept by Google",
        r#"{"fileData":{"mimeType":"image/png","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/a"}}"#
    ),
    part!("a field of a part that is not known", r#"{"text":"b","newField":1}"#),
    probe("a call of a function and its result", CALLED),
    on(
        "a field of a call or a result that is not known",
        CALLED,
        r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"look","args":{},"newField":1}}]},{"role":"user","parts":[{"functionResponse":{"name":"look","response":{"a":1},"scheduling":"SILENT"}}]}]}"#,
    ),
    on(
        "a picture in a function's result",
        CALLED,
        r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"look","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"look","response":{"a":1},"parts":[{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]}}]}]}"#,
    ),
    said!("thoughts", r#"{"text":"hm","thought":true}"#),
    said!(
        "thoughts with another model's proof",
        r#"{"text":"hm","thought":true,"thoughtSignature":"dGcxLm90aGVyLmFiYw=="}"#
    ),
    said!(
        "`executableCode` and its result",
        r#"{"executableCode":{"language":"PYTHON","code":"1"}},{"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1"}}"#
    ),
];
