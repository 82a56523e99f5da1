//! The text of a golden file: prose, then sections.

/// A golden file.
pub(crate) struct Case<'a> {
    /// What the case is about.
    pub(crate) prose: &'a str,
    /// Title and text of each section, in order.
    pub(crate) sections: Vec<(&'a str, &'a str)>,
}

impl<'a> Case<'a> {
    /// Splits a file at its titles.
    pub(crate) fn read(text: &'a str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        let first = starts(text).next().unwrap_or(text.len());
        let prose = &text[..first];
        rest = &rest[first..];
        while !rest.is_empty() {
            let end = starts(&rest[1..]).next().map_or(rest.len(), |at| at + 1);
            let (title, body) = rest[..end].split_once('\n').ok_or("a title without text")?;
            let title = title.strip_prefix("=== ").ok_or("a title without a name")?.trim();
            parts.push((title, body.trim_end_matches('\n')));
            rest = &rest[end..];
        }
        if parts.is_empty() {
            return Err("no sections".to_owned());
        }
        Ok(Self { prose, sections: parts })
    }

    /// The text of the section with this title.
    pub(crate) fn section(&self, title: &str) -> Option<&'a str> {
        self.sections.iter().find(|(name, _)| *name == title).map(|(_, body)| *body)
    }

    /// The first section whose title starts so, with the rest of the title.
    pub(crate) fn section_from(&self, start: &str) -> Option<(&'a str, &'a str)> {
        self.sections.iter().find_map(|(name, body)| Some((name.strip_prefix(start)?.trim(), *body)))
    }
}

/// Places where a title's line starts.
fn starts(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.match_indices("=== ").map(|(at, _)| at).filter(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n')
}

/// The first lines in which two texts differ, with the title of their section.
pub(crate) fn difference(is: &str, should: &str) -> String {
    let (mut old, mut new) = (is.lines(), should.lines());
    let mut title = "";
    for number in 1.. {
        let (old, new) = (old.next(), new.next());
        if let Some(line) = new.filter(|line| line.starts_with("=== ")) {
            title = line;
        }
        if old != new {
            let shown = |line: Option<&str>| line.unwrap_or("(end of file)").to_owned();
            return format!("  line {number}, {title}\n  file: {}\n  now:  {}", shown(old), shown(new));
        }
        if old.is_none() {
            break;
        }
    }
    "  only in line ends".to_owned()
}
