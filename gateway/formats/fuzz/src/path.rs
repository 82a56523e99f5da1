//! How paths of calls that pass through are spelled, as the gateway has it, and a server that reads them in its own way.

#[path = "../../../crossing/src/path.rs"]
pub mod spelling;

/// What a server routes that decodes so many times and does what some servers do beside it: it takes backslashes for
/// slashes, leaves parameters out, or both.
#[must_use]
pub fn routed(sent: &str, times: usize, backslashes: bool, parameters: bool) -> String {
    let mut bytes = sent.as_bytes().to_vec();
    for _ in 0..times {
        bytes = decoded(&bytes);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let text = if backslashes { text.replace('\\', "/") } else { text };
    let name = |word: &str| if parameters { word.split(';').next().unwrap_or_default().to_owned() } else { word.to_owned() };
    let kept: Vec<String> = text.split('/').map(name).filter(|word| !word.is_empty()).collect();
    format!("/{}", kept.join("/"))
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16)).map(|value| value as u8);
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}
