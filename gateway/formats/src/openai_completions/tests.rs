//! Legacy completions read and written.

use super::*;
use crate::exchange::{Part, StreamDecoder, StreamEvent};
use crate::openai_chat;
use proptest::prelude::*;

#[test]
fn only_one_prompt_of_text_can_be_translated() {
    let read = |prompt: &str| {
        let body = format!(r#"{{"model":"m","prompt":{prompt}}}"#);
        match request::decode(body.as_bytes()) {
            Ok(request) => match &request.turns[0].parts[..] {
                [Part::Text { text, .. }] => format!("{text}, {:?}", request.sampling.max_output_tokens),
                parts => panic!("{parts:?}"),
            },
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(read(r#""a""#), "a, Some(16)");
    assert_eq!(read(r#"["a"]"#), "a, Some(16)");
    assert!(read(r#"["a","b"]"#).starts_with("`prompt[1]` is not supported"));
    for tokens in ["[1,2]", "[[1,2]]", "[1]", "[[1],[2]]"] {
        assert!(read(tokens).contains("must be text"), "{tokens}");
    }
    assert!(read("[]").contains("empty"));
    assert!(read("7").contains("text or an array"));
}

#[test]
fn what_only_this_api_knows_is_kept_by_name() {
    let body = br#"{"model":"m","prompt":"a","suffix":"b","echo":true,"best_of":2,"logprobs":3,"user":null}"#;
    let request = request::decode(body).unwrap();
    let names: Vec<_> = request.extras.iter().map(|extra| &*extra.name).collect();
    assert_eq!(names, ["suffix", "echo", "best_of", "logprobs"]);
}

#[test]
fn the_most_tokens_are_those_of_all_that_is_generated() {
    let most = |body: &str| view::view(body.as_bytes()).unwrap().max_output_tokens;
    assert_eq!(most(r#"{"prompt":"a"}"#), Some(16));
    assert_eq!(most(r#"{"prompt":"a","max_tokens":10,"n":2,"best_of":4}"#), Some(40));
    assert!(view::view(br#"{"model":"m"}"#).is_err());
    assert!(view::view(br#"{"prompt":7}"#).is_err());
}

#[test]
fn an_answer_of_this_format_is_read() {
    let body = br#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":" and so on","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}"#;
    let answer = openai_chat::answer::decode(body).unwrap();
    assert!(matches!(&answer.parts[..], [Part::Text { text, .. }] if text == " and so on"));
    assert_eq!(answer.usage.unwrap().total(), 5);
}

#[test]
fn a_stream_of_this_format_is_read() {
    let mut decoder = openai_chat::stream::Decoder::new();
    let (mut text, mut ended) = (String::new(), false);
    let mut each = |event: StreamEvent<'_>| match event {
        StreamEvent::Delta { delta: crate::exchange::Delta::Text(piece), .. } => text.push_str(&piece),
        StreamEvent::End => ended = true,
        _ => {}
    };
    for data in [
        r#"{"id":"c","choices":[{"text":" and","index":0,"finish_reason":null}]}"#,
        r#"{"id":"c","choices":[{"text":" so on","index":0,"finish_reason":"stop"}]}"#,
        "[DONE]",
    ] {
        decoder.read(None, data, &mut each).unwrap();
    }
    assert_eq!((text.as_str(), ended), (" and so on", true));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (view::view(&body), request::decode(&body), openai_chat::answer::decode(&body));
    }
}
