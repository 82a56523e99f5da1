//! Forms with files (`multipart/form-data`, RFC 7578 over RFC 2046 §5.1): where two of their fields stand.
//!
//! The gateway decides by the field `model`, and the backend reads the form again. So nothing is accepted that
//! two readers may understand differently: the boundary must not occur anywhere but in whole delimiters, lines
//! end in CR LF, each part has one disposition, and the fields that matter stand there once. Browsers and SDKs
//! write no other forms.

use std::ops::Range;

use memchr::memmem;

use crate::error::FormatError;

/// Longest boundary (RFC 2046 §5.1.1).
const MAX_BOUNDARY_BYTES: usize = 70;
/// Most parts of a form.
const MAX_PARTS: usize = 256;
/// Longest headers of a part, bytes.
const MAX_HEADER_BYTES: usize = 8 << 10;

/// Where the contents of fields stand in a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form {
    /// Of `model`.
    pub model: Option<Range<usize>>,
    /// Of `stream`.
    pub stream: Option<Range<usize>>,
}

/// Whether a body of this type is a form.
#[must_use]
pub fn is_form(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("multipart/form-data")
}

fn wrong(message: impl Into<String>) -> FormatError {
    FormatError::invalid(format!("the form cannot be read: {}", message.into()), None)
}

/// The boundary that a `Content-Type` names.
///
/// # Errors
/// When it names no boundary, two, or one that is not valid.
pub fn boundary(content_type: &str) -> Result<String, FormatError> {
    let (_, parameters) = content_type.split_once(';').unwrap_or_default();
    let values = parameters_of(parameters).ok_or_else(|| wrong("its content type is malformed"))?;
    let mut named = values.iter().filter(|(name, _)| name.eq_ignore_ascii_case("boundary"));
    let (Some((_, boundary)), None) = (named.next(), named.next()) else {
        return Err(wrong("its content type must name one boundary"));
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let fits = (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()) && !boundary.ends_with(' ');
    if !fits || !boundary.bytes().all(allowed) {
        return Err(wrong("its boundary is not one of RFC 2046"));
    }
    Ok(boundary.clone())
}

/// Finds the fields of a form.
///
/// # Errors
/// When it is not a form, or one that could be understood in two ways.
pub fn read(body: &[u8], boundary: &str) -> Result<Form, FormatError> {
    let delimiter = format!("--{boundary}");
    let mut form = Form::default();
    let mut open: Option<usize> = None;
    let mut closed = false;
    for (count, at) in memmem::find_iter(body, delimiter.as_bytes()).enumerate() {
        if closed {
            return Err(wrong("something follows its end"));
        }
        if count > MAX_PARTS {
            return Err(wrong(format!("it has more than {MAX_PARTS} parts")));
        }
        let before = &body[..at];
        match open {
            None if before.is_empty() || before == b"\r\n" => {}
            Some(_) if before.ends_with(b"\r\n") => {}
            _ => return Err(wrong("its boundary stands where no part begins")),
        }
        if let Some(start) = open {
            // A part without headers and content shares the line end with its delimiters.
            let end = (at - 2).max(start);
            part(body, start..end, &mut form)?;
        }
        let rest = &body[at + delimiter.len()..];
        if rest.starts_with(b"--") {
            closed = true;
            continue;
        }
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !rest[padding..].starts_with(b"\r\n") {
            return Err(wrong("a line of its boundary does not end"));
        }
        open = Some(at + delimiter.len() + padding + 2);
    }
    if !closed {
        return Err(wrong("it has no end"));
    }
    Ok(form)
}

/// Notes a part if it is one of the fields that matter.
fn part(body: &[u8], range: Range<usize>, form: &mut Form) -> Result<(), FormatError> {
    let bytes = &body[range.clone()];
    let end = memmem::find(&bytes[..bytes.len().min(MAX_HEADER_BYTES)], b"\r\n\r\n")
        .ok_or_else(|| wrong("a part has no headers, or too long ones"))?;
    let headers = std::str::from_utf8(&bytes[..end]).map_err(|_| wrong("a part's headers are not UTF-8"))?;
    let content = range.start + end + 4..range.end;
    let field = field_name(headers)?;
    let place = match field.as_str() {
        "model" => &mut form.model,
        "stream" => &mut form.stream,
        _ => return Ok(()),
    };
    if place.replace(content).is_some() {
        return Err(FormatError::invalid(format!("the form has two fields `{field}`"), None));
    }
    Ok(())
}

/// The name in a part's disposition.
fn field_name(headers: &str) -> Result<String, FormatError> {
    let mut disposition = None;
    for line in headers.split("\r\n") {
        let (name, value) =
            line.split_once(':').ok_or_else(|| wrong("a part has a header without a colon"))?;
        if name.is_empty() || line.contains(['\r', '\n']) || name.contains([' ', '\t']) {
            return Err(wrong("a part has a header that is none"));
        }
        let matters = name.eq_ignore_ascii_case("content-disposition");
        if matters && disposition.replace(value).is_some() {
            return Err(wrong("a part has two dispositions"));
        }
    }
    let disposition = disposition.ok_or_else(|| wrong("a part has no disposition"))?;
    let (kind, parameters) = disposition.split_once(';').unwrap_or((disposition, ""));
    let parameters = parameters_of(parameters).filter(|_| kind.trim().eq_ignore_ascii_case("form-data"));
    let parameters = parameters.ok_or_else(|| wrong("a part's disposition is malformed"))?;
    let mut names = parameters.into_iter().filter(|(name, _)| {
        // `name*` must not be used (RFC 7578 §4.2), and would be a second name to some.
        name.len() >= 4 && name.is_char_boundary(4) && {
            let (start, rest) = name.split_at(4);
            start.eq_ignore_ascii_case("name") && (rest.is_empty() || rest.starts_with('*'))
        }
    });
    match (names.next(), names.next()) {
        (Some((name, value)), None) if name.len() == 4 => Ok(value),
        _ => Err(wrong("a part must have one name")),
    }
}

/// `a=b; c="d;\"e\""`, unquoted; `None` if it is something else.
fn parameters_of(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        let name = name.trim();
        if name.is_empty() || name.contains(['"', ';', ' ', '\t']) || value.contains(['\r', '\n']) {
            return None;
        }
        found.push((name.to_owned(), value));
        let after = after.trim_start();
        rest = match after.strip_prefix(';') {
            Some(more) => more.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(found)
}

/// A quoted text without its opening quote, and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
#[path = "multipart_tests.rs"]
mod tests;
