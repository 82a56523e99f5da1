//! Everything that is wrong with a configuration, at once and each with its path.

use std::fmt;

/// Everything wrong with a configuration, each with its path.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

/// One thing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where: `models.gpt.targets[0].backend`.
    pub path: String,
    /// What, and what to do.
    pub message: String,
}

impl Mistakes {
    /// Notes a mistake.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Mistake { path: path.into(), message: message.into() });
    }

    /// Notes a mistake unless the value is fine.
    pub fn check(&mut self, fine: bool, path: impl Into<String>, message: impl Into<String>) {
        if !fine {
            self.add(path, message);
        }
    }

    /// Notes the mistakes of a part of the configuration that stands at `section`.
    pub fn add_section(&mut self, section: &str, mistakes: Self) {
        for mistake in mistakes.0 {
            self.add(format!("{section}.{}", mistake.path), mistake.message);
        }
    }

    /// Notes all of another list as they are.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// `Ok` when there is none.
    ///
    /// # Errors
    /// Itself, when there is any.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n  " };
            write!(f, "{separator}{}: {}", mistake.path, mistake.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_of_a_section_are_found_below_it() {
        let mut section = Mistakes::default();
        section.check(true, "listen", "is fine");
        section.check(false, "batch.records", "use 1 to 1000000");
        let mut all = Mistakes::default();
        all.add("events", "is missing");
        all.add_section("accounting", section);
        assert_eq!(
            all.into_result().unwrap_err().to_string(),
            "events: is missing\n  accounting.batch.records: use 1 to 1000000"
        );
    }
}
