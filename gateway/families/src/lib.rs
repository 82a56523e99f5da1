//! What each family of models takes beyond what an API format allows: bounds, parameters, thoughts, tools, media.
//!
//! Two models behind one address refuse different fields. [`Families::resolve`] finds the family by the real name of a
//! model, adds what the place that serves it changes, and gives the [`Traits`] that encoders consult. It is asked once
//! per target, when a configuration is compiled. The facts are in dated data files with their sources, in `data/`.

mod catalogue;
mod effort;
mod families;
mod glob;
mod group;
mod lookup;
mod name;
pub mod overflow;
mod traits;

pub use effort::{Effort, Nearest};
pub use families::{Families, FamilyConfig};
pub use lookup::{ApiFormat, Lookup};
pub use traits::*;
