//! The word that some models want to read in a message before they answer with JSON that has no schema.

use crate::exchange::{Part, Request, SystemText};

/// Says the word where nobody has.
pub(crate) const INSTRUCTION: &str = "Answer with JSON.";

/// Whether the word stands in the first turn. What is said later is not looked at: a turn more must not change how the
/// prompt begins.
pub(crate) fn is_in_first_turn(request: &Request<'_>) -> bool {
    let first = request.turns.first().into_iter().flat_map(|turn| &turn.parts);
    first.into_iter().any(|part| matches!(part, Part::Text { text, .. } if is_in(text)))
}

/// Whether it stands in the developer's instructions.
pub(crate) fn is_in_instructions(system: &[SystemText<'_>]) -> bool {
    system.iter().any(|text| is_in(&text.text))
}

fn is_in(text: &str) -> bool {
    text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"))
}
