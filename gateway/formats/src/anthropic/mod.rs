//! The Messages API of Anthropic, for clients and for backends.
//!
//! The wire is that of the official Python SDK 2.11 with API version `2023-06-01`; fields that older SDKs send
//! (`temperature`, `top_p`, `top_k`, `output_format`) are read and written as well.
//!
//! What is peculiar here and handled: instructions stand outside of the conversation; turns alternate and the
//! first is the user's; results of tools open the user's turn; `max_tokens` is mandatory; thinking has a budget
//! or is adaptive, depending on the model; usage comes in classes that are disjoint already, except thinking.

pub mod answer;
pub mod count_tokens;
pub mod error;
pub mod request;
pub mod stream;
mod usage;
pub mod view;
mod wire;

#[cfg(test)]
mod properties;
