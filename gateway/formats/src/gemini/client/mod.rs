//! The side of clients: requests of `generateContent` read, answers written. The model and whether the answer is
//! streamed stand in the path and not in the body.
//!
//! Google takes every name in camel case and in snake case, and so does this. Schemas of `parameters` and
//! `responseSchema` are in the words of OpenAPI: [`schema`] brings them into JSON Schema before a request is read.
//! SDKs hold `thoughtSignature` as bytes: [`proof`] says how proofs of other providers survive that.

pub mod answer;
pub mod count_tokens;
pub mod embeddings;
pub mod error;
mod logprobs;
mod names;
mod part;
pub mod proof;
pub mod request;
pub mod schema;
pub mod stream;
pub mod view;
