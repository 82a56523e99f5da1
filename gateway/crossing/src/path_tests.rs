//! Spellings of paths, and what servers make of them.

use http::Method;
use proptest::prelude::*;
use tollgate_formats::BackendFormat;

use super::*;
use crate::known::Known;

#[test]
fn a_path_has_one_spelling() {
    for (came, sent) in [
        ("", ""),
        ("/", "/"),
        ("/chat/%63ompletions", "/chat/completions"),
        ("/v1/message%73/", "/v1/messages/"),
        ("/model/arn%3aaws%2fx/converse", "/model/arn%3Aaws%2Fx/converse"),
        ("/models/m:generateContent", "/models/m:generateContent"),
        ("/.well-known/...", "/.well-known/..."),
        ("/a|b/\u{e9}", "/a%7Cb/%C3%A9"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%252F", "/a%252F"),
    ] {
        assert_eq!(canonical(came).as_deref(), Ok(sent), "{came}");
    }
}

#[test]
fn what_servers_read_in_different_ways_is_refused() {
    for (path, fault) in [
        ("/..", PathFault::Dots),
        ("/a/../../b", PathFault::Dots),
        ("/.", PathFault::Dots),
        ("/%2e%2E/x", PathFault::Dots),
        ("/.%2e", PathFault::Dots),
        ("/a/%2E", PathFault::Dots),
        ("/a%2F..%2Fb", PathFault::Dots),
        ("/a%2f%2e%2e%2f%2e%2e%2fadmin", PathFault::Dots),
        ("/a%5C..%5Cb", PathFault::Dots),
        ("/%252e%252e/b", PathFault::Dots),
        ("/a%252F..%252Fb", PathFault::Dots),
        ("/..%3Bx/b", PathFault::Dots),
        ("/a//b", PathFault::Empty),
        ("//", PathFault::Empty),
        ("/chat/completions;x", PathFault::Parameters),
        ("/chat/completions%3Bx%252Fy", PathFault::Parameters),
        ("/a\\b", PathFault::Backslash),
        ("/chat/completions%00", PathFault::Control),
        ("/a%", PathFault::Percent),
        ("/a%2", PathFault::Percent),
        ("/a%zz", PathFault::Percent),
        ("/a%+1", PathFault::Percent),
        ("/%2525252525", PathFault::Percent),
    ] {
        assert_eq!(canonical(path), Err(fault), "{path}");
    }
}

#[test]
fn a_list_of_paths_allows_no_other_however_it_is_spelled() {
    let allowed = |path: &str| is_allowed(["/v1/files", "/v1/batches/*"], &canonical(path).unwrap());
    for path in ["/v1/files", "/v1/files/", "/v1/%66iles", "/v1/batches/b_1", "/v1/batches/b_1/cancel"] {
        assert!(allowed(path), "{path}");
    }
    for path in
        ["", "/", "/v1/files/f", "/v1/batches", "/v1/batches/", "/v1/batchesx", "/v1%2Ffiles", "/V1/files"]
    {
        assert!(!allowed(path), "{path}");
    }
}

/// What a server routes that decodes so many times, with what some servers do beside it.
fn routed(sent: &str, times: usize, backslashes: bool, parameters: bool) -> String {
    let mut bytes = sent.as_bytes().to_vec();
    for _ in 0..times {
        bytes = decoded_once(&bytes).unwrap_or(bytes);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let text = if backslashes { text.replace('\\', "/") } else { text };
    let words = text.split('/').map(|word| if parameters { without_parameters(word) } else { word });
    let kept: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    format!("/{}", kept.join("/"))
}

const KNOWN: [(BackendFormat, &str); 6] = [
    (BackendFormat::OpenAi, "/v1/chat/completions"),
    (BackendFormat::OpenAi, "/v1/embeddings"),
    (BackendFormat::AzureOpenAi, "/openai/deployments/d/responses"),
    (BackendFormat::Anthropic, "/v1/messages"),
    (BackendFormat::Bedrock, "/model/x/converse-stream"),
    (BackendFormat::Gemini, "/v1beta/models/g:generateContent"),
];

/// One character in one of the spellings that servers take for it.
fn spelled(character: char) -> impl Strategy<Value = String> {
    let code = u32::from(character);
    let mut spellings = vec![
        character.to_string(),
        format!("%{code:02x}"),
        format!("%{code:02X}"),
        format!("%25{code:02x}"),
        format!("%2525{code:02x}"),
    ];
    if character == '/' {
        spellings.extend(["%5c", "//", "%2F/", ";x/", "%3Bx/", "/%2f"].map(str::to_owned));
    } else {
        spellings.push(character.to_ascii_uppercase().to_string());
    }
    prop::sample::select(spellings)
}

fn any_spelling() -> impl Strategy<Value = (BackendFormat, &'static str, String)> {
    (
        prop::sample::select(KNOWN.to_vec()),
        prop::sample::select(vec!["", "/", "//", "%2F", ";a", "%3ba", "%3Ba%2Fb", "%3Ba%252Fb"]),
    )
        .prop_flat_map(|((format, path), end)| {
            // The slash at the beginning is what the API's own path ends at.
            let rest: Vec<_> = path.chars().skip(1).map(spelled).collect();
            rest.prop_map(move |parts| (format, path, format!("/{}{end}", parts.concat())))
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_a_decoding_backend_routes_to_a_metered_path_is_metered((format, path, came) in any_spelling()) {
        let Ok(sent) = canonical(&came) else { return Ok(()) };
        let known = Known::of(format, &Method::POST, &sent).is_some();
        for times in 0..=3 {
            for (backslashes, parameters) in [(false, false), (false, true), (true, false), (true, true)] {
                let routed = routed(&sent, times, backslashes, parameters);
                prop_assert!(known || !routed.eq_ignore_ascii_case(path), "{came} is sent as {sent}");
            }
        }
    }

    #[test]
    fn no_path_leaves_its_base_however_often_it_is_decoded(path in "(/|%2f|%5C|%25|2e|2E|5c|\\.|%2e|;|%3b|a){0,24}") {
        let Ok(sent) = canonical(&format!("/{path}")) else { return Ok(()) };
        prop_assert_eq!(canonical(&sent), Ok(sent.clone()), "the one spelling is its own");
        for times in 0..=4 {
            let routed = routed(&sent, times, true, true);
            prop_assert!(!routed.split('/').any(|word| word == "." || word == ".."), "{}", routed);
        }
    }
}
