//! Messages of which nothing is left where the one thing that they hold is left out.

use serde_json::{Value, json};
use tollgate_formats::{FormatError, OnUnmappable};

use super::formats::{BACKENDS, CLIENTS, Client};

const PICTURE: &str = "https://x.example/a.png";
const PDF: &str = "https://x.example/a.pdf";

/// Whatever is refused with `drop`, is not named, or leaves the conversation without its last message.
pub(crate) fn faults() -> Vec<String> {
    let mut faults = Vec::new();
    for (client, part) in
        CLIENTS.iter().flat_map(|client| parts(client).into_iter().map(move |part| (client, part)))
    {
        for backend in BACKENDS.iter().filter(|backend| backend.title != client.own) {
            let mut fault = |what: String| {
                faults.push(format!("{} to {}: {part}: {what}", client.title, backend.title));
            };
            for follows in [false, true] {
                let body = serde_json::to_vec(&body(client, &part, follows)).unwrap();
                let dropped = match client.send(backend, &body, OnUnmappable::Drop) {
                    Ok(sent) => sent,
                    Err(error) => {
                        fault(error.to_string());
                        continue;
                    }
                };
                let is_refused = match client.send(backend, &body, OnUnmappable::Reject) {
                    Ok(_) => false,
                    Err(FormatError::Unsupported { .. }) => true,
                    Err(error) => {
                        fault(error.to_string());
                        continue;
                    }
                };
                if is_refused && dropped.dropped.is_empty() {
                    fault("nothing is named".to_owned());
                }
                let sent = String::from_utf8(dropped.body).unwrap();
                if is_refused && !sent.contains(" left out]") {
                    fault(format!("nothing stands for it: {sent}"));
                }
            }
        }
    }
    faults
}

/// Things that some backend has no place for, as parts of the client's format.
fn parts(client: &Client) -> Vec<Value> {
    match client.title {
        "OpenAI Chat Completions" => vec![
            json!({"type": "image_url", "image_url": {"url": PICTURE}}),
            json!({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
            json!({"type": "file", "file": {"file_id": "file-1"}}),
            json!({"type": "video_url", "video_url": {"url": "https://x.example/a.mp4"}}),
        ],
        "OpenAI Responses" => vec![
            json!({"type": "input_image", "image_url": PICTURE}),
            json!({"type": "input_image", "file_id": "file-1"}),
            json!({"type": "input_file", "file_url": PDF}),
            json!({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
            json!({"type": "new_part", "b": 1}),
        ],
        "Anthropic Messages" => vec![
            json!({"type": "image", "source": {"type": "url", "url": PICTURE}}),
            json!({"type": "document", "source": {"type": "url", "url": PDF}}),
            json!({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
            json!({"type": "container_upload", "file_id": "file_1"}),
        ],
        "Gemini generateContent" => vec![
            json!({"fileData": {"mimeType": "image/png", "fileUri": PICTURE}}),
            json!({"fileData": {"mimeType": "application/pdf", "fileUri": PDF}}),
            json!({"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}),
            json!({"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}}),
        ],
        _ => Vec::new(),
    }
}

/// A request that consists of the part, or ends with it.
fn body(client: &Client, part: &Value, follows: bool) -> Value {
    let mut body: Value = serde_json::from_str(client.minimal).unwrap();
    let (list, said, turn) = match client.title {
        "Gemini generateContent" => (
            "contents",
            json!([{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "well"}]}]),
            json!({"role": "user", "parts": [part]}),
        ),
        "OpenAI Responses" => ("input", said(), json!({"role": "user", "content": [part]})),
        _ => ("messages", said(), json!({"role": "user", "content": [part]})),
    };
    let mut turns = if follows { said } else { json!([]) };
    turns.as_array_mut().unwrap().push(turn);
    body[list] = turns;
    body
}

fn said() -> Value {
    json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "well"}])
}
