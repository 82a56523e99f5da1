//! What is asked, by kind of call, and which phases of the spine apply to it.
//!
//! | phase | model | media | token count | passthrough | stored response |
//! |---|---|---|---|---|---|
//! | body | whole | whole | whole | streamed, whole where it is signed | none |
//! | access | model of the product | same | same | API of the product | owner of the id |
//! | alias defaults and caps | yes | – | – | – | – |
//! | prompt event | yes | JSON bodies | – | – | – |
//! | cache | chat | – | – | – | – |
//! | limits | prompt and completion | estimate | – | estimate | – |
//! | backends | search with failover | same | the first, if it counts | the API's one | the one that has it |
//! | row in the ledger | per attempt | per attempt | per attempt, or where refused | per attempt | per attempt |
//!
//! A token count that is made by the gateway itself has no attempt; it has a row only where it is refused.

use std::sync::Arc;

use http::Method;
use tollgate_admission::QueueKey;
use tollgate_base::headers::Headers;
use tollgate_crossing::ClientFormat;
use tollgate_identity::Caller;
use tollgate_runtime::snapshot::Api;
use tollgate_schemas::usage::Operation;

use super::body::RequestBody;
use super::guard::RequestGuard;

/// A call that has entered: its caller is known, and it holds a place among the running ones.
pub struct Call<'a> {
    pub kind: CallKind<'a>,
    /// The client's HTTP request.
    pub http: HttpFacts<'a>,
    pub caller: &'a Caller,
    pub body: RequestBody,
    /// Whose turn it is where requests wait.
    pub queue_key: QueueKey,
    /// What it holds until its answer has ended.
    pub guard: RequestGuard,
}

/// The head of the client's HTTP request.
#[derive(Clone, Copy)]
pub struct HttpFacts<'a> {
    /// Method.
    pub method: &'a str,
    /// Path, as it came.
    pub path: &'a str,
    /// Query, as it came, without the question mark.
    pub query: Option<&'a str>,
    pub headers: &'a dyn Headers,
}

#[derive(Clone)]
pub enum CallKind<'a> {
    /// A model's answer, in one of the API formats of clients.
    Model {
        format: ClientFormat,
        /// The alias, where the path names it and not the body.
        alias_in_path: Option<&'a str>,
    },
    /// How many tokens a prompt has.
    TokenCount {
        format: ClientFormat,
        /// The alias, where the path names it and not the body.
        alias_in_path: Option<&'a str>,
    },
    /// An answer that a provider keeps.
    StoredResponse {
        /// The id as the client knows it.
        id: &'a str,
        /// What is to be done with it.
        method: Method,
        /// What follows the id in the path.
        action: &'static str,
    },
    /// An API of a backend below a path of the gateway's own.
    Passthrough {
        api: &'a Arc<Api>,
        /// What follows the API's own path.
        rest: &'a str,
    },
}

/// How the body of a call is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyMode {
    /// Read whole before anything else happens.
    Whole,
    /// Handed on as it comes.
    Streamed,
    /// Not looked at.
    None,
}

/// What is reserved under the caller's limits before a backend is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReserveBy {
    /// The prompt, counted near a limit, and the completion that is allowed.
    Prompt,
    /// What the size of the body lets expect.
    Estimate,
}

/// Which phases apply to a model's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelPhases {
    /// Defaults and caps of the alias.
    pub alias_rules: bool,
    /// The cache is asked, and filled.
    pub cache: bool,
    /// How limits are asked.
    pub reserve_by: ReserveBy,
}

impl ModelPhases {
    /// The phases of requests in a format.
    #[must_use]
    pub fn of(format: ClientFormat) -> Self {
        let media = format.is_media();
        Self {
            alias_rules: format.bounds_output(),
            cache: format.is_cacheable(),
            reserve_by: if media { ReserveBy::Estimate } else { ReserveBy::Prompt },
        }
    }
}

impl CallKind<'_> {
    /// How its body is taken.
    #[must_use]
    pub fn body(&self) -> BodyMode {
        match self {
            Self::Model { .. } | Self::TokenCount { .. } => BodyMode::Whole,
            Self::Passthrough { .. } => BodyMode::Streamed,
            Self::StoredResponse { .. } => BodyMode::None,
        }
    }

    /// What it is called in usage events, until more is known.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Model { format, .. } | Self::TokenCount { format, .. } => format.operation(),
            Self::StoredResponse { .. } | Self::Passthrough { .. } => Operation::Passthrough,
        }
    }

    /// Whether its caller may send the key in the query. What is passed through has a query of its own.
    #[must_use]
    pub const fn has_key_in_query(&self) -> bool {
        match self {
            Self::Model { format, .. } | Self::TokenCount { format, .. } => format.has_key_in_query(),
            Self::StoredResponse { .. } | Self::Passthrough { .. } => false,
        }
    }

    /// The API format in usage events.
    #[must_use]
    pub fn api_format(&self) -> &'static str {
        match self {
            Self::Model { format, .. } | Self::TokenCount { format, .. } => format.as_str(),
            Self::StoredResponse { .. } => ClientFormat::Responses.as_str(),
            Self::Passthrough { .. } => "passthrough",
        }
    }
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
