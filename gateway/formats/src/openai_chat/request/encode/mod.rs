//! From the common view into a chat request for a backend: as the model takes it.
//!
//! Left out without a word, because nothing the caller asked for is lost: marks for prompt caches where servers cache by
//! themselves. That a tool failed is said in the text of its result.

mod conversation;
mod labels;
mod output;
mod parts;
mod sampling;
mod thinking;
mod tools;

use crate::adapt::{Place, TargetModel};
use crate::error::FormatError;
use crate::exchange::Request;
use crate::json::Object;
use crate::unmapped::Unmapped;

pub(in super::super) use labels::TIERS;
pub(in super::super) use tools::write_call;

/// What this API takes, whatever the model.
pub const PLACE: Place = Place {
    takes_unmarked_proofs: false,
    has_system_turns: true,
    most_name_letters: 64,
    has_allowed_tools: false,
};

/// Writes a request for a model. A stream is always asked for its usage.
///
/// # Errors
/// When the request holds what the model or this format has no place for.
pub fn encode(
    request: &Request<'_>,
    target: TargetModel<'_>,
    unmapped: &mut Unmapped,
) -> Result<Vec<u8>, FormatError> {
    let traits = target.traits;
    let offered = tools::offered(request, traits, unmapped)?;
    let thinking = thinking::plan(request, traits, !offered.is_empty(), unmapped);
    let form = output::plan(request, traits, !offered.is_empty(), thinking.thinks, unmapped);
    let mut out = Vec::with_capacity(1024);
    let mut body = Object::new(&mut out);
    body.put("model", target.name);
    conversation::write(&mut body, request, traits, thinking.thinks, form.instruction.as_deref(), unmapped)?;
    tools::write(&mut body, request, &offered, traits, thinking.thinks, unmapped);
    sampling::write(&mut body, request, traits, thinking.thinks, unmapped)?;
    form.write(&mut body);
    thinking.write(&mut body);
    if request.stream {
        body.put("stream", &true).raw("stream_options", r#"{"include_usage":true}"#);
    }
    labels::write(&mut body, request, traits, unmapped)?;
    body.end();
    Ok(out)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod told_tests;
