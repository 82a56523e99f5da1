//! What a report can be grouped by: a closed set, so that no text of a caller reaches the SQL.

use std::str::FromStr;

use super::ReportError;

macro_rules! dimensions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $sql:literal;)+) => {
        /// A column of a report.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Dimension {
            $($(#[$doc])* $variant,)+
        }

        impl Dimension {
            /// Every dimension, in the order of the help text.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name that callers use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Its value as SQL over the events.
            pub(super) const fn sql(self) -> &'static str {
                match self { $(Self::$variant => $sql,)+ }
            }
        }
    };
}

dimensions! {
    /// The company or business unit that the bill goes to.
    Tenant = "tenant", "toString(tenant)";
    /// Cost center.
    CostCenter = "cost_center", "toString(cost_center)";
    /// Team.
    Team = "team", "toString(team)";
    /// Application.
    App = "app", "toString(app)";
    /// Product.
    Product = "product", "toString(product)";
    /// Subscription.
    Subscription = "subscription", "toString(subscription)";
    /// Public id of the gateway key.
    KeyId = "key_id", "toString(key_id)";
    /// Keyed hash of the end user.
    Subject = "subject", "subject";
    /// Company that serves the model.
    Provider = "provider", "toString(provider)";
    /// Backend.
    Backend = "backend", "toString(backend)";
    /// Region of the backend.
    Region = "region", "toString(region)";
    /// Model at the backend.
    Model = "model", "toString(model)";
    /// Alias that the client asked for.
    ModelRequested = "model_requested", "toString(model_requested)";
    /// Variant of a weighted trial.
    Variant = "variant", "toString(variant)";
    /// Kind of operation.
    Operation = "operation", "toString(operation)";
    /// API format that the client spoke.
    ApiFormat = "api_format", "toString(api_format)";
    /// How attempts ended.
    Outcome = "outcome", "toString(outcome)";
    /// Stable code of refusals and failures.
    ErrorCode = "error_code", "toString(error_code)";
    /// Where the quantities come from.
    UsageSource = "usage_source", "toString(usage_source)";
    /// Token class.
    Class = "class", "toString(line_class)";
    /// Gateway replica.
    Gateway = "gateway", "toString(gateway_id)";
    /// Hour, UTC.
    Hour = "hour", "formatDateTime(toStartOfHour(event_time), '%Y-%m-%dT%H:00:00Z', 'UTC')";
    /// Day, UTC.
    Day = "day", "toString(toDate(event_time, 'UTC'))";
    /// Month, UTC.
    Month = "month", "formatDateTime(event_time, '%Y-%m', 'UTC')";
}

impl Dimension {
    /// Reads a comma-separated list; an empty text is an empty list.
    ///
    /// # Errors
    /// When a name does not exist (with the nearest one) or is given twice.
    pub fn list(text: &str) -> Result<Vec<Self>, ReportError> {
        let mut found = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let dimension: Self = name.parse()?;
            if found.contains(&dimension) {
                return Err(ReportError::Twice(dimension.name()));
            }
            found.push(dimension);
        }
        Ok(found)
    }
}

impl FromStr for Dimension {
    type Err = ReportError;

    fn from_str(name: &str) -> Result<Self, ReportError> {
        Self::ALL.iter().copied().find(|dimension| dimension.name() == name).ok_or_else(|| {
            let score = |dimension: &Self| strsim::jaro_winkler(dimension.name(), name);
            let nearest = Self::ALL.iter().max_by(|a, b| score(a).total_cmp(&score(b)));
            let hint = match nearest {
                Some(nearest) if score(nearest) > 0.8 => format!("did you mean `{}`?", nearest.name()),
                _ => {
                    let names: Vec<_> = Self::ALL.iter().map(|dimension| dimension.name()).collect();
                    format!("use {}", names.join(", "))
                }
            };
            let name = name.chars().take(64).collect();
            ReportError::Dimension { name, hint }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order() {
        let found = Dimension::list("model, cost_center").unwrap();
        assert_eq!(found, [Dimension::Model, Dimension::CostCenter]);
        assert_eq!(Dimension::list("").unwrap(), []);
    }

    #[test]
    fn an_unknown_dimension_comes_with_the_nearest_one() {
        let error = Dimension::list("cost_centre").unwrap_err().to_string();
        assert_eq!(error, "there is no dimension `cost_centre`; did you mean `cost_center`?");
        let error = Dimension::list("x'); DROP TABLE usage_events --").unwrap_err().to_string();
        assert!(error.contains("use tenant, cost_center"), "{error}");
    }

    #[test]
    fn a_dimension_twice_is_refused() {
        assert_eq!(Dimension::list("team,team"), Err(ReportError::Twice("team")));
    }

    #[test]
    fn every_dimension_is_found_by_its_name() {
        for dimension in Dimension::ALL {
            assert_eq!(dimension.name().parse(), Ok(*dimension));
        }
    }
}
