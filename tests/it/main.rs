//! System tests: one binary, one module a promise. The services run as processes, as operators run them.
//!
//! Every test has ports, topics and folders of its own; only one Kafka is shared.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod admin;
mod agents;
mod architecture;
mod backend_errors;
mod background;
mod bad_config;
mod bad_input;
mod cache;
mod chargeback;
mod circuit;
mod codings;
mod crash;
mod drain;
mod edge;
mod harness;
mod local_model;
mod media;
mod passthrough;
mod passthrough_metering;
mod real_sdk;
mod replicas;
mod resiliency;
mod sdk_matrix;
mod sessions;
mod simulated_backend;
mod streaming;
mod support;
mod tenants;
mod tidy;
mod token_limit;
mod unified_api;
mod unified_formats;
mod upstream_faults;
