//! Patterns of names: `*` stands for any text, everything else for itself.

/// Whether the whole of `text` fits `pattern`. Both in lower case.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let Some((middle, end)) = rest.rsplit_once('*') else { return text.ends_with(rest) };
    for part in middle.split('*') {
        match text.find(part) {
            Some(at) => text = text.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("gpt-5", "gpt-5", true),
            ("gpt-5", "gpt-5-mini", false),
            ("gpt-5*", "gpt-5", true),
            ("*-pro*", "gpt-5.2-pro", true),
            ("gpt-*-pro*", "gpt-pro", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-c", false),
            ("a*bc*c", "abc", false),
            ("*", "", true),
            ("ab*ba", "aba", false),
            ("*distill-llama*", "deepseek-r1-distill-llama-70b", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
