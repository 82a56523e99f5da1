//! Schemas of answers as a model takes them.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tollgate_families::Traits;

use crate::schema::{self, Fitted};
use crate::unmapped::Unmapped;

/// The schema of an answer, and whether it can be strict. What is not held as it was asked for is named.
pub(crate) fn fitted<'r>(
    schema: &'r RawValue,
    strict: Option<bool>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> (Cow<'r, str>, Option<bool>) {
    let Fitted { json, may_be_strict, is_looser } = schema::fitted(schema, &traits.schema);
    let cannot_be_strict = strict == Some(true) && !may_be_strict;
    if is_looser || cannot_be_strict {
        unmapped.hint("response_format.json_schema");
    }
    (json, if cannot_be_strict { Some(false) } else { strict })
}
