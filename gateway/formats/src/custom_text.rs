//! Tools that take a text instead of JSON. Other formats have none, so there they take one argument, `input`.

use memchr::memchr2;
use serde::Deserialize;

use crate::exchange::{CUSTOM_INPUT, Text};
use crate::json::Str;

/// The arguments that stand for the text of a custom tool's call: an object with the text as `input`.
pub(crate) fn custom_arguments(text: &str) -> String {
    serde_json::json!({ CUSTOM_INPUT: text }).to_string()
}

/// The text in such arguments. What a model wrote instead is taken as it is: it may have missed the form, not the
/// point.
pub(crate) fn custom_input(arguments: &str) -> Text<'_> {
    read_whole(arguments).unwrap_or_else(|| {
        let mut input = CustomInput::default();
        let text = input.read(arguments);
        (text + &input.finish()).into()
    })
}

fn read_whole(arguments: &str) -> Option<Text<'_>> {
    #[derive(Deserialize)]
    struct Arguments<'a> {
        #[serde(borrow)]
        input: Str<'a>,
    }
    serde_json::from_str::<Arguments<'_>>(arguments).ok().map(|arguments| arguments.input.0)
}

/// How such arguments begin. White space may stand before each of [`GAPS`].
const HEAD: &[u8] = br#"{"input":""#;
const GAPS: [usize; 4] = [0, 1, 8, 9];
/// Most bytes that wait for their end to be understood, 4 MiB; what is longer is taken as it is.
const MOST_HELD: usize = 4 << 20;
/// Stands for what is no letter.
const NO_LETTER: char = char::REPLACEMENT_CHARACTER;

/// The text of a custom tool's call out of the pieces of its arguments, as they come: all of it together is what
/// [`custom_input`] finds in the whole.
#[derive(Debug, Default)]
pub(crate) struct CustomInput {
    state: State,
    /// What was read and not yet told.
    held: String,
    /// First half of a letter that JSON writes as two.
    high: Option<u16>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// So many letters of [`HEAD`] were read.
    Head(usize),
    Text,
    /// Behind a `\`.
    Escape,
    /// Behind `\u`: the digits so far.
    Code {
        digits: u8,
        code: u16,
    },
    /// Behind the text.
    End,
    /// JSON of another form, which is read when it is whole.
    Other,
    /// No JSON: the text itself.
    Plain,
}

impl Default for State {
    fn default() -> Self {
        Self::Head(0)
    }
}

impl CustomInput {
    /// Reads the next piece, and gives what it adds to the text.
    pub(crate) fn read(&mut self, json: &str) -> String {
        let (mut rest, mut out) = (json, String::new());
        while !rest.is_empty() {
            rest = match self.state {
                State::Head(at) => self.head(at, rest),
                State::Text => self.text(rest, &mut out),
                State::Escape => self.escape(rest, &mut out),
                State::Code { digits, code } => self.code(digits, code, rest, &mut out),
                State::End => "",
                State::Other => self.hold(rest, &mut out),
                State::Plain => {
                    out.push_str(&std::mem::take(&mut self.held));
                    out.push_str(rest);
                    ""
                }
            };
        }
        out
    }

    /// There are no more pieces: gives what is still owed.
    pub(crate) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        match read_whole(&held) {
            Some(text) => text.into_owned(),
            None => held,
        }
    }

    fn head<'j>(&mut self, at: usize, json: &'j str) -> &'j str {
        let Some(letter) = json.chars().next() else { return "" };
        let is_next = HEAD.get(at).is_some_and(|next| char::from(*next) == letter);
        if is_next || GAPS.contains(&at) && matches!(letter, ' ' | '\t' | '\n' | '\r') {
            self.held.push(letter);
            self.state = State::Head(at + usize::from(is_next));
            if at + usize::from(is_next) == HEAD.len() {
                self.held.clear();
                self.state = State::Text;
            }
            return json.get(letter.len_utf8()..).unwrap_or_default();
        }
        self.state = if at == 0 && letter != '[' { State::Plain } else { State::Other };
        json
    }

    fn hold(&mut self, json: &str, out: &mut String) -> &'static str {
        self.held.push_str(json);
        if self.held.len() > MOST_HELD {
            self.state = State::Plain;
            out.push_str(&std::mem::take(&mut self.held));
        }
        ""
    }

    fn text<'j>(&mut self, json: &'j str, out: &mut String) -> &'j str {
        let end = memchr2(b'"', b'\\', json.as_bytes());
        let (text, rest) = json.split_at(end.unwrap_or(json.len()));
        if !text.is_empty() || rest.starts_with('"') {
            self.end_half(out);
        }
        out.push_str(text);
        match rest.as_bytes().first() {
            Some(b'"') => self.state = State::End,
            Some(_) => self.state = State::Escape,
            None => {}
        }
        rest.get(1..).unwrap_or_default()
    }

    fn escape<'j>(&mut self, json: &'j str, out: &mut String) -> &'j str {
        let Some(letter) = json.chars().next() else { return "" };
        if letter == 'u' {
            self.state = State::Code { digits: 0, code: 0 };
        } else {
            self.state = State::Text;
            self.end_half(out);
            match letter {
                '"' | '\\' | '/' => out.push(letter),
                'b' => out.push('\u{8}'),
                'f' => out.push('\u{c}'),
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                // No escape of JSON: the model forgot that the sign needs one.
                _ => out.extend(['\\', letter]),
            }
        }
        json.get(letter.len_utf8()..).unwrap_or_default()
    }

    fn code<'j>(&mut self, digits: u8, code: u16, json: &'j str, out: &mut String) -> &'j str {
        let digit = json.chars().next().and_then(|letter| letter.to_digit(16));
        let Some(digit) = digit.and_then(|digit| u16::try_from(digit).ok()) else {
            self.state = State::Text;
            self.end_half(out);
            out.push(NO_LETTER);
            return json;
        };
        let (digits, code) = (digits + 1, code << 4 | digit);
        self.state = State::Code { digits, code };
        if digits == 4 {
            self.state = State::Text;
            self.letter(code, out);
        }
        json.get(1..).unwrap_or_default()
    }

    /// A letter by its code, or half of one.
    fn letter(&mut self, code: u16, out: &mut String) {
        const HIGH: std::ops::RangeInclusive<u16> = 0xd800..=0xdbff;
        const LOW: std::ops::RangeInclusive<u16> = 0xdc00..=0xdfff;
        if LOW.contains(&code)
            && let Some(high) = self.high.take()
        {
            out.extend(char::decode_utf16([high, code]).map(|letter| letter.unwrap_or(NO_LETTER)));
            return;
        }
        self.end_half(out);
        if HIGH.contains(&code) {
            self.high = Some(code);
        } else {
            out.push(char::from_u32(code.into()).unwrap_or(NO_LETTER));
        }
    }

    /// The second half did not come.
    fn end_half(&mut self, out: &mut String) {
        if self.high.take().is_some() {
            out.push(NO_LETTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes out of arguments that are cut at these places.
    fn in_pieces(arguments: &str, cuts: &[usize]) -> String {
        let letters: Vec<char> = arguments.chars().collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (letters.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut input, mut text, mut from) = (CustomInput::default(), String::new(), 0);
        for to in cuts.into_iter().chain([letters.len()]) {
            let piece: String = letters[from..to].iter().collect();
            text += &input.read(&piece);
            from = to;
        }
        text + &input.finish()
    }

    #[test]
    fn the_text_of_a_custom_tool_survives_as_an_argument() {
        for text in ["", "*** Begin Patch\n+\"a\"\n", "\u{1F600}\\"] {
            assert_eq!(custom_input(&custom_arguments(text)), text);
        }
        assert_eq!(custom_input("*** Begin Patch"), "*** Begin Patch");
        assert_eq!(custom_input(r#"{"patch":"x"}"#), r#"{"patch":"x"}"#);
        assert_eq!(custom_input(r#"{"why":"y","input":"x"}"#), "x");
    }

    #[test]
    fn a_text_that_the_model_did_not_finish_or_escape_well_is_read_as_far_as_it_goes() {
        for (arguments, text) in [
            (r#"{"input":"cut of"#, "cut of"),
            (r#"{"input":"cut\"#, "cut"),
            (r#"{"input":"a\d","more":1"#, "a\\d"),
            ("{\"input\":\"two\nlines\"}", "two\nlines"),
            (r#"{"input":"\ud83d\n\ude00\ud83d"}"#, "\u{fffd}\n\u{fffd}\u{fffd}"),
            (r#"{"input":"\u00zz"}"#, "\u{fffd}zz"),
            (r#"{"inp"#, r#"{"inp"#),
            (r#"{"input":7}"#, r#"{"input":7}"#),
        ] {
            assert_eq!(custom_input(arguments), text, "{arguments}");
        }
    }

    #[test]
    fn a_text_is_told_as_it_comes() {
        let mut input = CustomInput::default();
        let told: Vec<String> = ["{ \"input\" :", "\"*** ", "Begin\\", "n\\ud83d\\u", "de00x", "\"}"]
            .map(|piece| input.read(piece))
            .into();
        assert_eq!(told, ["", "*** ", "Begin", "\n", "\u{1F600}x", ""]);
        assert_eq!(input.finish(), "");
        let mut plain = CustomInput::default();
        assert_eq!(
            [plain.read(" "), plain.read("***"), plain.read(" B"), plain.finish()],
            ["", " ***", " B", ""]
        );
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let mut input = CustomInput::default();
        let long = "x".repeat(MOST_HELD / 2);
        let told = [r#"{"other":""#, &long, &long, "y"].map(|piece| input.read(piece).len());
        assert_eq!(told, [0, 0, MOST_HELD + 10, 1]);
        assert_eq!(input.finish(), "");
    }

    proptest! {
        #[test]
        fn a_text_is_the_same_however_its_arguments_are_cut(
            text in any::<String>(),
            escapes_all in any::<bool>(),
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            let codes: String = text.encode_utf16().map(|code| format!("\\u{code:04X}")).collect();
            let arguments = if escapes_all { format!(r#"{{"input": "{codes}"}}"#) } else { custom_arguments(&text) };
            prop_assert_eq!(in_pieces(&arguments, &cuts), text);
        }

        #[test]
        fn whatever_a_model_writes_is_the_same_in_pieces_as_whole(
            head in prop_oneof![Just(""), Just(r#"{"input":""#), Just(r#" { "input" : ""#), Just("["), Just(r#"{"a":1,"input":""#)],
            rest in r#"[\\"{}\[\]:,u0-9a-fA-Fd8nrt/\n é😀input]{0,40}"#,
            tail in prop_oneof![Just(""), Just("\"}"), Just("\"]")],
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            let arguments = format!("{head}{rest}{tail}");
            let whole = custom_input(&arguments);
            prop_assert_eq!(in_pieces(&arguments, &cuts), &*whole);
        }
    }
}
