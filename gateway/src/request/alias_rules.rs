//! What an alias changes about a request before anybody else sees it: defaults for what the client left out,
//! caps on what it asked for. In the client's own words, so that every later step and every backend format
//! sees the same request; where bytes pass, the bound gets the word of the target's model afterwards.

use bytes::Bytes;
use smallvec::SmallVec;
use tollgate_config::{AliasCaps, AliasDefaults};
use tollgate_crossing::ClientFormat;
use tollgate_formats::FormatError;
use tollgate_formats::view::{Change, View, whole_number};

/// The body as the alias wants it; `None` when it is already so.
///
/// # Errors
/// When a capped field is no number.
pub fn apply(
    client: ClientFormat,
    view: &View<'_>,
    body: &Bytes,
    defaults: &AliasDefaults,
    caps: &AliasCaps,
) -> Result<Option<Bytes>, FormatError> {
    if defaults.is_empty() && caps.is_empty() {
        return Ok(None);
    }
    let mut changes: SmallVec<[Change; 3]> = SmallVec::new();
    bound_output(client, view, defaults, caps, &mut changes)?;
    let asked: Option<f64> = number(view, "temperature")?;
    let wanted = asked.or(defaults.temperature);
    let allowed = match (wanted, caps.temperature) {
        (Some(wanted), Some(cap)) => Some(wanted.min(cap)),
        (wanted, _) => wanted,
    };
    if let Some(temperature) = allowed.filter(|temperature| asked != Some(*temperature)) {
        changes.push(Change::new("temperature", &temperature));
    }
    Ok((!changes.is_empty()).then(|| view.rewrite(body, &changes)))
}

/// Caps every bound on the answer's tokens that the request has, or sets the one that it lacks.
fn bound_output(
    client: ClientFormat,
    view: &View<'_>,
    defaults: &AliasDefaults,
    caps: &AliasCaps,
    changes: &mut SmallVec<[Change; 3]>,
) -> Result<(), FormatError> {
    let cap = caps.max_output_tokens.map(|tokens| tokens.0);
    let within = |wanted: u64| cap.map_or(wanted, |cap| wanted.min(cap));
    let mut is_bounded = false;
    for &field in client.max_tokens_fields() {
        let Some(asked) = tokens(view, field)? else { continue };
        is_bounded = true;
        if within(asked) != asked {
            changes.push(Change::new(field, &within(asked)));
        }
    }
    let wanted = defaults.max_output_tokens.map(|tokens| tokens.0);
    if let Some(tokens) = wanted.map(within).or(cap).filter(|_| !is_bounded) {
        let fields = client.max_tokens_fields();
        // One that is there without a value takes it; two of them would be two bounds.
        let written = fields.iter().find(|field| view.field(field).is_some());
        if let Some(field) = written.or(fields.first()) {
            changes.push(Change::new(field, &tokens));
        }
    }
    Ok(())
}

fn tokens(view: &View<'_>, field: &'static str) -> Result<Option<u64>, FormatError> {
    let Some(raw) = view.field(field) else { return Ok(None) };
    whole_number(raw).map_err(|_| no_number(field))
}

fn number(view: &View<'_>, field: &'static str) -> Result<Option<f64>, FormatError> {
    let Some(raw) = view.field(field) else { return Ok(None) };
    serde_json::from_str(raw.get()).map_err(|_| no_number(field))
}

fn no_number(field: &'static str) -> FormatError {
    FormatError::invalid(format!("`{field}` must be a number"), field)
}

#[cfg(test)]
#[path = "alias_rules_tests.rs"]
mod tests;
