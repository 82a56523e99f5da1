//! Embeddings by InvokeModel: Titan Text Embeddings v1 and v2, Cohere Embed v3 and v4. Each family has a body of
//! its own.
//!
//! Titan embeds one text a call and Cohere 96, so a request may need several calls.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::operation_path;
use crate::error::FormatError;
use crate::exchange::embeddings::{EmbeddingRequest, Input};
use crate::exchange::{Text, Vectors};
use crate::json;
use crate::unmapped::Unmapped;

/// Header of the answer with the tokens of the input; Cohere's body does not say them.
pub const INPUT_TOKENS_HEADER: &str = "x-amzn-bedrock-input-token-count";

/// Most texts in one call of Cohere.
const COHERE_TEXTS: usize = 96;

/// Path of a call, by id or ARN.
#[must_use]
pub fn path(model: &str) -> String {
    operation_path(model, "invoke")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    TitanV1,
    Titan,
    CohereV3,
    Cohere,
}

impl Family {
    fn of_model(model: &str) -> Result<Self, FormatError> {
        const KNOWN: [(&str, Family); 5] = [
            ("titan-embed-text-v1", Family::TitanV1),
            ("titan-embed-g1-text", Family::TitanV1),
            ("titan-embed-text", Family::Titan),
            ("cohere.embed-v", Family::Cohere),
            ("cohere.embed-", Family::CohereV3),
        ];
        KNOWN.iter().find(|(part, _)| model.contains(part)).map(|(_, family)| *family).ok_or_else(|| {
            FormatError::invalid("the model behind this alias is no embedding model that is known", "model")
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TitanBody<'r> {
    input_text: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    normalize: Option<&'r RawValue>,
}

#[derive(Serialize)]
struct CohereBody<'r> {
    texts: &'r [Text<'r>],
    input_type: InputType<'r>,
    embedding_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
}

/// Cohere demands a purpose; texts are taken for documents to be found unless the caller says otherwise.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
enum InputType<'r> {
    Given(&'r RawValue),
    Usual(&'static str),
}

/// Writes the bodies of the calls for `model`, in the order of the inputs. `normalize` (Titan v2), `input_type`
/// and `truncate` (Cohere) are taken over from the request under these names.
///
/// # Errors
/// For tokens instead of texts, for models that are not known, and when something has no place here and may not
/// be left out.
pub fn encode(
    request: &EmbeddingRequest<'_>,
    model: &str,
    unmapped: &mut Unmapped,
) -> Result<Vec<Vec<u8>>, FormatError> {
    let family = Family::of_model(model)?;
    let Input::Texts(texts) = &request.input else {
        return Err(FormatError::invalid("the model behind this alias embeds texts, not tokens", "input"));
    };
    let Settings { normalize, input_type, truncate } = settings(request, family, unmapped)?;
    unmapped.given("user", request.end_user.as_ref())?;
    let mut dimensions = request.dimensions;
    if matches!(family, Family::TitanV1 | Family::CohereV3) {
        unmapped.given("dimensions", dimensions.take().as_ref())?;
    }
    Ok(match family {
        Family::TitanV1 | Family::Titan => {
            texts.iter().map(|text| written(&TitanBody { input_text: text, dimensions, normalize })).collect()
        }
        Family::CohereV3 | Family::Cohere => texts
            .chunks(COHERE_TEXTS)
            .map(|texts| {
                written(&CohereBody {
                    texts,
                    input_type,
                    embedding_types: ["float"],
                    truncate,
                    output_dimension: dimensions,
                })
            })
            .collect(),
    })
}

/// What a request says beyond the common view.
struct Settings<'r> {
    normalize: Option<&'r RawValue>,
    input_type: InputType<'r>,
    truncate: Option<&'r RawValue>,
}

fn settings<'r>(
    request: &EmbeddingRequest<'r>,
    family: Family,
    unmapped: &mut Unmapped,
) -> Result<Settings<'r>, FormatError> {
    let (mut normalize, mut input_type, mut truncate) = (None, InputType::Usual("search_document"), None);
    for extra in &request.extras {
        match (family, &*extra.name) {
            (Family::Titan, "normalize") => normalize = Some(extra.value),
            (Family::CohereV3 | Family::Cohere, "input_type") => input_type = InputType::Given(extra.value),
            (Family::CohereV3 | Family::Cohere, "taskType") => {
                input_type = InputType::Usual(purpose(extra.value))
            }
            // A hint of Gemini's clients, for which Titan has no use.
            (Family::TitanV1 | Family::Titan, "taskType") => unmapped.hint("taskType"),
            (Family::CohereV3 | Family::Cohere, "truncate") => truncate = Some(extra.value),
            _ => unmapped.param(extra.name.clone().into_owned())?,
        }
    }
    Ok(Settings { normalize, input_type, truncate })
}

/// A purpose in Gemini's words as Cohere says it.
fn purpose(task: &RawValue) -> &'static str {
    match task.get().trim_matches('"') {
        "RETRIEVAL_QUERY" | "QUESTION_ANSWERING" | "FACT_VERIFICATION" | "CODE_RETRIEVAL_QUERY" => {
            "search_query"
        }
        "CLASSIFICATION" => "classification",
        "CLUSTERING" | "SEMANTIC_SIMILARITY" => "clustering",
        _ => "search_document",
    }
}

fn written(body: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    json::write(&mut out, body);
    out
}

#[derive(Deserialize)]
struct TitanAnswer {
    embedding: Vec<f32>,
    #[serde(rename = "inputTextTokenCount", default)]
    tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CohereAnswer {
    embeddings: CohereVectors,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CohereVectors {
    ByType { float: Vec<Vec<f32>> },
    Plain(Vec<Vec<f32>>),
}

/// Reads the answer of one call; `input_tokens` is the number in [`INPUT_TOKENS_HEADER`].
///
/// # Errors
/// When the body is not what the model's family answers.
pub fn decode(body: &[u8], model: &str, input_tokens: Option<u64>) -> Result<Vectors, FormatError> {
    Ok(match Family::of_model(model)? {
        Family::TitanV1 | Family::Titan => {
            let answer: TitanAnswer = serde_json::from_slice(body)?;
            Vectors::new(vec![answer.embedding], answer.tokens.or(input_tokens))
        }
        Family::CohereV3 | Family::Cohere => {
            let answer: CohereAnswer = serde_json::from_slice(body)?;
            let (CohereVectors::ByType { float: vectors } | CohereVectors::Plain(vectors)) =
                answer.embeddings;
            Vectors::new(vectors, input_tokens)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai_embeddings::request;
    use crate::unmapped::OnUnmappable;

    fn bodies(json: &str, model: &str) -> Result<Vec<String>, FormatError> {
        let request = request::decode(json.as_bytes()).unwrap();
        let bodies = encode(&request, model, &mut Unmapped::new(OnUnmappable::Reject))?;
        Ok(bodies.into_iter().map(|body| String::from_utf8(body).unwrap()).collect())
    }

    #[test]
    fn titan_takes_one_text_a_call() {
        let json = r#"{"input":["a","b"],"dimensions":256,"normalize":false}"#;
        let expected = |text: &str| format!(r#"{{"inputText":"{text}","dimensions":256,"normalize":false}}"#);
        assert_eq!(bodies(json, "amazon.titan-embed-text-v2:0").unwrap(), [expected("a"), expected("b")]);
        assert!(bodies(json, "amazon.titan-embed-text-v1").is_err(), "v1 has one length");
        assert_eq!(
            bodies(r#"{"input":"a"}"#, "amazon.titan-embed-text-v1").unwrap(),
            [r#"{"inputText":"a"}"#]
        );
    }

    #[test]
    fn cohere_takes_96_texts_a_call_with_their_purpose() {
        let texts: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let json = serde_json::json!({"input": texts, "input_type": "search_query"}).to_string();
        let bodies = bodies(&json, "cohere.embed-english-v3").unwrap();
        assert_eq!(bodies.len(), 2);
        assert_eq!(
            bodies[1],
            r#"{"texts":["96","97","98","99"],"input_type":"search_query","embedding_types":["float"]}"#
        );
    }

    #[test]
    fn the_fourth_cohere_shortens_its_vectors() {
        let body = bodies(r#"{"input":"a","dimensions":512}"#, "us.cohere.embed-v4:0").unwrap();
        assert!(body[0].ends_with(
            r#""input_type":"search_document","embedding_types":["float"],"output_dimension":512}"#
        ));
    }

    #[test]
    fn tokens_and_other_models_are_refused() {
        assert!(bodies(r#"{"input":[1,2]}"#, "cohere.embed-english-v3").is_err());
        assert!(bodies(r#"{"input":"a"}"#, "amazon.nova-pro-v1:0").is_err());
        assert!(matches!(
            bodies(r#"{"input":"a","purpose":"u"}"#, "cohere.embed-english-v3"),
            Err(FormatError::Unsupported { .. })
        ));
    }

    #[test]
    fn answers_of_each_family_are_read() {
        let titan =
            br#"{"embedding":[0.5,-1],"inputTextTokenCount":3,"embeddingsByType":{"float":[0.5,-1]}}"#;
        let read = decode(titan, "amazon.titan-embed-text-v2:0", None).unwrap();
        assert_eq!(read, Vectors::new(vec![vec![0.5, -1.0]], Some(3)));
        for body in
            [r#"{"id":"1","embeddings":{"float":[[1],[2]]}}"#, r#"{"embeddings":[[1],[2]],"texts":["a"]}"#]
        {
            let read = decode(body.as_bytes(), "cohere.embed-multilingual-v3", Some(8)).unwrap();
            assert_eq!(read, Vectors::new(vec![vec![1.0], vec![2.0]], Some(8)));
        }
        assert!(decode(b"{}", "cohere.embed-english-v3", None).is_err());
    }

    #[test]
    fn the_model_is_part_of_the_path() {
        assert_eq!(path("amazon.titan-embed-text-v2:0"), "/model/amazon.titan-embed-text-v2%3A0/invoke");
    }
}
