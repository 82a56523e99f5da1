//! Forms that are read, and forms that two readers could understand differently.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::view;
use super::*;
use crate::view::Change;

fn field(name: &str, content: &str) -> String {
    format!("--b1\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
}

fn form(parts: &[String]) -> String {
    format!("{}--b1--\r\n", parts.concat())
}

fn model_of(body: &str) -> Result<Option<String>, String> {
    let form = read(body.as_bytes(), "b1").map_err(|error| error.to_string())?;
    Ok(form.model.map(|at| body[at].to_owned()))
}

#[test]
fn the_model_is_found_wherever_it_stands() {
    let file = "--b1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".wav\"\r\n\
                Content-Type: audio/wav\r\n\r\nmodel\r\n\r\n--b\r\n\r\n"
        .to_owned();
    for parts in [[file.clone(), field("model", "m")], [field("model", "m"), file]] {
        assert_eq!(model_of(&form(&parts)), Ok(Some("m".to_owned())));
    }
    assert_eq!(model_of(&form(&[field("prompt", "x")])), Ok(None));
    assert_eq!(model_of(&form(&[field("model", "")])), Ok(Some(String::new())));
    assert_eq!(model_of(&form(&[])), Ok(None));
}

#[test]
fn what_could_be_understood_in_two_ways_is_refused() {
    let model = field("model", "cheap");
    let hidden = "x\n--b1\nContent-Disposition: form-data; name=\"model\"\n\nlarge";
    let hostile = [
        ("a second model", form(&[model.clone(), field("model", "large")])),
        ("a part that only lenient readers see", form(&[model.clone(), field("file", hidden)])),
        ("a boundary within a line", form(&[field("file", "a --b1 c"), model.clone()])),
        ("a longer boundary", form(&[field("file", "\r\n--b10\r\n"), model.clone()])),
        ("parts after the end", format!("{}{}", form(std::slice::from_ref(&model)), field("model", "large"))),
        ("no end", model.clone()),
        ("something before the first part", format!("preamble\r\n{}", form(std::slice::from_ref(&model)))),
        ("two names", form(&[model.replace("name=", "name=\"file\"; name=")])),
        ("an extended name", form(&[model.replace("name=", "name*=utf-8''file; name=")])),
        ("an extended name alone", form(&[model.replace("name=\"model\"", "name*=utf-8''model")])),
        (
            "two dispositions",
            form(&[model.replace("\r\n\r\n", "\r\ncontent-disposition: form-data; name=x\r\n\r\n")]),
        ),
        ("a folded header", form(&[model.replace("; name", ";\r\n name")])),
        ("a bare line feed in headers", form(&[model.replace("; name", ";\n name")])),
        ("no headers", "--b1\r\n\r\nx\r\n--b1--".to_owned()),
        ("an open quote", form(&[model.replace("model\"", "model")])),
        ("no name", form(&[model.replace("; name=\"model\"", "")])),
        ("an attachment", form(&[model.replace("form-data", "attachment")])),
        ("nothing", String::new()),
    ];
    for (what, body) in hostile {
        assert!(model_of(&body).is_err(), "{what}: {body}");
    }
}

#[test]
fn a_name_is_read_as_quoted() {
    let quoted = form(&[field("mo\\del", "m")]);
    assert_eq!(model_of(&quoted), Ok(Some("m".to_owned())));
    assert_eq!(model_of(&form(&[field("Model", "m")])), Ok(None));
}

#[test]
fn boundaries_are_read_from_the_content_type() {
    for (text, expected) in [
        ("multipart/form-data; boundary=abc", Some("abc")),
        ("Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b\"", Some("a b")),
        ("multipart/form-data; boundary=\"a\"; boundary=b", None),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=\"a\r\nb\"", None),
        ("multipart/form-data; boundary=a[b", None),
        ("multipart/form-data; boundary=\"a\" b", None),
    ] {
        assert!(is_form(text));
        assert_eq!(boundary(text).ok().as_deref(), expected, "{text}");
    }
    assert!(boundary(&format!("multipart/form-data; boundary={}", "x".repeat(71))).is_err());
    assert!(!is_form("application/json") && !is_form("multipart/mixed; boundary=a"));
}

#[test]
fn a_form_of_too_many_parts_is_refused() {
    assert!(model_of(&form(&vec![field("x", ""); MAX_PARTS])).is_ok());
    assert!(model_of(&form(&vec![field("x", ""); MAX_PARTS + 1])).is_err());
}

/// A form of files of any bytes with the model among them.
fn whole(files: &[Vec<u8>], at: usize, model: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (index, file) in files.iter().enumerate() {
        if index == at {
            body.extend(field("model", model).bytes());
        }
        body.extend(b"--b1\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a\"\r\n\r\n");
        body.extend(file);
        body.extend(b"\r\n");
    }
    if at >= files.len() {
        body.extend(field("model", model).bytes());
    }
    body.extend(b"--b1--\r\n");
    body
}

proptest! {
    #[test]
    fn nothing_but_the_model_changes(
        files in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..5),
        at in 0_usize..6,
        model in "[a-z0-9./:-]{0,20}",
    ) {
        prop_assume!(files.iter().all(|file| memmem::find(file, b"--b1").is_none()));
        let body = Bytes::from(whole(&files, at, "alias"));
        let seen = view::view(&body, "multipart/form-data; boundary=b1").unwrap();
        prop_assert_eq!(seen.model.as_deref(), Some("alias"));
        let sent = seen.view.rewrite(&body, &[Change::new("model", &model)]);
        prop_assert_eq!(sent.to_vec(), whole(&files, at, &model));
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(prop_oneof![
        Just(b"--b1".to_vec()), Just(b"\r\n".to_vec()), Just(b"--".to_vec()), Just(b"\r\n\r\n".to_vec()),
        Just(b"content-disposition: form-data; name=model".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ], 0..24), content_type in ".{0,40}") {
        let body = body.concat();
        let _ = read(&body, "b1");
        let _ = boundary(&content_type);
    }
}
