//! The name of a deployment: one model at one backend.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Names a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct DeploymentId {
    /// Configured name of the backend.
    pub backend: Arc<str>,
    /// The model's name there.
    pub model: Arc<str>,
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.backend, self.model)
    }
}
