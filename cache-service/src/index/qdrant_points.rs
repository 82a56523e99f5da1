//! How entries look as Qdrant points: pure translation both ways.
//!
//! A point's id is the entry's event id. Every wall is a payload field of its own with a keyword index, and
//! every filter names all of them.

use std::collections::HashMap;

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{
    Condition, FieldCondition, Filter, Match, PointId, PointStruct, Range, Value, point_id::PointIdOptions,
};
use serde_json::value::RawValue;
use tollgate_schemas::cache::{CacheInvalidate, CachePartition};
use tollgate_schemas::ids::EventId;
use uuid::Uuid;

use super::{Entry, Found, IndexError, Query};

/// Fields compared as whole strings.
pub(super) const KEYWORD_FIELDS: [&str; 6] =
    ["tenant", "scope", "model", "context_hash", "exact_key", "guard"];
/// Fields compared as numbers.
pub(super) const INTEGER_FIELDS: [&str; 2] = [STORED_AT, EXPIRES_AT];
pub(super) const STORED_AT: &str = "stored_at_ms";
const EXPIRES_AT: &str = "expires_at_ms";
const RESPONSE: &str = "response";

pub(super) fn to_point(entry: Entry, dimensions: usize) -> PointStruct {
    let Entry { event_id, partition, exact_key, meaning, stored_at_ms, expires_at_ms, response } = entry;
    let meaning = meaning.filter(|meaning| meaning.vector.len() == dimensions);
    let guard = meaning.as_ref().map(|meaning| meaning.guard.to_string());
    let strings =
        walls(&partition).into_iter().chain([("exact_key", &*exact_key), (RESPONSE, response.get())]);
    let mut payload: HashMap<String, Value> =
        strings.map(|(name, text)| (name.to_owned(), text.into())).collect();
    payload.insert(STORED_AT.to_owned(), stored_at_ms.into());
    payload.insert(EXPIRES_AT.to_owned(), expires_at_ms.into());
    if let Some(guard) = guard {
        payload.insert("guard".to_owned(), guard.into());
    }
    // Without a guard no search finds the point, so its vector only has to be one.
    let vector = meaning.map_or_else(|| axis(dimensions), |meaning| meaning.vector);
    PointStruct::new(to_point_id(event_id), vector, payload)
}

pub(super) fn to_point_id(id: EventId) -> PointId {
    PointId::from(id.0.to_string())
}

pub(super) fn from_point_id(id: Option<PointId>) -> Result<EventId, IndexError> {
    match id.and_then(|id| id.point_id_options) {
        Some(PointIdOptions::Uuid(text)) => {
            Uuid::parse_str(&text).map(EventId).map_err(|error| IndexError::Refused(error.to_string()))
        }
        _ => Err(IndexError::Refused("a point has no UUID".to_owned())),
    }
}

pub(super) fn to_found(
    id: Option<PointId>,
    mut payload: HashMap<String, Value>,
    similarity: f32,
) -> Result<Found, IndexError> {
    let damaged = || IndexError::Refused("a point lacks its answer".to_owned());
    let stored_at_ms = stored_at(&payload).ok_or_else(damaged)?;
    let Some(Kind::StringValue(text)) = payload.remove(RESPONSE).and_then(|value| value.kind) else {
        return Err(damaged());
    };
    let response = RawValue::from_string(text).map_err(|_| damaged())?;
    Ok(Found { event_id: from_point_id(id)?, similarity, stored_at_ms, response })
}

pub(super) fn stored_at(payload: &HashMap<String, Value>) -> Option<i64> {
    match payload.get(STORED_AT)?.kind {
        Some(Kind::IntegerValue(ms)) => Some(ms),
        _ => None,
    }
}

/// Whether a point that was found is where it was looked for. Filters said so already; an answer in a wrong
/// tenant's hands is worth a second look.
pub(super) fn belongs_to(payload: &HashMap<String, Value>, partition: &CachePartition) -> bool {
    walls(partition).into_iter().all(|(name, wanted)| {
        let kind = payload.get(name).and_then(|value| value.kind.as_ref());
        matches!(kind, Some(Kind::StringValue(text)) if text == wanted)
    })
}

fn walls(partition: &CachePartition) -> [(&'static str, &str); 4] {
    let CachePartition { tenant, scope, model, context_hash } = partition;
    [("tenant", tenant), ("scope", scope), ("model", model), ("context_hash", context_hash)]
}

/// The whole value, character by character. `Condition::matches` would turn a value with white space into a
/// search for its words, and find "Acme Labs" for "Acme".
fn equals(field: &str, value: &str) -> Condition {
    let wanted = Match { match_value: Some(MatchValue::Keyword(value.to_owned())) };
    let field = FieldCondition { key: field.to_owned(), r#match: Some(wanted), ..FieldCondition::default() };
    Condition { condition_one_of: Some(ConditionOneOf::Field(field)) }
}

pub(super) fn in_partition(partition: &CachePartition) -> Vec<Condition> {
    walls(partition).map(|(name, value)| equals(name, value)).into()
}

pub(super) fn exact_filter(partition: &CachePartition, exact_key: &str, now_ms: i64) -> Filter {
    let mut conditions = in_partition(partition);
    conditions.push(equals("exact_key", exact_key));
    conditions.push(alive(now_ms));
    Filter::must(conditions)
}

pub(super) fn search_filter(query: &Query) -> Filter {
    let mut conditions = in_partition(&query.partition);
    conditions.push(equals("guard", &query.meaning.guard.to_string()));
    conditions.push(alive(query.now_ms));
    Filter::must(conditions)
}

pub(super) fn invalidation_filter(filter: &CacheInvalidate) -> Filter {
    let mut conditions = vec![equals("tenant", &filter.tenant)];
    conditions.extend(filter.scope.as_ref().map(|scope| equals("scope", scope)));
    conditions.extend(filter.model.as_ref().map(|model| equals("model", model)));
    let before = |ms: i64| Condition::range(STORED_AT, Range { lt: Some(ms as f64), ..Range::default() });
    conditions.extend(filter.stored_before_ms.map(before));
    Filter::must(conditions)
}

pub(super) fn expired_filter(now_ms: i64) -> Filter {
    Filter::must([Condition::range(EXPIRES_AT, Range { lte: Some(now_ms as f64), ..Range::default() })])
}

/// Milliseconds since 1970 are far below 2⁵³, where doubles stop telling integers apart.
fn alive(now_ms: i64) -> Condition {
    Condition::range(EXPIRES_AT, Range { gt: Some(now_ms as f64), ..Range::default() })
}

fn axis(dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dimensions];
    if let Some(first) = vector.first_mut() {
        *first = 1.0;
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{entry, now, partition};

    #[test]
    fn walls_with_white_space_are_compared_as_a_whole() {
        let filter = exact_filter(&partition("Acme Labs"), "a key", now());
        for condition in &filter.must {
            let Some(ConditionOneOf::Field(field)) = &condition.condition_one_of else { panic!() };
            let wanted = field.r#match.as_ref().and_then(|wanted| wanted.match_value.as_ref());
            assert!(matches!(wanted, None | Some(MatchValue::Keyword(_))), "{}: {wanted:?}", field.key);
        }
        assert_eq!(filter.must.len(), 6);
    }

    #[test]
    fn a_point_is_read_back_as_it_was_written_and_only_at_its_place() {
        let point = to_point(entry("acme", 7), 3);
        assert!(belongs_to(&point.payload, &partition("acme")));
        assert!(!belongs_to(&point.payload, &partition("umbrella")));
        assert!(!point.payload.contains_key("guard"), "no search by meaning may find it");
        let found = to_found(point.id, point.payload, 1.0).unwrap();
        assert_eq!((found.event_id, found.stored_at_ms), (crate::testing::id(7), now()));
        assert_eq!(found.response.get(), r#"{"answer":7}"#);
    }
}
