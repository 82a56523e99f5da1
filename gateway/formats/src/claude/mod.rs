//! What Messages and Converse say alike: how Claude models think, which tools must be used, sampling, answers of a
//! given form.

mod choice;
mod form;
mod sampling;
mod strict;
mod thinking;

pub(crate) use choice::{Choice, choice};
pub(crate) use form::{Form, form};
pub(crate) use sampling::{sampled, taken};
pub(crate) use strict::StrictTools;
pub(crate) use thinking::{Plan, Thinking, most_output, plan};

/// Opens a conversation that the user does not open: these APIs want a turn of the user first.
pub(crate) const OPENING: &str = "Begin.";
/// Closes a conversation that ends with the model, where the model refuses to go on by itself.
pub(crate) const GO_ON: &str = "Continue.";
