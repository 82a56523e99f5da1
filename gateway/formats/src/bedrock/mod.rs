//! Amazon Bedrock: Converse and ConverseStream, and embeddings by InvokeModel (Bedrock Runtime API,
//! 2023-09-30). A format of backends only.
//!
//! The model's id is part of the path, never of the body. Answers come as JSON, streams in the binary framing
//! of [`event_stream`]; requests are signed by the backend's credentials.

pub mod answer;
pub mod error;
pub mod event_stream;
pub mod stream;
mod wire;
