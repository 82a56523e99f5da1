//! The name of a model, as far as it tells the family.
