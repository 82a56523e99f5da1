//! Handles of objects that a provider keeps for an account: files, conversations, vector stores, containers, prompts,
//! items of earlier answers.
//!
//! Who shares an account with others can name their objects too, so a request must not hand on a handle that nobody
//! has bound to its sender. Handles are found by the place where a provider reads one; the client's own data (metadata,
//! schemas, what tools are called with) may use the same words.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::json::Str;
use crate::view::text_of;

/// Fields that name kept objects wherever they stand.
const HANDLES: [&str; 8] = [
    "container_id",
    "fileSearchStoreNames",
    "file_id",
    "file_ids",
    "file_search_store_names",
    "skill_id",
    "vector_store_id",
    "vector_store_ids",
];
/// The client's own data, and what is only said about an object.
const OWN_DATA: [&str; 18] = [
    "annotations",
    "args",
    "arguments",
    "input",
    "inputSchema",
    "input_schema",
    "json",
    "labels",
    "metadata",
    "parameters",
    "parametersJsonSchema",
    "parameters_json_schema",
    "response",
    "responseJsonSchema",
    "responseSchema",
    "response_json_schema",
    "response_schema",
    "schema",
];
/// Longest name of a field and longest path that is repeated in an error, bytes.
const MAX_NAME_BYTES: usize = 64;
const MAX_PATH_BYTES: usize = 256;
/// Hosts where Gemini's files are, whose addresses are handles.
const GEMINI_FILES: &str = "generativelanguage.googleapis.com";

/// The path of the first handle in a request body of any format; `None` if it has none, or is not JSON.
///
/// # Errors
/// When it is nested so deeply that it cannot be looked through.
pub fn find(body: &[u8]) -> Result<Option<String>, FormatError> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Ok(None);
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let found = Place::Root
        .deserialize(&mut json)
        .map_err(|_| FormatError::invalid("the request body is nested too deeply or is no JSON", None))?;
    Ok(found.map(|mut path| {
        path.truncate(path.floor_char_boundary(MAX_PATH_BYTES));
        path
    }))
}

/// What a value is in its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The whole body.
    Root,
    /// The list of items (Responses).
    Items,
    /// One of them.
    Item,
    /// An object whose `id` is a handle.
    Kept,
    /// The same; a bare text is one too.
    KeptOrText,
    /// Anything else.
    Inner,
}

/// What a field's value is.
enum Field {
    Handle,
    /// An address of a file (Gemini).
    Address,
    OwnData,
    At(Place),
}

impl Place {
    fn field(self, name: &str) -> Field {
        match (self, name) {
            (Self::Root, "conversation" | "cachedContent" | "cached_content")
            | (Self::Kept | Self::KeptOrText, "id") => Field::Handle,
            (Self::Root, "input") => Field::At(Self::Items),
            (Self::Root, "prompt") => Field::At(Self::Kept),
            (Self::Root, "audio") => Field::At(Self::Inner),
            (_, "audio" | "voice") => Field::At(Self::Kept),
            (_, "container") => Field::At(Self::KeptOrText),
            (_, "fileUri" | "file_uri") => Field::Address,
            (_, name) if HANDLES.contains(&name) => Field::Handle,
            (_, name) if OWN_DATA.contains(&name) => Field::OwnData,
            _ => Field::At(Self::Inner),
        }
    }

    const fn of_elements(self) -> Self {
        match self {
            Self::Items => Self::Item,
            _ => Self::Inner,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Place {
    /// The path of the first handle below this place.
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok((self == Self::KeptOrText).then(String::new))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut index = 0_usize;
        let mut found = None;
        while let Some(below) = list.next_element_seed(self.of_elements())? {
            found = found.or_else(|| below.map(|below| join(&format!("[{index}]"), &below)));
            index += 1;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let mut item = ItemFacts::default();
        while let Some(Str(name)) = map.next_key()? {
            let below = match self.field(&name) {
                Field::OwnData => map.next_value::<IgnoredAny>().map(|_| None)?,
                Field::At(_) if self == Self::Item && ItemFacts::wants(&name) => {
                    item.note(&name, map.next_value()?);
                    None
                }
                Field::At(place) => map.next_value_seed(place)?,
                Field::Handle => is_given(map.next_value()?).then(String::new),
                Field::Address => is_kept_address(map.next_value()?).then(String::new),
            };
            found = found.or_else(|| below.map(|below| join(cut(&name), &below)));
        }
        Ok(found.or_else(|| item.stands_for_kept().then(|| "id".to_owned())))
    }
}

/// What of an item says whether its `id` is all that there is of it.
#[derive(Default)]
struct ItemFacts {
    has_id: bool,
    has_type: bool,
    has_role: bool,
    is_reference: bool,
    is_reasoning: bool,
    is_image: bool,
    has_encrypted: bool,
    has_image: bool,
}

impl ItemFacts {
    fn wants(name: &str) -> bool {
        matches!(name, "id" | "type" | "role" | "encrypted_content" | "result")
    }

    fn note(&mut self, name: &str, value: &RawValue) {
        if !is_given(value) {
            return;
        }
        match name {
            "id" => self.has_id = true,
            "role" => self.has_role = true,
            "encrypted_content" => self.has_encrypted = true,
            "result" => self.has_image = true,
            // A field that stands twice counts as each: which one a provider reads is not known.
            _ => {
                let kind = text_of(value).unwrap_or_default();
                self.has_type = true;
                self.is_reference |= kind == "item_reference";
                self.is_reasoning |= kind == "reasoning";
                self.is_image |= kind == "image_generation_call";
            }
        }
    }

    /// Whether a provider would look it up by its id.
    fn stands_for_kept(&self) -> bool {
        let untyped = !self.has_type && !self.has_role;
        self.has_id
            && (self.is_reference
                || untyped
                || (self.is_reasoning && !self.has_encrypted)
                || (self.is_image && !self.has_image))
    }
}

fn is_given(value: &RawValue) -> bool {
    let text = value.get();
    let is_empty_list = || text.strip_prefix('[').is_some_and(|rest| rest.trim_start() == "]");
    text != "null" && text != "\"\"" && !is_empty_list()
}

/// Whether a provider reads an address with the account's rights.
fn is_kept_address(value: &RawValue) -> bool {
    let Some(address) = text_of(value) else { return false };
    let lower = address.trim().to_ascii_lowercase();
    let is_public = lower.starts_with("https://") || lower.starts_with("http://");
    !is_public || lower.contains(GEMINI_FILES)
}

fn cut(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_NAME_BYTES)).unwrap_or_default()
}

fn join(outer: &str, below: &str) -> String {
    let separator = if below.is_empty() || below.starts_with('[') { "" } else { "." };
    format!("{outer}{separator}{below}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str) -> Option<String> {
        find(body.as_bytes()).unwrap()
    }

    #[test]
    fn every_handle_of_a_request_is_found_with_its_path() {
        for (body, path) in [
            (r#"{"conversation":"conv_1"}"#, "conversation"),
            (r#"{"conversation":{"id":"conv_1"}}"#, "conversation"),
            (r#"{"prompt":{"id":"pmpt_1","version":"2"}}"#, "prompt.id"),
            (r#"{"input":[{"type":"item_reference","id":"msg_1"}]}"#, "input[0].id"),
            (r#"{"input":[{"role":"user","content":"x"},{"id":"msg_1"}]}"#, "input[1].id"),
            (r#"{"input":[{"type":null,"id":"msg_1"}]}"#, "input[0].id"),
            (r#"{"input":[{"type":"message","type":"item_reference","id":"msg_1"}]}"#, "input[0].id"),
            (r#"{"input":[{"type":"reasoning","id":"rs_1","summary":[]}]}"#, "input[0].id"),
            (r#"{"input":[{"type":"image_generation_call","id":"ig_1"}]}"#, "input[0].id"),
            (
                r#"{"input":[{"content":[{"type":"input_file","file_id":"file_1"}]}]}"#,
                "input[0].content[0].file_id",
            ),
            (
                r#"{"input":[{"content":[{"type":"input_image","file_id":"file_1"}]}]}"#,
                "input[0].content[0].file_id",
            ),
            (
                r#"{"input":[{"type":"function_call_output","output":[{"file_id":"f"}]}]}"#,
                "input[0].output[0].file_id",
            ),
            (
                r#"{"input":[{"type":"code_interpreter_call","container_id":"cntr_1"}]}"#,
                "input[0].container_id",
            ),
            (
                r#"{"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]}"#,
                "tools[0].vector_store_ids",
            ),
            (r#"{"tools":[{"type":"code_interpreter","container":"cntr_1"}]}"#, "tools[0].container"),
            (r#"{"tools":[{"container":{"type":"auto","file_ids":["f"]}}]}"#, "tools[0].container.file_ids"),
            (
                r#"{"tools":[{"type":"shell","environment":{"container_id":"c"}}]}"#,
                "tools[0].environment.container_id",
            ),
            (r#"{"tools":[{"input_image_mask":{"file_id":"f"}}]}"#, "tools[0].input_image_mask.file_id"),
            (
                r#"{"tools":[{"environment":{"skills":[{"skill_id":"s"}]}}]}"#,
                "tools[0].environment.skills[0].skill_id",
            ),
            (
                r#"{"messages":[{"content":[{"type":"file","file":{"file_id":"f"}}]}]}"#,
                "messages[0].content[0].file.file_id",
            ),
            (r#"{"messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#, "messages[0].audio.id"),
            (r#"{"audio":{"voice":{"id":"voice_1"},"format":"wav"}}"#, "audio.voice.id"),
            (
                r#"{"messages":[{"content":[{"source":{"type":"file","file_id":"f"}}]}]}"#,
                "messages[0].content[0].source.file_id",
            ),
            (r#"{"container":"container_1"}"#, "container"),
            (r#"{"container":{"id":"container_1"}}"#, "container.id"),
            (
                r#"{"contents":[{"parts":[{"fileData":{"fileUri":"gs://b/o"}}]}]}"#,
                "contents[0].parts[0].fileData.fileUri",
            ),
            (r#"{"p":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/a"}}"#, "p.fileUri"),
            (r#"{"x":{"file\u005fid":"f"}}"#, "x.file_id"),
            (r#" {"metadata":{},"metadata":1,"x":[[{"file_id":"f"}]]}"#, "x[0][0].file_id"),
        ] {
            assert_eq!(found(body).as_deref(), Some(path), "{body}");
        }
    }

    #[test]
    fn what_is_the_clients_own_is_no_handle() {
        for body in [
            r#"{"input":"file_id","prompt":"prompt","audio":{"voice":"alloy","format":"wav"}}"#,
            r#"{"conversation":null,"prompt":null,"tools":[{"vector_store_ids":[ ],"container":{"type":"auto"}}]}"#,
            r#"{"metadata":{"file_id":"f","conversation":"c","container":"c"}}"#,
            r#"{"tools":[{"type":"function","parameters":{"properties":{"file_id":{"type":"string"}}}}]}"#,
            r#"{"text":{"format":{"schema":{"properties":{"container":{"default":"x"}}}}}}"#,
            r#"{"messages":[{"content":[{"type":"tool_use","id":"t","input":{"file_id":"f"}}]}]}"#,
            r#"{"input":[{"role":"user","content":[{"type":"input_image","file_id":null,"image_url":"https://h"}]}]}"#,
            r#"{"input":[{"type":"message","id":"msg_1","role":"assistant","content":[{"text":"x","annotations":[{"file_id":"f"}]}]}]}"#,
            r#"{"input":[{"type":"function_call","id":"fc_1","call_id":"c","name":"n","arguments":"{}"}]}"#,
            r#"{"input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}]}"#,
            r#"{"input":[{"type":"image_generation_call","id":"ig_1","result":"iVBO"}]}"#,
            r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://example.org/a.png"}}]}]}"#,
            "--form\r\nfile_id",
            "",
        ] {
            assert_eq!(found(body), None, "{body}");
        }
    }

    #[test]
    fn a_body_that_cannot_be_looked_through_is_refused() {
        let deep = format!(r#"{{"x":{}{{"file_id":"f"}}{}}}"#, "[".repeat(200), "]".repeat(200));
        assert!(find(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_path_in_an_error_is_bounded() {
        let body = format!(r#"{{"{}":{{"file_id":"f"}}}}"#, "ä".repeat(5_000));
        assert!(found(&body).unwrap().len() <= MAX_NAME_BYTES + ".file_id".len());
    }
}
