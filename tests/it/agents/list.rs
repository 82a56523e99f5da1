//! Every agent that is known.

use tokio::process::Command;

use super::more;
use super::program::{self, Asked};
use super::said::{self, Tokens};

/// An agent.
pub(super) struct Agent {
    pub(super) name: &'static str,
    /// Its program below the folder where agents are installed.
    pub(super) program: &'static str,
    pub(super) prepare: fn(&mut Command, &Asked<'_>),
    /// What it says that it has used.
    pub(super) tokens: fn(&str) -> Option<Tokens>,
    /// Whether it says them, exactly.
    pub(super) says_sums: bool,
    /// Calls of a model that the task is at least.
    pub(super) calls: usize,
    /// Whether it is one of those that every run of the tests has.
    pub(super) is_usual: bool,
}

const USUAL: Agent = Agent {
    name: "codex",
    program: "node/node_modules/.bin/codex",
    prepare: program::codex,
    tokens: said::codex,
    says_sums: true,
    calls: 4,
    is_usual: true,
};
const OTHER: Agent = Agent { is_usual: false, ..USUAL };

/// All of them.
pub(super) const AGENTS: [Agent; 9] = [
    USUAL,
    Agent {
        name: "claude",
        program: "node/node_modules/.bin/claude",
        prepare: program::claude,
        tokens: said::claude,
        ..USUAL
    },
    Agent {
        name: "opencode",
        program: "node/node_modules/.bin/opencode",
        prepare: program::opencode,
        tokens: said::opencode,
        ..USUAL
    },
    Agent {
        name: "qwen",
        program: "node/node_modules/.bin/qwen",
        prepare: program::qwen,
        tokens: said::qwen,
        ..USUAL
    },
    Agent {
        name: "gemini",
        program: "more/node_modules/.bin/gemini",
        prepare: more::gemini,
        tokens: said::gemini,
        ..OTHER
    },
    Agent { name: "pi", program: "more/node_modules/.bin/pi", prepare: more::pi, tokens: said::pi, ..OTHER },
    Agent {
        name: "cline",
        program: "more/node_modules/.bin/cline",
        prepare: more::cline,
        tokens: said::cline,
        ..OTHER
    },
    Agent {
        name: "continue",
        program: "more/node_modules/.bin/cn",
        prepare: more::continues,
        tokens: said::nothing,
        says_sums: false,
        ..OTHER
    },
    // It has no tools: it writes the file from one answer.
    Agent {
        name: "aider",
        program: "python/bin/aider",
        prepare: more::aider,
        tokens: said::nothing,
        says_sums: false,
        calls: 1,
        ..OTHER
    },
];
