//! Embeddings requests and answers read and written.

use super::request::{Encoding, Input};
use super::*;
use crate::exchange::Usage;
use proptest::prelude::*;

fn input(json: &str) -> Result<Input<'static>, String> {
    let body = format!(r#"{{"model":"m","input":{json}}}"#);
    match request::decode(body.as_bytes()) {
        Ok(request) => Ok(match request.input {
            Input::Texts(texts) => {
                Input::Texts(texts.into_iter().map(|text| text.into_owned().into()).collect())
            }
            Input::Tokens(tokens) => Input::Tokens(tokens),
        }),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn every_form_of_input_is_read() {
    assert_eq!(input(r#""a""#), Ok(Input::Texts(vec!["a".into()])));
    assert_eq!(input(r#"["a", "b"]"#), Ok(Input::Texts(vec!["a".into(), "b".into()])));
    assert_eq!(input("[ 1, 2]"), Ok(Input::Tokens(vec![vec![1, 2]])));
    assert_eq!(input("[[1], [2, 3]]"), Ok(Input::Tokens(vec![vec![1], vec![2, 3]])));
    for none in ["[]", "[[]]", "[[1], []]"] {
        assert!(input(none).unwrap_err().contains("empty"), "{none}");
    }
    assert!(input(r#"["a", 1]"#).unwrap_err().contains("one kind"));
    assert!(input("7").is_err());
}

#[test]
fn what_has_a_place_is_read_and_the_rest_is_kept_by_name() {
    let body = br#"{"model":"alias","input":["a","b"],"dimensions":256,"encoding_format":"base64","user":"u","input_type":"query"}"#;
    let request = request::decode(body).unwrap();
    assert_eq!(request.input, Input::Texts(vec!["a".into(), "b".into()]));
    assert_eq!((request.dimensions, request.encoding), (Some(256), Encoding::Base64));
    assert_eq!(request.end_user.as_deref(), Some("u"));
    let extras: Vec<_> = request.extras.iter().map(|extra| (&*extra.name, extra.value.get())).collect();
    assert_eq!(extras, [("input_type", r#""query""#)]);
}

#[test]
fn vectors_are_written_as_numbers_or_as_base64() {
    let usage = Usage { embedding: 5, ..Usage::reported() };
    let float = answer::encode(&[[1.0f32, -0.5]], Encoding::Float, "alias", &usage);
    assert_eq!(
        String::from_utf8(float.clone()).unwrap(),
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,-0.5]}],"model":"alias","usage":{"prompt_tokens":5,"total_tokens":5}}"#
    );
    assert_eq!(answer::usage(&float).unwrap(), Some(usage));
    let base64 = answer::encode(&[[1.0f32, -0.5]], Encoding::Base64, "alias", &usage);
    assert!(String::from_utf8(base64).unwrap().contains(r#""embedding":"AACAPwAAAL8=""#));
}

#[test]
fn nothing_is_generated_so_no_tokens_are_reserved_for_it() {
    assert_eq!(view::view(br#"{"model":"m","input":"a"}"#).unwrap().max_output_tokens, Some(0));
    assert!(view::view(br#"{"model":"m"}"#).is_err());
    assert!(view::view(br#"{"model":"m","input":{}}"#).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (view::view(&body), request::decode(&body), answer::usage(&body));
    }
}
