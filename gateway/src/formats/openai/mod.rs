//! OpenAI Chat Completions: borrowed views of requests, answers and stream chunks.
//!
//! A body is parsed once into a view that borrows from it. What does not change is forwarded byte for
//! byte; what must change is spliced in at the place the view points to.

pub mod answer;
pub mod request;
pub mod usage;
