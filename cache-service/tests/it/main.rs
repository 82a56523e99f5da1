//! The cache service as its users see it: events in, answers out.

mod crash;
mod guarded_model;
mod isolation;
mod qdrant_down;
mod service;
mod support;
