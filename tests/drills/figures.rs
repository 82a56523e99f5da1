//! What a drill says.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures are this program's answer")]

use std::fmt::{Display, Write as _};

use anyhow::{Result, ensure};

/// Says how far a drill is.
pub(crate) fn progress(what: impl Display) {
    eprintln!("drill: {what}");
}

/// Figures and bounds of one drill.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    line: String,
    broken: Vec<String>,
}

impl Figures {
    /// Adds a figure.
    pub(crate) fn put(&mut self, name: &str, value: impl Display) -> &mut Self {
        let gap = if self.line.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(self.line, "{gap}{name}={value}");
        self
    }

    /// Adds a figure that must not be above `most`.
    pub(crate) fn bound(&mut self, name: &str, value: u64, most: u64) -> &mut Self {
        if value > most {
            self.broken.push(format!("{name} is {value}, and may be {most}"));
        }
        self.put(name, value)
    }

    /// Prints the figures as the last line.
    ///
    /// # Errors
    /// When a bound is broken.
    pub(crate) fn finish(&self) -> Result<()> {
        println!("{}", self.line);
        ensure!(self.broken.is_empty(), "{}", self.broken.join("; "));
        Ok(())
    }
}
