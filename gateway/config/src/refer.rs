//! Names that lead to another part of the configuration.

use std::sync::Arc;

use tollgate_base::names::nearest;
use tollgate_settings::Mistakes;

/// Notes a name that leads nowhere.
pub(super) fn refer<'a>(
    mistakes: &mut Mistakes,
    path: String,
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'a Arc<str>> + Clone,
) {
    if known.clone().any(|candidate| &**candidate == name) {
        return;
    }
    let hint = match nearest(name, known.map(|candidate| &**candidate)) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    };
    mistakes.add(path, format!("there is no {kind} `{name}`{hint}"));
}
