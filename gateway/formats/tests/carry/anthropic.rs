//! What clients of Anthropic's Messages can say.

use super::probe::{Probe, on, probe};

pub(crate) const MINIMAL: &str =
    r#"{"model":"alias","max_tokens":4096,"messages":[{"role":"user","content":"hi"}]}"#;

const TOOL: &str = r#"{"tools":[{"name":"look","description":"Looks.","input_schema":{"type":"object"}}]}"#;
const TEXT_BLOCK: &str = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}"#;
const PDF: &str = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}]}]}"#;
const CALLED: &str = r#"{"tools":[{"name":"look","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"look","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"seen"}]}]}"#;
const SAID: &str = r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text","text":"well"}]},{"role":"user","content":"go on"}]}"#;

pub(crate) const PROBES: &[Probe] = &[
    probe("`max_tokens`", r#"{"max_tokens":100}"#),
    probe("`temperature`", r#"{"temperature":0.3}"#),
    probe("`top_p`", r#"{"top_p":0.3}"#),
    probe("`top_k`", r#"{"top_k":5}"#),
    probe("`stop_sequences`", r#"{"stop_sequences":["END"]}"#),
    probe("`stream`", r#"{"stream":true}"#),
    probe("`thinking` `enabled`", r#"{"thinking":{"type":"enabled","budget_tokens":2048}}"#),
    probe("`thinking` `adaptive`", r#"{"thinking":{"type":"adaptive"}}"#),
    probe(
        "`thinking` `adaptive` with an effort",
        r#"{"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}}"#,
    ),
    on(
        "`thinking.display` `summarized`",
        r#"{"thinking":{"type":"adaptive"}}"#,
        r#"{"thinking":{"type":"adaptive","display":"summarized"}}"#,
    ),
    on(
        "`thinking.block_binding`",
        r#"{"thinking":{"type":"adaptive"}}"#,
        r#"{"thinking":{"type":"adaptive","block_binding":{"prefix_mismatch_behavior":"drop_block"}}}"#,
    ),
    probe("`thinking` `disabled`", r#"{"thinking":{"type":"disabled"}}"#),
    on(
        "`thinking.display` `omitted`",
        r#"{"thinking":{"type":"enabled","budget_tokens":2048}}"#,
        r#"{"thinking":{"type":"enabled","budget_tokens":2048,"display":"omitted"}}"#,
    ),
    probe("`output_config.effort`", r#"{"output_config":{"effort":"low"}}"#),
    probe(
        "`output_config.format`",
        r#"{"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"b":{"type":"string"}},"additionalProperties":false}}}}"#,
    ),
    probe(
        "`output_config.task_budget`",
        r#"{"output_config":{"task_budget":{"type":"tokens","total":50000}}}"#,
    ),
    probe("`tools`: a tool of the client", TOOL),
    on(
        "`tools`: `strict`",
        TOOL,
        r#"{"tools":[{"name":"look","description":"Looks.","strict":true,"input_schema":{"type":"object","properties":{},"additionalProperties":false}}]}"#,
    ),
    on(
        "`tools`: `cache_control`",
        TOOL,
        r#"{"tools":[{"name":"look","description":"Looks.","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}]}"#,
    ),
    on(
        "`tools`: `defer_loading`",
        TOOL,
        r#"{"tools":[{"name":"look","description":"Looks.","input_schema":{"type":"object"},"defer_loading":true}]}"#,
    ),
    on(
        "`tools`: `input_examples`",
        TOOL,
        r#"{"tools":[{"name":"look","description":"Looks.","input_schema":{"type":"object"},"input_examples":[{"a":1}]}]}"#,
    ),
    on(
        "`tools`: `eager_input_streaming`",
        TOOL,
        r#"{"tools":[{"name":"look","description":"Looks.","input_schema":{"type":"object"},"eager_input_streaming":true}]}"#,
    ),
    on(
        "`tools`: `allowed_callers`",
        TOOL,
        r#"{"tools":[{"name":"look","description":"Looks.","input_schema":{"type":"object"},"allowed_callers":["code_execution_20250825"]}]}"#,
    ),
    probe("`tools`: web search", r#"{"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#),
    probe(
        "`tools`: code execution",
        r#"{"tools":[{"type":"code_execution_20250825","name":"code_execution"}]}"#,
    ),
    probe("`tools`: Anthropic's `bash`", r#"{"tools":[{"type":"bash_20250124","name":"bash"}]}"#),
    on("`tool_choice` `any`", TOOL, r#"{"tool_choice":{"type":"any"}}"#),
    on("`tool_choice` `tool`", TOOL, r#"{"tool_choice":{"type":"tool","name":"look"}}"#),
    on("`tool_choice` `none`", TOOL, r#"{"tool_choice":{"type":"none"}}"#),
    on(
        "`disable_parallel_tool_use`",
        TOOL,
        r#"{"tool_choice":{"type":"auto","disable_parallel_tool_use":true}}"#,
    ),
    probe("`metadata.user_id`", r#"{"metadata":{"user_id":"u-1"}}"#),
    probe("`service_tier`", r#"{"service_tier":"standard_only"}"#),
    probe("`speed`", r#"{"speed":"fast"}"#),
    probe("`cache_control`", r#"{"cache_control":{"type":"ephemeral"}}"#),
    probe(
        "`context_management`",
        r#"{"context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}}"#,
    ),
    probe("`mcp_servers`", r#"{"mcp_servers":[{"type":"url","url":"https://x.example/mcp","name":"x"}]}"#),
    probe("`container`", r#"{"container":"container_1"}"#),
    probe("`inference_geo`", r#"{"inference_geo":"us"}"#),
    probe("a parameter that is not known", r#"{"new_parameter":1}"#),
    probe("`system`", r#"{"system":"s"}"#),
    on(
        "`cache_control` of `system`",
        r#"{"system":[{"type":"text","text":"s"}]}"#,
        r#"{"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}]}"#,
    ),
    on(
        "a `system` message in the midst",
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"well"},{"role":"user","content":"go on"}]}"#,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"well"},{"role":"user","content":"go on"},{"role":"system","content":"note"}]}"#,
    ),
    probe(
        "words put into the model's mouth (the last message)",
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"{"}]}"#,
    ),
    on(
        "`cache_control` of a block",
        TEXT_BLOCK,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]}"#,
    ),
    on(
        "a picture in the request",
        TEXT_BLOCK,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]}"#,
    ),
    on(
        "a picture at an address",
        TEXT_BLOCK,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"url","url":"https://x.example/a.png"}}]}]}"#,
    ),
    on(
        "a picture by its id",
        TEXT_BLOCK,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"file","file_id":"file_1"}}]}]}"#,
    ),
    on("a document in the request", TEXT_BLOCK, PDF),
    on(
        "a document at an address",
        TEXT_BLOCK,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"document","source":{"type":"url","url":"https://x.example/a.pdf"}}]}]}"#,
    ),
    on(
        "a document by its id",
        TEXT_BLOCK,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"document","source":{"type":"file","file_id":"file_1"}}]}]}"#,
    ),
    on(
        "a document of plain text",
        TEXT_BLOCK,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"b"}}]}]}"#,
    ),
    on(
        "a document of blocks",
        TEXT_BLOCK,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"document","source":{"type":"content","content":[{"type":"text","text":"b"}]}}]}]}"#,
    ),
    on(
        "a document's `title`",
        PDF,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"document","title":"t","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}]}]}"#,
    ),
    on(
        "a document's `context`",
        PDF,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"document","context":"c","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}]}]}"#,
    ),
    on(
        "a document's `citations`",
        PDF,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"document","citations":{"enabled":true},"source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}]}]}"#,
    ),
    on(
        "`search_result`",
        TEXT_BLOCK,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"search_result","source":"https://x.example","title":"t","content":[{"type":"text","text":"b"}]}]}]}"#,
    ),
    on(
        "`container_upload`",
        TEXT_BLOCK,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"container_upload","file_id":"file_1"}]}]}"#,
    ),
    on(
        "a block that is not known",
        TEXT_BLOCK,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"new_block","b":1}]}]}"#,
    ),
    probe("a call of a tool and its result", CALLED),
    on(
        "a result that is an error",
        CALLED,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"look","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":true,"content":"seen"}]}]}"#,
    ),
    on(
        "a picture in a tool's result",
        CALLED,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"look","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"seen"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]}]}"#,
    ),
    on(
        "calls and results of Anthropic's own tools",
        SAID,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"q"}},{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[]},{"type":"text","text":"well"}]},{"role":"user","content":"go on"}]}"#,
    ),
    on(
        "thoughts with the model's own proof",
        SAID,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"tg1.own.abc"},{"type":"text","text":"well"}]},{"role":"user","content":"go on"}]}"#,
    ),
    on(
        "thoughts with another model's proof",
        SAID,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"tg1.other.abc"},{"type":"text","text":"well"}]},{"role":"user","content":"go on"}]}"#,
    ),
    on(
        "`redacted_thinking` of another model",
        SAID,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"redacted_thinking","data":"tg1.other.abc"},{"type":"text","text":"well"}]},{"role":"user","content":"go on"}]}"#,
    ),
];
