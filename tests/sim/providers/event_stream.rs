//! AWS's binary framing of streams, written from its description: lengths, headers, payload, checksums.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::Value;

/// An event with its payload as JSON.
pub(super) fn event(name: &str, payload: &Value) -> Bytes {
    let mut headers = BytesMut::new();
    for (key, value) in
        [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")]
    {
        headers.put_u8(u8::try_from(key.len()).unwrap_or(u8::MAX));
        headers.put_slice(key.as_bytes());
        // Type 7 is a string, with the length of its value in two bytes.
        headers.put_u8(7);
        headers.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        headers.put_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let mut out = BytesMut::new();
    out.put_u32(length(headers.len() + payload.len() + 16));
    out.put_u32(length(headers.len()));
    out.put_u32(crc32(&out));
    out.put_slice(&headers);
    out.put_slice(payload.as_bytes());
    out.put_u32(crc32(&out));
    out.freeze()
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn lengths_count_everything() {
        let event = event("messageStart", &serde_json::json!({ "role": "assistant" }));
        assert_eq!(event[..4], u32::try_from(event.len()).unwrap().to_be_bytes());
        assert_eq!(event[event.len() - 4..], crc32(&event[..event.len() - 4]).to_be_bytes());
    }
}
