//! The body of a media request, read no further than routing has to: the model, and whether a stream is asked
//! for.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::multipart;
use crate::error::FormatError;
use crate::view::{MAX_MODEL_BYTES, View, read};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(borrow, default)]
    stream_format: Option<Cow<'a, str>>,
}

/// What a media request says of itself.
#[derive(Debug)]
pub struct MediaView<'a> {
    /// The model that is asked for; `None` if the body does not say.
    pub model: Option<Cow<'a, str>>,
    /// For the rest of the gateway; it knows where the model stands.
    pub view: View<'a>,
}

/// Reads a body of this `Content-Type`: a form where it says so, else JSON.
///
/// # Errors
/// When the body is neither, or says two things about the model.
pub fn view<'a>(body: &'a [u8], content_type: &str) -> Result<MediaView<'a>, FormatError> {
    if multipart::is_form(content_type) {
        return form(body, content_type);
    }
    let read: Body<'_> = read(body)?;
    let stream = read.stream.unwrap_or(false) || read.stream_format.as_deref() == Some("sse");
    let view = View { model: read.model, stream, ..View::default() };
    let model = view.model.map(|_| view.model_name()).transpose()?;
    Ok(MediaView { model, view })
}

fn form<'a>(body: &'a [u8], content_type: &str) -> Result<MediaView<'a>, FormatError> {
    let form = multipart::read(body, &multipart::boundary(content_type)?)?;
    let text = |at: &std::ops::Range<usize>| std::str::from_utf8(&body[at.clone()]);
    let wrong = |message| FormatError::invalid(message, "model");
    let model = match &form.model {
        None => None,
        Some(at) if at.len() > MAX_MODEL_BYTES => {
            return Err(wrong("`model` is longer than any model's name"));
        }
        Some(at) => Some(Cow::Borrowed(text(at).map_err(|_| wrong("`model` must be a text"))?)),
    };
    let stream = form.stream.as_ref().is_some_and(|at| text(at) == Ok("true"));
    Ok(MediaView { model, view: View { model_at: form.model, stream, ..View::default() } })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::view::Change;

    const FORM: &str = "multipart/form-data; boundary=xx";

    fn rewritten(body: &str, content_type: &str) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let seen = view(&body, content_type).unwrap();
        String::from_utf8(seen.view.rewrite(&body, &[Change::new("model", &"gpt-\"1")]).to_vec()).unwrap()
    }

    #[test]
    fn the_model_is_replaced_where_it_stands_as_the_body_writes_it() {
        assert_eq!(
            rewritten(r#"{"prompt":"x", "model" : "a"}"#, "application/json"),
            r#"{"prompt":"x", "model" : "gpt-\"1"}"#
        );
        let form = "--xx\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n--xx--\r\n";
        assert_eq!(rewritten(form, FORM), form.replace("\r\na\r\n", "\r\ngpt-\"1\r\n"));
    }

    #[test]
    fn streams_are_asked_for_in_three_ways() {
        let streamed = |body: &str, content_type| view(body.as_bytes(), content_type).unwrap().view.stream;
        assert!(streamed(r#"{"stream":true}"#, ""));
        assert!(streamed(r#"{"stream_format":"sse"}"#, ""));
        assert!(!streamed(r#"{"stream_format":"audio","stream":null}"#, ""));
        let form =
            |text| format!("--xx\r\ncontent-disposition: form-data; name=stream\r\n\r\n{text}\r\n--xx--");
        assert!(streamed(&form("true"), FORM) && !streamed(&form("false"), FORM));
    }

    #[test]
    fn what_is_wrong_with_the_model_is_said() {
        let error = |body: &str| view(body.as_bytes(), "application/json").unwrap_err().to_string();
        assert!(error(r#"{"model":7}"#).contains("must be a text"));
        assert!(error("[]").contains("JSON object"));
        assert!(view(b"{}", "application/json").unwrap().model.is_none());
    }
}
