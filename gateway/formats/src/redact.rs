//! What providers say, without what they quote of keys and accounts. Pure.

/// What stands for a hidden word.
const HIDDEN: &str = "***";

/// What begins a word that may be a secret: API keys of OpenAI and its imitators, Google, AWS, xAI, Groq and others, tokens,
/// and the account that they belong to.
const STARTS: [&str; 20] = [
    "sk-", "sk_", "pk-", "rk-", "key-", "api-", "api_", "xai-", "gsk_", "csk-", "nvapi-", "hf_", "org-",
    "proj_", "aiza", "akia", "asia", "eyj", "ya29.", "ak-",
];

/// Letters of a word without an end that no word of a language has.
const LONGEST_WORD: usize = 40;

/// A provider's text without secrets and on one line, at most `limit` bytes of it.
#[must_use]
pub fn without_secrets(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    let mut rest = text;
    let mut hides_next = false;
    while !rest.is_empty() && out.len() < limit {
        let end = rest.find(|letter: char| !is_of_word(letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let hidden = hides_next && word.len() > 3 || is_secret(word);
        out.push_str(if hidden { HIDDEN } else { word });
        if !word.is_empty() {
            hides_next = word.eq_ignore_ascii_case("bearer");
        }
        let mut letters = after.chars();
        if let Some(letter) = letters.next() {
            out.push(if letter.is_control() { ' ' } else { letter });
        }
        rest = letters.as_str();
    }
    let end = out.floor_char_boundary(limit);
    out.truncate(end);
    out
}

/// Letters of keys, stars that a provider has put into one included.
fn is_of_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '*' | '/' | '+' | '=')
}

fn is_secret(word: &str) -> bool {
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit() || byte == b'*');
    let is_long = word.len() >= LONGEST_WORD && has_digit && !word.contains('/');
    let starts =
        |start: &&str| word.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start));
    is_long || (word.len() >= 12 && has_digit && STARTS.iter().any(starts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_accounts_are_hidden_and_words_are_not() {
        for (said, shown) in [
            ("Incorrect API key provided: sk-proj-abc1234567890.", "Incorrect API key provided: ***"),
            ("key sk-ab*********************xyz is wrong", "key *** is wrong"),
            ("limit in organization org-AbC123dEf456 on tokens", "limit in organization *** on tokens"),
            ("bad token Bearer abcdef", "bad token Bearer ***"),
            ("AKIAIOSFODNN7EXAMPLE and AIzaSyD1234567890abcdefg", "*** and ***"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "***"),
            ("0123456789abcdef0123456789abcdef0123456789abcdef", "***"),
            (
                "The model gpt-5.1-codex-max is overloaded (429), see https://platform.openai.com/docs/guides/error-codes",
                "The model gpt-5.1-codex-max is overloaded (429), see https://platform.openai.com/docs/guides/error-codes",
            ),
        ] {
            assert_eq!(without_secrets(said, 500), shown);
        }
    }

    #[test]
    fn a_text_is_cut_between_letters_and_is_one_line() {
        assert_eq!(without_secrets("a\nb\tc", 500), "a b c");
        assert_eq!(without_secrets("ééé", 3), "é");
        assert_eq!(without_secrets(&"x ".repeat(400), 500).len(), 500);
        // A secret at the bound is not shown in part.
        assert_eq!(without_secrets("ab sk-proj-abc1234567890", 10), "ab ***");
    }
}
