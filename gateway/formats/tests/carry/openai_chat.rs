//! What clients of OpenAI's chat completions can say.

use super::probe::{Probe, on, probe};

pub(crate) const MINIMAL: &str = r#"{"model":"alias","messages":[{"role":"user","content":"hi"}]}"#;

const TOOL: &str = r#"{"tools":[{"type":"function","function":{"name":"look","description":"Looks.","parameters":{"type":"object","properties":{"at":{"type":"string"}}}}}]}"#;
const TEXT_PART: &str = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}"#;
const CALLED: &str = r#"{"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}],"messages":[{"role":"user","content":"hi"},{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"seen"}]}"#;
const SAID: &str = r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"well"},{"role":"user","content":"go on"}]}"#;

pub(crate) const PROBES: &[Probe] = &[
    probe("`max_tokens`", r#"{"max_tokens":100}"#),
    probe("`max_completion_tokens`", r#"{"max_completion_tokens":100}"#),
    probe("`temperature`", r#"{"temperature":0.3}"#),
    probe("`temperature` above 1", r#"{"temperature":1.5}"#),
    probe("`top_p`", r#"{"top_p":0.3}"#),
    probe("`top_k`", r#"{"top_k":5}"#),
    probe("`min_p`", r#"{"min_p":0.1}"#),
    probe("`repetition_penalty`", r#"{"repetition_penalty":1.1}"#),
    probe("`stop`", r#"{"stop":["END"]}"#),
    probe("`seed`", r#"{"seed":7}"#),
    probe("`frequency_penalty`", r#"{"frequency_penalty":0.5}"#),
    probe("`presence_penalty`", r#"{"presence_penalty":0.5}"#),
    probe("`n` above 1", r#"{"n":2}"#),
    probe("`logprobs`", r#"{"logprobs":true}"#),
    on("`top_logprobs`", r#"{"logprobs":true}"#, r#"{"top_logprobs":3}"#),
    probe("`logit_bias`", r#"{"logit_bias":{"50256":-100}}"#),
    probe("`stream`", r#"{"stream":true}"#),
    on("`stream_options`", r#"{"stream":true}"#, r#"{"stream_options":{"include_usage":true}}"#),
    probe("`reasoning_effort`", r#"{"reasoning_effort":"high"}"#),
    probe("`reasoning_effort` `none`", r#"{"reasoning_effort":"none"}"#),
    probe("`verbosity`", r#"{"verbosity":"low"}"#),
    probe("`response_format` `json_object`", r#"{"response_format":{"type":"json_object"}}"#),
    probe(
        "`response_format` `json_schema`",
        r#"{"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object","properties":{"b":{"type":"string"}}}}}}"#,
    ),
    on(
        "`response_format`: `strict`",
        r#"{"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}}}}"#,
        r#"{"response_format":{"type":"json_schema","json_schema":{"name":"a","strict":true,"schema":{"type":"object","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}}}}"#,
    ),
    probe("`tools`: a function", TOOL),
    on(
        "`tools`: a function's `strict`",
        TOOL,
        r#"{"tools":[{"type":"function","function":{"name":"look","description":"Looks.","strict":true,"parameters":{"type":"object","properties":{"at":{"type":"string"}},"required":["at"],"additionalProperties":false}}}]}"#,
    ),
    probe(
        "`tools`: `custom`",
        r#"{"tools":[{"type":"custom","custom":{"name":"patch","description":"Patches."}}]}"#,
    ),
    on(
        "`tools`: the grammar of a `custom` tool",
        r#"{"tools":[{"type":"custom","custom":{"name":"patch","description":"Patches."}}]}"#,
        r#"{"tools":[{"type":"custom","custom":{"name":"patch","description":"Patches.","format":{"type":"grammar","grammar":{"syntax":"regex","definition":"a+"}}}}]}"#,
    ),
    on("`tool_choice` `none`", TOOL, r#"{"tool_choice":"none"}"#),
    on("`tool_choice` `required`", TOOL, r#"{"tool_choice":"required"}"#),
    on(
        "`tool_choice`: one function",
        TOOL,
        r#"{"tool_choice":{"type":"function","function":{"name":"look"}}}"#,
    ),
    on(
        "`tool_choice` `allowed_tools`",
        TOOL,
        r#"{"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"look"}}]}}}"#,
    ),
    on("`parallel_tool_calls` `false`", TOOL, r#"{"parallel_tool_calls":false}"#),
    probe("`functions`", r#"{"functions":[{"name":"look","parameters":{"type":"object"}}]}"#),
    on("`function_call`", r#"{"functions":[{"name":"look"}]}"#, r#"{"function_call":{"name":"look"}}"#),
    probe("`web_search_options`", r#"{"web_search_options":{}}"#),
    probe("`web_search_options` with settings", r#"{"web_search_options":{"search_context_size":"low"}}"#),
    probe(
        "`modalities` and `audio`",
        r#"{"modalities":["text","audio"],"audio":{"voice":"alloy","format":"mp3"}}"#,
    ),
    probe("`prediction`", r#"{"prediction":{"type":"content","content":"a"}}"#),
    probe("`user`", r#"{"user":"u-1"}"#),
    probe("`safety_identifier`", r#"{"safety_identifier":"s-1"}"#),
    probe("`service_tier`", r#"{"service_tier":"flex"}"#),
    probe("`metadata`", r#"{"metadata":{"a":"b"}}"#),
    probe("`store`", r#"{"store":true}"#),
    probe("`prompt_cache_key`", r#"{"prompt_cache_key":"k"}"#),
    probe("`prompt_cache_retention`", r#"{"prompt_cache_retention":"24h"}"#),
    probe("a parameter that is not known", r#"{"new_parameter":1}"#),
    probe(
        "a `system` message",
        r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}]}"#,
    ),
    probe(
        "a `developer` message",
        r#"{"messages":[{"role":"developer","content":"s"},{"role":"user","content":"hi"}]}"#,
    ),
    on(
        "a `system` message in the midst",
        SAID,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"well"},{"role":"system","content":"note"},{"role":"user","content":"go on"}]}"#,
    ),
    on(
        "a `system` message's `name`",
        r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}]}"#,
        r#"{"messages":[{"role":"system","name":"eva","content":"s"},{"role":"user","content":"hi"}]}"#,
    ),
    probe("a message's `name`", r#"{"messages":[{"role":"user","name":"eva","content":"hi"}]}"#),
    probe(
        "a field of a message that is not known",
        r#"{"messages":[{"role":"user","content":"hi","new_field":1}]}"#,
    ),
    on(
        "`cache_control`",
        TEXT_PART,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]}"#,
    ),
    on(
        "a picture in the request",
        TEXT_PART,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]}"#,
    ),
    on(
        "a picture at an address",
        TEXT_PART,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://x.example/a.png"}}]}]}"#,
    ),
    on(
        "a picture's `detail`",
        r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}}]}]}"#,
    ),
    on(
        "`input_audio`",
        TEXT_PART,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}]}]}"#,
    ),
    on(
        "a `file` in the request",
        TEXT_PART,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}]}]}"#,
    ),
    on(
        "a `file` by its id",
        TEXT_PART,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"file","file":{"file_id":"file-1"}}]}]}"#,
    ),
    on(
        "a part that is not known (`video_url`)",
        TEXT_PART,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"video_url","video_url":{"url":"https://x.example/a.mp4"}}]}]}"#,
    ),
    probe("a call of a tool and its result", CALLED),
    on(
        "a picture in a tool's result",
        CALLED,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"look","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":[{"type":"text","text":"seen"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]}"#,
    ),
    on(
        "a call of a `custom` tool",
        r#"{"tools":[{"type":"custom","custom":{"name":"patch"}}]}"#,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","tool_calls":[{"id":"call_1","type":"custom","custom":{"name":"patch","input":"x"}}]},{"role":"tool","tool_call_id":"call_1","content":"done"}]}"#,
    ),
    on(
        "a refusal of the model",
        SAID,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"well","refusal":"no"},{"role":"user","content":"go on"}]}"#,
    ),
    on(
        "thoughts: `reasoning_content`",
        SAID,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"well","reasoning_content":"hm"},{"role":"user","content":"go on"}]}"#,
    ),
    on(
        "thoughts with another model's proof: `thinking_blocks`",
        SAID,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"well","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"tg1.other.abc"}]},{"role":"user","content":"go on"}]}"#,
    ),
    on(
        "thoughts with the model's own proof: `thinking_blocks`",
        SAID,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"well","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"tg1.own.abc"}]},{"role":"user","content":"go on"}]}"#,
    ),
    on(
        "`audio` of an earlier answer",
        SAID,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"well","audio":{"id":"audio_1"}},{"role":"user","content":"go on"}]}"#,
    ),
];
