//! Handles of what a provider keeps, towards accounts that tenants share: refused, because nobody has bound them to
//! their sender. A backend that belongs to one tenant (`tenant`) takes them from that tenant.
//!
//! Ids of stored answers are not among them: those are bound to their owners ([`crate::stored::response_ids`]).

use tollgate_crossing::Wire;

use crate::error::GatewayError;

/// Checks a request of `tenant` as it would be sent; `account` is the tenant that the account belongs to, `None` where
/// it is shared.
///
/// # Errors
/// [`GatewayError::UnboundHandle`] when it names something that the account keeps and that is not surely the caller's.
pub fn check(wire: Wire, account: Option<&str>, tenant: &str, body: &[u8]) -> Result<(), GatewayError> {
    if account == Some(tenant) {
        return Ok(());
    }
    match wire.kept_handle(body)? {
        Some(param) => Err(GatewayError::UnboundHandle { param }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tollgate_formats::openai_media::MediaKind;

    use super::*;

    /// A request of each API with a handle of another tenant, and the field that is named.
    const CASES: [(Wire, &str, &str); 21] = [
        (Wire::Responses, r#"{"conversation":"conv_1"}"#, "conversation"),
        (Wire::Responses, r#"{"conversation":{"id":"conv_1"}}"#, "conversation"),
        (Wire::Responses, r#"{"prompt":{"id":"pmpt_1"}}"#, "prompt.id"),
        (Wire::Responses, r#"{"input":[{"type":"item_reference","id":"msg_1"}]}"#, "input[0].id"),
        (Wire::Responses, r#"{"input":[{"type":"reasoning","id":"rs_1","summary":[]}]}"#, "input[0].id"),
        (Wire::Responses, r#"{"input":[{"type":"image_generation_call","id":"ig_1"}]}"#, "input[0].id"),
        (
            Wire::Responses,
            r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file_1"}]}]}"#,
            "input[0].content[0].file_id",
        ),
        (
            Wire::Responses,
            r#"{"input":[{"role":"user","content":[{"type":"input_image","file_id":"file_1"}]}]}"#,
            "input[0].content[0].file_id",
        ),
        (
            Wire::Responses,
            r#"{"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]}"#,
            "tools[0].vector_store_ids",
        ),
        (
            Wire::Responses,
            r#"{"tools":[{"type":"code_interpreter","container":"cntr_1"}]}"#,
            "tools[0].container",
        ),
        (
            Wire::Responses,
            r#"{"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["file_1"]}}]}"#,
            "tools[0].container.file_ids",
        ),
        (
            Wire::Chat,
            r#"{"messages":[{"role":"user","content":[{"type":"file","file":{"file\u005fid":"file_1"}}]}]}"#,
            "messages[0].content[0].file.file_id",
        ),
        (
            Wire::Chat,
            r#"{"messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#,
            "messages[0].audio.id",
        ),
        (Wire::Messages, r#"{"container":"container_1","messages":[]}"#, "container"),
        (
            Wire::Generate,
            r#"{"contents":[{"parts":[{"fileData":{"fileUri":"gs://b/o"}}]}]}"#,
            "contents[0].parts[0].fileData.fileUri",
        ),
        (
            Wire::Generate,
            r#"{"contents":[{"parts":[{"file_data":{"file_uri":"files/x"}}]}]}"#,
            "contents[0].parts[0].file_data.file_uri",
        ),
        (Wire::Generate, r#"{"cachedContent":"cachedContents/1"}"#, "cachedContent"),
        (Wire::Generate, r#"{"cached_content":"cachedContents/1"}"#, "cached_content"),
        (
            Wire::Generate,
            r#"{"tools":[{"fileSearch":{"fileSearchStoreNames":["fileSearchStores/1"]}}]}"#,
            "tools[0].fileSearch.fileSearchStoreNames",
        ),
        (
            Wire::Embed,
            r#"{"content":{"parts":[{"fileData":{"fileUri":"files/x"}}]}}"#,
            "content.parts[0].fileData.fileUri",
        ),
        (Wire::Media(MediaKind::ImageEdit), r#"{"images":[{"file_id":"file_1"}]}"#, "images[0].file_id"),
    ];

    #[test]
    fn no_handle_reaches_an_account_that_is_not_the_caller_s_alone() {
        let accounts = [(None, "acme"), (None, "globex"), (Some("acme"), "globex")];
        for (wire, body, field) in CASES {
            for (account, caller) in accounts {
                let refusal = check(wire, account, caller, body.as_bytes()).unwrap_err();
                let class = refusal.class();
                assert_eq!((class.status, class.code), (400, "unbound_handle"), "{body}");
                assert_eq!(refusal.param(), Some(field), "{body}");
            }
        }
    }

    #[test]
    fn a_tenant_with_an_account_of_its_own_may_name_what_is_in_it() {
        for (wire, body, _) in CASES {
            assert!(check(wire, Some("acme"), "acme", body.as_bytes()).is_ok(), "{body}");
        }
    }

    #[test]
    fn a_request_without_handles_reaches_every_account() {
        for (wire, body) in [
            (Wire::Responses, r#"{"input":"hi","previous_response_id":"resp_1","store":true}"#),
            (Wire::Chat, r#"{"messages":[{"role":"user","content":"file_id \u0041"}]}"#),
            (Wire::Embeddings, r#"{"input":["file_id"]}"#),
        ] {
            assert!(check(wire, None, "acme", body.as_bytes()).is_ok(), "{body}");
        }
    }
}
