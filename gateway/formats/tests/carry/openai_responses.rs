//! What clients of OpenAI's Responses can say.

use super::probe::{Probe, on, probe};

pub(crate) const MINIMAL: &str = r#"{"model":"alias","input":"hi"}"#;

const TOOL: &str = r#"{"tools":[{"type":"function","name":"look","description":"Looks.","strict":false,"parameters":{"type":"object"}}]}"#;
const TEXT_PART: &str = r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"a"}]}]}"#;
const CALLED: &str = r#"{"tools":[{"type":"function","name":"look","strict":false,"parameters":{"type":"object"}}],"input":[{"role":"user","content":"hi"},{"type":"function_call","call_id":"call_1","name":"look","arguments":"{}"},{"type":"function_call_output","call_id":"call_1","output":"seen"}]}"#;
const SAID: &str = r#"{"input":[{"role":"user","content":"hi"},{"role":"assistant","content":"well"},{"role":"user","content":"go on"}]}"#;

/// An item between two that are there without it.
macro_rules! item {
    ($name:literal, $item:literal) => {
        on(
            $name,
            SAID,
            concat!(
                r#"{"input":[{"role":"user","content":"hi"},"#,
                $item,
                r#",{"role":"assistant","content":"well"},{"role":"user","content":"go on"}]}"#
            ),
        )
    };
}

/// A part beside a text.
macro_rules! part {
    ($name:literal, $part:literal) => {
        on(
            $name,
            TEXT_PART,
            concat!(
                r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"a"},"#,
                $part,
                "]}]}"
            ),
        )
    };
}

pub(crate) const PROBES: &[Probe] = &[
    probe("`max_output_tokens`", r#"{"max_output_tokens":100}"#),
    probe("`temperature`", r#"{"temperature":0.3}"#),
    probe("`top_p`", r#"{"top_p":0.3}"#),
    probe("`top_logprobs`", r#"{"top_logprobs":3}"#),
    probe("`stream`", r#"{"stream":true}"#),
    on("`stream_options`", r#"{"stream":true}"#, r#"{"stream_options":{"include_obfuscation":false}}"#),
    probe("`reasoning.effort`", r#"{"reasoning":{"effort":"high"}}"#),
    probe("`reasoning.effort` `none`", r#"{"reasoning":{"effort":"none"}}"#),
    probe("`reasoning.summary`", r#"{"reasoning":{"summary":"auto"}}"#),
    on(
        "`reasoning.summary` of a model that thinks",
        r#"{"reasoning":{"effort":"high"}}"#,
        r#"{"reasoning":{"effort":"high","summary":"auto"}}"#,
    ),
    probe("`reasoning.mode`", r#"{"reasoning":{"mode":"pro"}}"#),
    probe("`reasoning.context`", r#"{"reasoning":{"context":"all_turns"}}"#),
    probe("`text.verbosity`", r#"{"text":{"verbosity":"low"}}"#),
    probe("`text.format` `json_object`", r#"{"text":{"format":{"type":"json_object"}}}"#),
    probe(
        "`text.format` `json_schema`",
        r#"{"text":{"format":{"type":"json_schema","name":"a","schema":{"type":"object","properties":{"b":{"type":"string"}}}}}}"#,
    ),
    on(
        "`text.format`: `strict`",
        r#"{"text":{"format":{"type":"json_schema","name":"a","schema":{"type":"object","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}}}}"#,
        r#"{"text":{"format":{"type":"json_schema","name":"a","strict":true,"schema":{"type":"object","properties":{"b":{"type":"string"}},"required":["b"],"additionalProperties":false}}}}"#,
    ),
    probe("`tools`: `function`", TOOL),
    on(
        "`tools`: `defer_loading`",
        TOOL,
        r#"{"tools":[{"type":"function","name":"look","description":"Looks.","strict":false,"defer_loading":true,"parameters":{"type":"object"}}]}"#,
    ),
    on(
        "`tools`: `strict`",
        TOOL,
        r#"{"tools":[{"type":"function","name":"look","description":"Looks.","strict":true,"parameters":{"type":"object","properties":{},"additionalProperties":false}}]}"#,
    ),
    probe("`tools`: `custom`", r#"{"tools":[{"type":"custom","name":"patch","description":"Patches."}]}"#),
    on(
        "`tools`: the grammar of a `custom` tool",
        r#"{"tools":[{"type":"custom","name":"patch","description":"Patches."}]}"#,
        r#"{"tools":[{"type":"custom","name":"patch","description":"Patches.","format":{"type":"grammar","syntax":"regex","definition":"a+"}}]}"#,
    ),
    probe(
        "`tools`: `namespace`",
        r#"{"tools":[{"type":"namespace","name":"n","description":"N.","tools":[{"type":"function","name":"look","parameters":{"type":"object"}}]}]}"#,
    ),
    probe("`tools`: `web_search`", r#"{"tools":[{"type":"web_search"}]}"#),
    probe("`tools`: `file_search`", r#"{"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]}"#),
    probe(
        "`tools`: `code_interpreter`",
        r#"{"tools":[{"type":"code_interpreter","container":{"type":"auto"}}]}"#,
    ),
    probe("`tools`: `image_generation`", r#"{"tools":[{"type":"image_generation"}]}"#),
    probe(
        "`tools`: `mcp`",
        r#"{"tools":[{"type":"mcp","server_label":"x","server_url":"https://x.example/mcp"}]}"#,
    ),
    probe("`tools`: `local_shell`", r#"{"tools":[{"type":"local_shell"}]}"#),
    on("`tool_choice` `none`", TOOL, r#"{"tool_choice":"none"}"#),
    on("`tool_choice` `required`", TOOL, r#"{"tool_choice":"required"}"#),
    on("`tool_choice`: one function", TOOL, r#"{"tool_choice":{"type":"function","name":"look"}}"#),
    on(
        "`tool_choice` `allowed_tools`",
        TOOL,
        r#"{"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"look"}]}}"#,
    ),
    on("`tool_choice`: a tool of OpenAI's", TOOL, r#"{"tool_choice":{"type":"file_search"}}"#),
    on("`parallel_tool_calls` `false`", TOOL, r#"{"parallel_tool_calls":false}"#),
    on("`max_tool_calls`", TOOL, r#"{"max_tool_calls":3}"#),
    probe("`previous_response_id`", r#"{"previous_response_id":"resp_1"}"#),
    probe("`conversation`", r#"{"conversation":"conv_1"}"#),
    probe("`prompt`", r#"{"prompt":{"id":"pmpt_1"}}"#),
    probe("`background`", r#"{"background":true}"#),
    probe("`store` `true`", r#"{"store":true}"#),
    probe("`truncation` `auto`", r#"{"truncation":"auto"}"#),
    probe(
        "`context_management`",
        r#"{"context_management":[{"type":"compaction","compact_threshold":1000}]}"#,
    ),
    probe("`include`: thoughts", r#"{"include":["reasoning.encrypted_content"]}"#),
    probe("`include`: anything else", r#"{"include":["file_search_call.results"]}"#),
    probe("`user`", r#"{"user":"u-1"}"#),
    probe("`safety_identifier`", r#"{"safety_identifier":"s-1"}"#),
    on("`user` beside `safety_identifier`", r#"{"safety_identifier":"s-1"}"#, r#"{"user":"u-1"}"#),
    probe("`service_tier`", r#"{"service_tier":"flex"}"#),
    probe("`metadata`", r#"{"metadata":{"a":"b"}}"#),
    probe("`prompt_cache_key`", r#"{"prompt_cache_key":"k"}"#),
    probe("`prompt_cache_retention`", r#"{"prompt_cache_retention":"24h"}"#),
    probe("a parameter that is not known", r#"{"new_parameter":1}"#),
    probe("`instructions`", r#"{"instructions":"s"}"#),
    probe(
        "a `developer` message",
        r#"{"input":[{"role":"developer","content":"s"},{"role":"user","content":"hi"}]}"#,
    ),
    on(
        "a `developer` message in the midst",
        SAID,
        r#"{"input":[{"role":"user","content":"hi"},{"role":"assistant","content":"well"},{"role":"developer","content":"note"},{"role":"user","content":"go on"}]}"#,
    ),
    part!(
        "a picture in the request",
        r#"{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo="}"#
    ),
    part!("a picture at an address", r#"{"type":"input_image","image_url":"https://x.example/a.png"}"#),
    part!("a picture by its id", r#"{"type":"input_image","file_id":"file-1"}"#),
    on(
        "a picture's `detail`",
        r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo="}]}]}"#,
        r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}]}]}"#,
    ),
    part!(
        "`input_file` in the request",
        r#"{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}"#
    ),
    part!("`input_file` at an address", r#"{"type":"input_file","file_url":"https://x.example/a.pdf"}"#),
    part!("`input_file` by its id", r#"{"type":"input_file","file_id":"file-1"}"#),
    part!("`input_audio`", r#"{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}"#),
    part!("a part that is not known", r#"{"type":"new_part","b":1}"#),
    probe("a call of a tool and its result", CALLED),
    on(
        "a picture in a tool's result",
        CALLED,
        r#"{"input":[{"role":"user","content":"hi"},{"type":"function_call","call_id":"call_1","name":"look","arguments":"{}"},{"type":"function_call_output","call_id":"call_1","output":[{"type":"input_text","text":"seen"},{"type":"input_image","image_url":"data:image/png;base64,iVBORw0KGgo="}]}]}"#,
    ),
    on(
        "a call of a `custom` tool and its result",
        r#"{"tools":[{"type":"custom","name":"patch"}]}"#,
        r#"{"input":[{"role":"user","content":"hi"},{"type":"custom_tool_call","call_id":"call_1","name":"patch","input":"x"},{"type":"custom_tool_call_output","call_id":"call_1","output":"done"}]}"#,
    ),
    item!(
        "thoughts with the model's own proof",
        r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"tg1.own.abc"}"#
    ),
    item!(
        "thoughts with another model's proof",
        r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"tg1.other.abc"}"#
    ),
    on(
        "a refusal of the model",
        SAID,
        r#"{"input":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"output_text","text":"well"},{"type":"refusal","refusal":"no"}]},{"role":"user","content":"go on"}]}"#,
    ),
    item!(
        "`web_search_call`",
        r#"{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"q"}}"#
    ),
    item!(
        "`file_search_call`",
        r#"{"type":"file_search_call","id":"fs_1","status":"completed","queries":["q"]}"#
    ),
    item!(
        "`image_generation_call`",
        r#"{"type":"image_generation_call","id":"ig_1","status":"completed","result":"iVBORw0KGgo="}"#
    ),
    item!(
        "`local_shell_call`",
        r#"{"type":"local_shell_call","id":"ls_1","call_id":"call_1","status":"completed","action":{"type":"exec","command":["ls"],"env":{}}}"#
    ),
    item!("`compaction`", r#"{"type":"compaction","encrypted_content":"abc"}"#),
    item!("`item_reference`", r#"{"type":"item_reference","id":"msg_1"}"#),
];
