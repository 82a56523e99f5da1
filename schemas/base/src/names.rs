//! Names that a client may have meant.

use std::sync::Arc;

/// Most names that are suggested.
const MOST: usize = 3;
/// Longer names are not compared: the cost grows with the square of the length.
const LONGEST: usize = 128;

/// The names most like `wanted`, best first, at most three; those with nothing in common are left out.
#[must_use]
pub fn near_names<'a>(wanted: &str, names: impl IntoIterator<Item = &'a Arc<str>>) -> Vec<Arc<str>> {
    if wanted.len() > LONGEST {
        return Vec::new();
    }
    let wanted = wanted.to_lowercase();
    let mut near: Vec<(usize, &Arc<str>)> =
        names.into_iter().filter_map(|name| distance(&wanted, name).map(|steps| (steps, name))).collect();
    near.sort();
    near.into_iter().take(MOST).map(|(_, name)| Arc::clone(name)).collect()
}

/// Edits between the names, when they are few for their length or one name begins with the other.
fn distance(wanted: &str, name: &str) -> Option<usize> {
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_lowercase();
    let steps = strsim::damerau_levenshtein(wanted, &name);
    let length = wanted.chars().count().max(name.chars().count());
    let begins =
        !wanted.is_empty() && (name.starts_with(wanted) || wanted.starts_with(&name) && !name.is_empty());
    (begins || steps * 5 <= length * 2).then_some(steps)
}

/// The candidate most like `wrong`, when one is alike at all.
#[must_use]
pub fn nearest<'a>(wrong: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, expected: &[&str]) {
        let names =
            ["gpt", "gpt-mini", "gpt-mini-high", "claude", "claude-fast", "embed"].map(Arc::<str>::from);
        let found = near_names(wanted, &names);
        assert_eq!(found.iter().map(|name| &**name).collect::<Vec<_>>(), expected, "{wanted}");
    }

    #[test]
    fn slips_and_beginnings_are_recognised() {
        check("cluade", &["claude"]);
        check("GPT-mimi", &["gpt-mini", "gpt"]);
        check("claude-3-5-sonnet", &["claude"]);
        check("gpt", &["gpt", "gpt-mini", "gpt-mini-high"]);
    }

    #[test]
    fn what_has_nothing_in_common_is_not_suggested() {
        check("llama", &[]);
        check("", &[]);
        check(&"x".repeat(10_000), &[]);
    }
}
