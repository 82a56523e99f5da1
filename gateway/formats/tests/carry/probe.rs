//! One thing that a client can say, and what becomes of it on the way to a backend.

use serde_json::{Map, Value};
use tollgate_formats::{FormatError, OnUnmappable};

use super::formats::{Backend, Client, Sent};

/// A request without something and the same request with it. Each is a minimal one whose members are replaced.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) name: &'static str,
    without: &'static str,
    with: &'static str,
}

/// Something that the minimal request lacks.
pub(crate) const fn probe(name: &'static str, with: &'static str) -> Probe {
    Probe { name, without: "{}", with }
}

/// Something that needs other members beside it.
pub(crate) const fn on(name: &'static str, without: &'static str, with: &'static str) -> Probe {
    Probe { name, without, with }
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Carried,
    Changed,
    LeftOut,
    Refused,
    NoEffect,
}

impl Verdict {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Carried => "carried",
            Self::Changed => "changed",
            Self::LeftOut => "left out",
            Self::Refused => "refused",
            Self::NoEffect => "–",
        }
    }
}

impl Probe {
    /// What becomes of it, or why a request is refused that must not be.
    pub(crate) fn verdict(&self, client: &Client, backend: &Backend) -> Result<Verdict, String> {
        let without = merged(client.minimal, &[self.without]);
        let with = merged(client.minimal, &[self.without, self.with]);
        let send = |body: &[u8], policy| client.send(backend, body, policy);
        let plain = send(&without, OnUnmappable::Drop).map_err(|error| format!("without it: {error}"))?;
        let dropped = send(&with, OnUnmappable::Drop).map_err(|error| format!("with `drop`: {error}"))?;
        match send(&with, OnUnmappable::Reject) {
            Ok(sent) if sent.body == dropped.body => Ok(compared(&plain, &sent)),
            Ok(_) => Err("the policy changes a request that is not refused".to_owned()),
            Err(FormatError::Unsupported { param }) if !dropped.dropped.contains(&param.to_string()) => {
                Err(format!("`{param}` is refused, and with `drop` not named"))
            }
            Err(_) => Ok(Verdict::Refused),
        }
    }
}

fn compared(plain: &Sent, sent: &Sent) -> Verdict {
    let is_named = sent.dropped.iter().any(|name| !plain.dropped.contains(name));
    match (sent.body == plain.body, is_named) {
        (false, false) => Verdict::Carried,
        (false, true) => Verdict::Changed,
        (true, true) => Verdict::LeftOut,
        (true, false) => Verdict::NoEffect,
    }
}

fn merged(minimal: &str, patches: &[&str]) -> Vec<u8> {
    let read = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
    let mut body = read(minimal);
    for patch in patches {
        body.extend(read(patch));
    }
    serde_json::to_vec(&body).unwrap()
}
