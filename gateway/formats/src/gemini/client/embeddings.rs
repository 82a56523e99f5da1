//! `embedContent` and `batchEmbedContents`.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::exchange::embeddings::{EmbeddingRequest, Encoding, Input};
use crate::exchange::{Extra, Text, Usage};
use crate::gemini::resource;
use crate::json::{Array, Object, Str};
use crate::view::{View, as_written, range_in, read, spliced};

/// How many contents a call embeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// `embedContent`.
    One,
    /// `batchEmbedContents`.
    Batch,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    requests: Option<Vec<One<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    #[serde(borrow, default, deserialize_with = "as_written")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    #[serde(borrow, default, alias = "task_type")]
    task_type: Option<&'a RawValue>,
    #[serde(default, alias = "output_dimensionality")]
    output_dimensionality: Option<u64>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Vec<Part<'a>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, default)]
    text: Option<Str<'a>>,
}

fn requests(body: &[u8], call: Call) -> Result<Vec<One<'_>>, FormatError> {
    match call {
        Call::One => Ok(vec![read(body)?]),
        Call::Batch => read::<Batch<'_>>(body)?
            .requests
            .filter(|requests| !requests.is_empty())
            .ok_or_else(|| FormatError::invalid("`requests` must be a list that is not empty", "requests")),
    }
}

/// Reads a body no further than routing and metering have to. Nothing is generated: the most tokens of the answer
/// are 0.
///
/// # Errors
/// When it is no such request.
pub fn view(body: &[u8], call: Call) -> Result<View<'_>, FormatError> {
    let requests = requests(body, call)?;
    if requests.iter().any(|request| request.content.is_none()) {
        return Err(FormatError::invalid("`content` is missing", "content"));
    }
    Ok(View { max_output_tokens: Some(0), ..View::default() })
}

/// Reads a request. What a text is for (`taskType`) and its title are hints to Google's models.
///
/// # Errors
/// When it is no such request, or its contents differ in more than their texts.
pub fn decode(body: &[u8], call: Call) -> Result<EmbeddingRequest<'_>, FormatError> {
    let requests = requests(body, call)?;
    let same =
        |what: fn(&One<'_>) -> Option<String>| requests.windows(2).all(|two| what(&two[0]) == what(&two[1]));
    let differs = |name| {
        FormatError::invalid("all contents must be embedded alike by the model behind this alias", name)
    };
    if !same(|one| one.output_dimensionality.map(|dimensions| dimensions.to_string())) {
        return Err(differs("requests[].outputDimensionality"));
    }
    if !same(|one| one.task_type.map(|raw| raw.get().to_owned())) {
        return Err(differs("requests[].taskType"));
    }
    let dimensions = requests.first().and_then(|first| first.output_dimensionality);
    let task = requests.first().and_then(|first| first.task_type);
    let texts = requests.into_iter().map(text).collect::<Result<_, _>>()?;
    let extras = task.map(|value| Extra { name: Cow::Borrowed("taskType"), value });
    Ok(EmbeddingRequest {
        input: Input::Texts(texts),
        dimensions,
        encoding: Encoding::Float,
        end_user: None,
        extras: extras.into_iter().collect(),
    })
}

fn text(request: One<'_>) -> Result<Text<'_>, FormatError> {
    let no_text = || FormatError::invalid("the model behind this alias embeds texts", "content.parts");
    let mut whole: Option<Text<'_>> = None;
    for part in request.content.into_iter().flat_map(|content| content.parts) {
        let Str(text) = part.text.ok_or_else(no_text)?;
        match &mut whole {
            Some(whole) => whole.to_mut().push_str(&text),
            None => whole = Some(text),
        }
    }
    whole.ok_or_else(no_text)
}

/// The body for `model` of Google itself: wherever it names a model it names this one.
///
/// # Errors
/// When it is no such request.
pub fn for_model(body: &Bytes, call: Call, model: &str) -> Result<Bytes, FormatError> {
    let name = serde_json::to_string(&resource(model)).unwrap_or_default();
    let named = requests(body, call)?;
    let places = named.iter().filter_map(|request| request.model).map(|raw| range_in(body, raw));
    Ok(spliced(body, places.map(|at| (at, Cow::Borrowed(name.as_str())))))
}

/// Writes an answer: one vector for each content, in order.
#[must_use]
pub fn encode(vectors: &[impl AsRef<[f32]>], call: Call, usage: &Usage) -> Vec<u8> {
    let numbers: usize = vectors.iter().map(|vector| vector.as_ref().len()).sum();
    let mut out = Vec::with_capacity(256 + numbers.saturating_mul(12));
    let mut body = Object::new(&mut out);
    let values = |item: &mut Object<'_>, vector: &[f32]| {
        item.put("values", vector);
    };
    match (call, vectors) {
        (Call::One, [vector, ..]) => {
            body.object("embedding", |item| values(item, vector.as_ref()));
        }
        (_, vectors) => {
            let mut list = Array::new(body.key("embeddings"));
            vectors.iter().for_each(|vector| list.object(|item| values(item, vector.as_ref())));
            list.end();
        }
    }
    body.object("usageMetadata", |report| {
        report.put("promptTokenCount", &usage.embedding);
    });
    body.end();
    out
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    #[serde(default)]
    usage_metadata: Option<Reported>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reported {
    #[serde(default)]
    prompt_token_count: Option<u64>,
}

/// What an answer of Google itself used, where it says so.
///
/// # Errors
/// When the body is no JSON object.
pub fn usage(body: &[u8]) -> Result<Option<Usage>, FormatError> {
    let answered: Answered = serde_json::from_slice(body)?;
    let tokens = answered.usage_metadata.and_then(|reported| reported.prompt_token_count);
    Ok(tokens.map(|embedding| Usage { embedding, ..Usage::reported() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: &str = concat!(
        r#"{"requests":[{"model":"models/alias","content":{"parts":[{"text":"a"},{"text":"b"}]},"taskType":"RETRIEVAL_QUERY","#,
        r#""outputDimensionality":256},{"model" : "models/alias","content":{"parts":[{"text":"c"}]},"#,
        r#""task_type":"RETRIEVAL_QUERY","output_dimensionality":256}]}"#
    );
    const ONE: &str = r#"{"content":{"role":"user","parts":[{"text":"a"}]}}"#;

    #[test]
    fn contents_become_texts_and_hints_keep_their_names() {
        let request = decode(BATCH.as_bytes(), Call::Batch).unwrap();
        assert_eq!(request.input, Input::Texts(vec!["ab".into(), "c".into()]));
        assert_eq!((request.dimensions, &*request.extras[0].name), (Some(256), "taskType"));
        let one = decode(ONE.as_bytes(), Call::One).unwrap();
        assert_eq!((one.input, one.extras.len()), (Input::Texts(vec!["a".into()]), 0));
        assert_eq!(view(BATCH.as_bytes(), Call::Batch).unwrap().max_output_tokens, Some(0));
    }

    #[test]
    fn what_is_no_text_or_differs_is_refused() {
        for (body, call) in [
            ("{}", Call::One),
            (r#"{"content":{"parts":[]}}"#, Call::One),
            (r#"{"content":{"parts":[{"inlineData":{}}]}}"#, Call::One),
            (r#"{"requests":[]}"#, Call::Batch),
            (
                r#"{"requests":[{"content":{"parts":[{"text":"a"}]},"taskType":"X"},{"content":{"parts":[{"text":"a"}]}}]}"#,
                Call::Batch,
            ),
        ] {
            assert!(decode(body.as_bytes(), call).is_err(), "{body}");
        }
        assert!(view(b"{}", Call::One).is_err() && view(b"{}", Call::Batch).is_err());
    }

    #[test]
    fn google_itself_gets_the_same_bytes_with_its_own_model() {
        let body = Bytes::from_static(BATCH.as_bytes());
        let sent = for_model(&body, Call::Batch, "gemini-embedding-001").unwrap();
        assert_eq!(sent, BATCH.replace("models/alias", "models/gemini-embedding-001"));
        let one = Bytes::from_static(ONE.as_bytes());
        assert_eq!(for_model(&one, Call::One, "g").unwrap().as_ptr(), one.as_ptr());
    }

    #[test]
    fn vectors_are_written_as_the_call_wants_them() {
        let usage = Usage { embedding: 4, ..Usage::reported() };
        let text = |call| String::from_utf8(encode(&[[1.0_f32, -0.5]], call, &usage)).unwrap();
        assert_eq!(
            text(Call::One),
            r#"{"embedding":{"values":[1.0,-0.5]},"usageMetadata":{"promptTokenCount":4}}"#
        );
        assert_eq!(
            text(Call::Batch),
            r#"{"embeddings":[{"values":[1.0,-0.5]}],"usageMetadata":{"promptTokenCount":4}}"#
        );
        assert_eq!(super::usage(text(Call::One).as_bytes()).unwrap(), Some(usage));
        assert_eq!(super::usage(br#"{"embedding":{"values":[]}}"#).unwrap(), None);
    }
}
