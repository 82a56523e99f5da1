//! Invented answers: a pure function of the prompt, so that the same question has the same answer.

use crate::sim::models::Model;

/// Sentences about a topic; `{}` is the topic.
const SENTENCES: [&str; 20] = [
    "The short answer is that {} depends on what you want to keep fixed.",
    "Start by writing down what {} has to do for its users, and only then how.",
    "Most teams that looked into {} began with the part they could measure.",
    "There are three things to keep in mind about {}: its cost, its limits and who owns it.",
    "A useful way to think about {} is to ask what happens when it is missing.",
    "In practice {} is easier to change early than late.",
    "You can try {} on a small sample first and compare the results.",
    "One common mistake with {} is to plan for the average and forget the worst case.",
    "The documentation of {} usually lists the defaults; check them before you change anything.",
    "If the numbers for {} look too good, look at how they were collected.",
    "For {} the order of the steps matters more than their speed.",
    "It helps to agree on one word for each part of {} and to use it everywhere.",
    "Two people rarely mean the same by {}, so ask for an example.",
    "When {} fails, the first error in the log is more useful than the last one.",
    "Keep a list of open questions about {} and answer one of them each day.",
    "The cheapest test of {} is often a piece of paper and ten minutes.",
    "Not everything about {} has to be decided today.",
    "If {} has to work at night, it has to be simple.",
    "A second opinion on {} costs little and has saved many projects.",
    "In summary: make {} small, make it visible, and review it after a month.",
];

/// Words too plain to be the topic of an answer.
const PLAIN: [&str; 24] = [
    "about", "after", "again", "answer", "because", "before", "could", "does", "explain", "from", "have",
    "please", "should", "tell", "that", "their", "there", "these", "this", "what", "when", "where", "which",
    "with",
];

/// An answer to `prompt` in the manner of `model`.
#[must_use]
pub fn compose(prompt: &str, model: &Model) -> String {
    let seed = hash(prompt.as_bytes()) ^ hash(model.name.as_bytes());
    let topic = topic(prompt);
    let (least, most) = model.sentences;
    let count = least + usize::try_from(seed >> 7).unwrap_or(0) % (most - least + 1);
    let first = usize::try_from(seed & 0xffff).unwrap_or(0);
    // A step that shares no factor with the number of sentences never repeats one.
    let chosen = (0..count).map(|n| SENTENCES[(first + n * 7) % SENTENCES.len()].replace("{}", topic));
    chosen.collect::<Vec<_>>().join(" ")
}

/// An answer of exactly `bytes` bytes.
#[must_use]
pub fn of_length(bytes: usize) -> String {
    let text = SENTENCES.join(" ").replace("{}", "the plan") + " ";
    text.chars().cycle().take(bytes).collect()
}

/// The longest word of the prompt's end that says something.
fn topic(prompt: &str) -> &str {
    let cut = prompt.char_indices().rev().nth(400).map_or(0, |(at, _)| at);
    prompt[cut..]
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 3 && !PLAIN.contains(&word.to_lowercase().as_str()))
        .max_by_key(|word| word.chars().count())
        .unwrap_or("this")
}

/// The text as pieces of a stream: words with the space before them, or cut into `count` equal parts where the text has that many.
#[must_use]
pub fn pieces(text: &str, count: Option<usize>) -> Vec<&str> {
    let words: Vec<&str> = split_words(text);
    let Some(count) = count.filter(|count| *count > 0) else { return words };
    if text.is_ascii() && text.len() >= count {
        let bounds = (0..=count).map(|n| n * text.len() / count).collect::<Vec<_>>();
        return bounds.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
    }
    words
}

fn split_words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(' ').filter(|(at, _)| *at > 0) {
        words.push(&text[start..at]);
        start = at;
    }
    words.push(&text[start..]);
    words
}

/// FNV-1a: short, and the same on every machine and in every build.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::models::find;

    #[test]
    fn the_same_question_has_the_same_answer_and_another_has_another() {
        let model = find("sim-small").unwrap();
        assert_eq!(compose("How do refunds work?", model), compose("How do refunds work?", model));
        assert_ne!(compose("How do refunds work?", model), compose("What is a mailbox?", model));
    }

    #[test]
    fn answers_are_about_the_question() {
        let answer = compose("Please explain reconciliation", find("sim-large").unwrap());
        assert!(answer.contains("reconciliation"), "{answer}");
    }

    #[test]
    fn pieces_put_together_are_the_text_again() {
        for text in ["one two  three", "", "één twee drie", " x"] {
            for count in [None, Some(1), Some(3), Some(40)] {
                assert_eq!(pieces(text, count).concat(), text, "{text:?} in {count:?}");
            }
        }
        assert_eq!(pieces(&of_length(100), Some(40)).len(), 40);
        assert_eq!(pieces(&of_length(1000), Some(200)).len(), 200);
    }

    #[test]
    fn a_fixed_length_is_kept() {
        assert_eq!(of_length(5000).len(), 5000);
    }
}
