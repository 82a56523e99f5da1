//! From a completions request into the common view.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use super::view::DEFAULT_MAX_TOKENS;
use crate::error::FormatError;
use crate::exchange::{Extra, Part, Request, Sampling, Text, Turn, TurnRole};
use crate::json::{Members, Str, Texts, members};
use crate::number::whole;
use crate::openai::fields::include_usage;
use crate::view::{read, text_of};

/// Reads a request with one prompt of text. What only this API knows (`suffix`, `echo`, `best_of`, `logprobs`) is
/// kept by name, for every backend's format to refuse.
///
/// # Errors
/// When the body is no such request, or holds several prompts or tokens.
pub fn decode(body: &[u8]) -> Result<Request<'_>, FormatError> {
    let body: Body<'_> = read(body)?;
    let prompt = body.prompt.ok_or_else(|| FormatError::invalid("`prompt` is missing", "prompt"))?;
    let mut request = body.request;
    let most = &mut request.sampling.max_output_tokens;
    *most = most.or(Some(DEFAULT_MAX_TOKENS));
    let parts = vec![Part::text(one_text(prompt)?)];
    request.turns.push(Turn { role: TurnRole::User, name: None, parts });
    Ok(request)
}

fn one_text(prompt: &RawValue) -> Result<Text<'_>, FormatError> {
    if let Some(text) = text_of(prompt) {
        return Ok(text);
    }
    let several: Vec<&RawValue> = serde_json::from_str(prompt.get())
        .map_err(|_| FormatError::invalid("`prompt` must be a text or an array", "prompt"))?;
    match several.as_slice() {
        [] => Err(FormatError::invalid("`prompt` is empty", "prompt")),
        [one] => text_of(one).ok_or_else(tokens),
        [first, ..] if text_of(first).is_some() => {
            Err(FormatError::Unsupported { param: "prompt[1]".into() })
        }
        _ => Err(tokens()),
    }
}

fn tokens() -> FormatError {
    let message = "`prompt` must be text: the model behind this alias has tokens of its own";
    FormatError::invalid(message, "prompt")
}

#[derive(Default)]
struct Body<'a> {
    prompt: Option<&'a RawValue>,
    request: Request<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members::<Body<'de>, D>(deserializer)
    }
}

impl<'de> Members<'de> for Body<'de> {
    const EXPECTED: &'static str = "a completions request";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        let request = &mut self.request;
        let sampling: &mut Sampling<'de> = &mut request.sampling;
        // Zero is what every model does when it is not asked.
        let asked = |penalty: Option<f64>| penalty.filter(|value| *value != 0.0);
        match &*name {
            "prompt" => self.prompt = Some(map.next_value()?),
            "stream" => request.stream = map.next_value::<Option<bool>>()?.unwrap_or(false),
            "stream_options" => request.include_usage = include_usage(map.next_value()?),
            "max_tokens" => sampling.max_output_tokens = whole(map)?,
            "temperature" => sampling.temperature = map.next_value()?,
            "top_p" => sampling.top_p = map.next_value()?,
            "top_k" => sampling.top_k = whole(map)?,
            "n" => sampling.choices = whole(map)?.filter(|n| *n != 1),
            "seed" => sampling.seed = whole(map)?,
            "frequency_penalty" => sampling.frequency_penalty = asked(map.next_value()?),
            "presence_penalty" => sampling.presence_penalty = asked(map.next_value()?),
            "stop" => sampling.stop = map.next_value::<Texts<'de>>()?.0,
            "logit_bias" => {
                let bias: Option<&RawValue> = map.next_value()?;
                sampling.logit_bias = bias.filter(|bias| bias.get() != "{}");
            }
            "user" => request.end_user = map.next_value::<Option<Str<'de>>>()?.map(Str::into_text),
            "model" => {
                map.next_value::<IgnoredAny>()?;
            }
            _ => {
                let value: &RawValue = map.next_value()?;
                if !says_nothing(&name, value.get()) {
                    request.extras.push(Extra { name, value });
                }
            }
        }
        Ok(())
    }
}

/// Whether a parameter only repeats what happens anyway.
fn says_nothing(name: &str, value: &str) -> bool {
    matches!((name, value), (_, "null") | ("echo", "false") | ("best_of", "1") | ("suffix", "\"\""))
}
