//! The time that a report covers, in UTC: from a moment (included) to a moment (excluded).

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::ReportError;

/// A half-open range of event times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// First moment in it.
    pub from: Timestamp,
    /// First moment after it.
    pub to: Timestamp,
}

impl Period {
    /// From the options of a report: a month (`2026-11`), or a range of days or moments; the month of `now`
    /// when nothing is given.
    ///
    /// # Errors
    /// When a value cannot be read, both ways are mixed, or the range is empty.
    pub fn from_options(
        month: Option<&str>,
        from: Option<&str>,
        to: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, ReportError> {
        match (month, from, to) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                Err(wrong("give either a month, or from and to".to_owned()))
            }
            (Some(month), None, None) => Self::month(month),
            (None, None, None) => Self::month(&now.strftime("%Y-%m").to_string()),
            (None, Some(from), to) => Self::range(moment(from)?, to.map_or(Ok(now), moment)?),
            (None, None, Some(_)) => Err(wrong("`to` needs a `from`".to_owned())),
        }
    }

    /// A calendar month, UTC.
    ///
    /// # Errors
    /// When it is not of the form `2026-11`.
    pub fn month(text: &str) -> Result<Self, ReportError> {
        let not_a_month = || wrong(format!("`{}` is not a month such as 2026-11", cut(text)));
        let shaped = text.len() == 7 && text.as_bytes().get(4) == Some(&b'-');
        let first: Date = format!("{text}-01").parse().map_err(|_| not_a_month())?;
        let next = first.checked_add(1.month()).map_err(|_| not_a_month())?;
        if !shaped {
            return Err(not_a_month());
        }
        Self::range(midnight(first)?, midnight(next)?)
    }

    fn range(from: Timestamp, to: Timestamp) -> Result<Self, ReportError> {
        if from >= to {
            return Err(wrong(format!("the period from {from} to {to} is empty")));
        }
        Ok(Self { from, to })
    }

    /// As a condition over the events.
    pub(crate) fn sql(&self) -> String {
        format!(
            "event_time >= fromUnixTimestamp64Milli({}, 'UTC') AND event_time < fromUnixTimestamp64Milli({}, 'UTC')",
            self.from.as_millisecond(),
            self.to.as_millisecond()
        )
    }
}

/// A day means its midnight, UTC.
fn moment(text: &str) -> Result<Timestamp, ReportError> {
    if text.len() == 10
        && let Ok(day) = text.parse::<Date>()
    {
        return midnight(day);
    }
    text.parse().map_err(|_| {
        wrong(format!("`{}` is neither a day (2026-11-01) nor a moment (2026-11-01T10:00:00Z)", cut(text)))
    })
}

fn midnight(day: Date) -> Result<Timestamp, ReportError> {
    day.to_zoned(TimeZone::UTC).map(|at| at.timestamp()).map_err(|error| wrong(error.to_string()))
}

fn wrong(message: String) -> ReportError {
    ReportError::Period(message)
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        month: Option<&str>,
        from: Option<&str>,
        to: Option<&str>,
        expected: Result<(&str, &str), &str>,
    ) {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        match (Period::from_options(month, from, to, now), expected) {
            (Ok(period), Ok((from, to))) => {
                assert_eq!((period.from.to_string().as_str(), period.to.to_string().as_str()), (from, to));
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (given, expected) => panic!("{given:?} is not {expected:?}"),
        }
    }

    #[test]
    fn a_month_ends_where_the_next_begins() {
        check(Some("2026-11"), None, None, Ok(("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")));
        check(Some("2026-12"), None, None, Ok(("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")));
        check(Some("2028-02"), None, None, Ok(("2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z")));
        check(None, None, None, Ok(("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")));
    }

    #[test]
    fn a_range_takes_days_and_moments() {
        let to = Some("2026-11-03T12:30:00+01:00");
        check(None, Some("2026-11-01"), to, Ok(("2026-11-01T00:00:00Z", "2026-11-03T11:30:00Z")));
        check(None, Some("2026-11-01"), None, Ok(("2026-11-01T00:00:00Z", "2026-11-21T10:00:00Z")));
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for month in ["2026-13", "2026", "2026-1", "26-11", "2026-11-05", "", "2026/11", "x"] {
            check(Some(month), None, None, Err("is not a month"));
        }
        check(Some("2026-11"), Some("2026-11-01"), None, Err("either a month"));
        check(None, None, Some("2026-11-01"), Err("needs a `from`"));
        check(None, Some("2026-11-02"), Some("2026-11-02"), Err("is empty"));
        check(None, Some("yesterday"), None, Err("neither a day"));
    }
}
