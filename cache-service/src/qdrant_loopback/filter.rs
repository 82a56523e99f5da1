//! Qdrant's filters, evaluated on one point.

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{Condition, FieldCondition, Filter, Range, Value};
use tonic::Status;

use super::{Point, key};

/// Whether a point obeys a filter.
pub(super) fn obeys(point: &Point, filter: &Filter) -> Result<bool, Status> {
    if filter.min_should.is_some() {
        return Err(Status::unimplemented("min_should"));
    }
    let any = |conditions: &[Condition]| {
        conditions
            .iter()
            .try_fold(false, |found, condition| Ok::<_, Status>(found || holds(point, condition)?))
    };
    for condition in &filter.must {
        if !holds(point, condition)? {
            return Ok(false);
        }
    }
    Ok(!any(&filter.must_not)? && (filter.should.is_empty() || any(&filter.should)?))
}

fn holds(point: &Point, condition: &Condition) -> Result<bool, Status> {
    match &condition.condition_one_of {
        Some(ConditionOneOf::Field(field)) => field_holds(point, field),
        Some(ConditionOneOf::Filter(filter)) => obeys(point, filter),
        Some(ConditionOneOf::HasId(ids)) => {
            let own = key(&point.id)?;
            ids.has_id.iter().try_fold(false, |found, id| Ok(found || key(id)? == own))
        }
        _ => Err(Status::unimplemented("condition")),
    }
}

fn field_holds(point: &Point, field: &FieldCondition) -> Result<bool, Status> {
    let Some(value) = point.payload.get(&field.key) else { return Ok(false) };
    if let Some(wanted) = field.r#match.as_ref().and_then(|wanted| wanted.match_value.as_ref())
        && !matches(value, wanted)?
    {
        return Ok(false);
    }
    Ok(field.range.as_ref().is_none_or(|range| within(value, range)))
}

fn matches(value: &Value, wanted: &MatchValue) -> Result<bool, Status> {
    Ok(match (value.kind.as_ref(), wanted) {
        (Some(Kind::StringValue(text)), MatchValue::Keyword(wanted)) => text == wanted,
        (Some(Kind::StringValue(text)), MatchValue::Keywords(wanted)) => wanted.strings.contains(text),
        (Some(Kind::IntegerValue(number)), MatchValue::Integer(wanted)) => number == wanted,
        (Some(Kind::BoolValue(flag)), MatchValue::Boolean(wanted)) => flag == wanted,
        (
            _,
            MatchValue::Keyword(_)
            | MatchValue::Keywords(_)
            | MatchValue::Integer(_)
            | MatchValue::Boolean(_),
        ) => false,
        _ => return Err(Status::unimplemented("match")),
    })
}

fn within(value: &Value, range: &Range) -> bool {
    let Some(number) = number(value) else { return false };
    range.lt.is_none_or(|bound| number < bound)
        && range.lte.is_none_or(|bound| number <= bound)
        && range.gt.is_none_or(|bound| number > bound)
        && range.gte.is_none_or(|bound| number >= bound)
}

/// A payload value as a number; `None` if it is of another kind.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value.kind {
        Some(Kind::IntegerValue(number)) => Some(number as f64),
        Some(Kind::DoubleValue(number)) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qdrant_client::qdrant::PointId;

    fn check(filter: Filter, expected: bool) {
        let payload = [("tenant".to_owned(), "acme".into()), ("age".to_owned(), 7i64.into())].into();
        let point = Point { id: PointId::from(3), vector: vec![], payload };
        assert_eq!(obeys(&point, &filter).unwrap(), expected, "{filter:?}");
    }

    #[test]
    fn conditions_combine_as_in_qdrant() {
        let acme = || Condition::matches("tenant", "acme".to_owned());
        let other = || Condition::matches("tenant", "umbrella".to_owned());
        check(Filter::default(), true);
        check(Filter::must([acme()]), true);
        check(Filter::must([acme(), other()]), false);
        check(Filter::should([acme(), other()]), true);
        check(Filter::must_not([acme()]), false);
        check(Filter::must([Condition::matches("missing", "x".to_owned())]), false);
        check(Filter::must([Filter::should([other(), acme()]).into()]), true);
        check(Filter::must([Condition::has_id([3, 4])]), true);
        check(Filter::must([Condition::has_id([4])]), false);
    }

    #[test]
    fn ranges_are_open_or_closed_as_written() {
        let range = |range| Filter::must([Condition::range("age", range)]);
        check(range(Range { gt: Some(7.0), ..Range::default() }), false);
        check(range(Range { gte: Some(7.0), lt: Some(8.0), ..Range::default() }), true);
        check(range(Range { lte: Some(7.0), ..Range::default() }), true);
        check(Filter::must([Condition::range("tenant", Range { lt: Some(1.0), ..Range::default() })]), false);
    }
}
