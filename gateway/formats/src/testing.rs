//! Models that tests translate for.

use tollgate_families::{ApiFormat, Families, Lookup};

use crate::adapt::TargetModel;

/// A model with the traits of its family.
pub(crate) fn target(name: &str, format: ApiFormat) -> TargetModel<'_> {
    let traits = Families::built_in().resolve(&Lookup::new(name, format));
    TargetModel { name, origin: "test", traits: Box::leak(Box::new((*traits).clone())) }
}
