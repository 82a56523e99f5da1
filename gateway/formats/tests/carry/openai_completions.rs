//! What clients of OpenAI's older completions can say.

use super::probe::{Probe, on, probe};

pub(crate) const MINIMAL: &str = r#"{"model":"alias","prompt":"hi"}"#;

pub(crate) const PROBES: &[Probe] = &[
    probe("`max_tokens`", r#"{"max_tokens":100}"#),
    probe("`temperature`", r#"{"temperature":0.3}"#),
    probe("`top_p`", r#"{"top_p":0.3}"#),
    probe("`top_k`", r#"{"top_k":5}"#),
    probe("`stop`", r#"{"stop":["END"]}"#),
    probe("`seed`", r#"{"seed":7}"#),
    probe("`frequency_penalty`", r#"{"frequency_penalty":0.5}"#),
    probe("`presence_penalty`", r#"{"presence_penalty":0.5}"#),
    probe("`n` above 1", r#"{"n":2}"#),
    probe("`logit_bias`", r#"{"logit_bias":{"50256":-100}}"#),
    probe("`stream`", r#"{"stream":true}"#),
    on("`stream_options`", r#"{"stream":true}"#, r#"{"stream_options":{"include_usage":true}}"#),
    probe("`logprobs`", r#"{"logprobs":3}"#),
    probe("`echo`", r#"{"echo":true}"#),
    probe("`best_of`", r#"{"best_of":3}"#),
    probe("`suffix`", r#"{"suffix":"end"}"#),
    probe("`user`", r#"{"user":"u-1"}"#),
    probe("a parameter that is not known", r#"{"new_parameter":1}"#),
];
