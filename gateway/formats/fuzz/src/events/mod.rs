//! Events that are nearly right: each is of a kind that its format has, with fields that may be missing, texts of
//! any content, and numbers that are mostly small. Their order is anything.

mod anthropic;
mod bedrock;
mod gemini;
mod openai_chat;
mod openai_responses;

use arbitrary::{Arbitrary, Unstructured};
use serde_json::{Map, Value};

use crate::words::WORDS;

/// A stream in one of the formats.
#[derive(Debug, Arbitrary)]
pub enum Stream {
    /// OpenAI Chat Completions.
    OpenaiChat(Vec<openai_chat::Event>),
    /// Anthropic Messages.
    Anthropic(Vec<anthropic::Event>),
    /// Bedrock's ConverseStream.
    Bedrock(Vec<bedrock::Event>),
    /// Gemini's `streamGenerateContent`.
    Gemini(Vec<gemini::Event>),
    /// OpenAI Responses.
    OpenaiResponses(Vec<openai_responses::Event>),
}

/// Name and data of an event.
pub type Written = (Option<&'static str>, String);

impl Stream {
    /// The format's name and the events as they stand on the wire.
    #[must_use]
    pub fn events(&self) -> (&'static str, Vec<Written>) {
        match self {
            Self::OpenaiChat(events) => {
                ("openai_chat", events.iter().map(openai_chat::Event::write).collect())
            }
            Self::Anthropic(events) => ("anthropic", events.iter().map(anthropic::Event::write).collect()),
            Self::Bedrock(events) => ("bedrock", events.iter().map(bedrock::Event::write).collect()),
            Self::Gemini(events) => ("gemini", events.iter().map(gemini::Event::write).collect()),
            Self::OpenaiResponses(events) => {
                ("openai_responses", events.iter().map(openai_responses::Event::write).collect())
            }
        }
    }
}

/// A text: a word that means something, or anything.
#[derive(Debug, Clone)]
pub struct Text(String);

impl<'a> Arbitrary<'a> for Text {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(match u.int_in_range(0..=3_u8)? {
            0 => String::new(),
            1 => (*u.choose(WORDS)?).to_owned(),
            2 => (*u.choose(&["{", "}", "{}", "{\"a\":1}", "\"", "\\", "\n", "[1,"])?).to_owned(),
            _ => u.arbitrary()?,
        }))
    }
}

impl From<&Text> for Value {
    fn from(text: &Text) -> Self {
        Self::from(text.0.as_str())
    }
}

/// A number that is mostly small.
#[derive(Debug, Clone, Copy)]
pub struct Number(u64);

impl<'a> Arbitrary<'a> for Number {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(match u.arbitrary::<u8>()? {
            small @ 0..=250 => u64::from(small % 4),
            251 => u64::from(u32::MAX),
            252 => u64::MAX,
            _ => u.arbitrary()?,
        }))
    }
}

impl From<&Number> for Value {
    fn from(number: &Number) -> Self {
        Self::from(number.0)
    }
}

/// An object of those members that are there.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(members.collect::<Map<_, _>>())
}

/// A member's value, where there is one.
fn given<'v, T>(value: &'v Option<T>) -> Option<Value>
where
    Value: From<&'v T>,
{
    value.as_ref().map(Value::from)
}
