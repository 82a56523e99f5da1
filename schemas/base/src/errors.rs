//! Errors as the log shows them.

use std::error::Error;

/// An error followed by what caused it, joined by `: `, causes that it names itself left out. `Display` of an error leaves
/// its source out, so that clients do not see it; logs print the chain.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let reason = source.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the port is wrong")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn causes_follow_their_error() {
        let outer = Outer("x".parse::<u16>().unwrap_err());
        assert_eq!(chain(&outer), "the port is wrong: invalid digit found in string");
    }
}
