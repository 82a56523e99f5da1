//! Tokens of prompts and completions: `tollgate-tokens`, under the name that the rest of the gateway knows.
//!
//! Counting is lazy: far from a limit [`upper_bound`] decides exactly as the count would. Where it must be counted,
//! small texts are, in place; large ones go to the threads of [`Counter::shared`].

pub use tollgate_tokens::{
    Budget, Count, Counter, Work, by_json_size, count_chat, count_input, count_text, upper_bound,
};
