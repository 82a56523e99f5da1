//! Writes frames, for tests and simulated backends: the gateway itself only reads streams.

use super::{EventStreamError, Header, MAX_HEADERS_BYTES, OVERHEAD, Value};

/// Longest text or bytes of a header.
const MAX_VALUE_BYTES: usize = 32_767;

/// Appends a message.
///
/// # Errors
/// When a name, value or the whole is longer than the framing can say.
pub fn encode(headers: &[Header<'_>], payload: &[u8], out: &mut Vec<u8>) -> Result<(), EventStreamError> {
    let mut block = Vec::with_capacity(96);
    for header in headers {
        let name_length = u8::try_from(header.name.len())
            .map_err(|_| EventStreamError::Headers("a name is longer than 255 bytes"))?;
        block.push(name_length);
        block.extend_from_slice(header.name.as_bytes());
        encode_value(header.value, &mut block)?;
    }
    let headers_length = u32::try_from(block.len()).unwrap_or(u32::MAX);
    let total = u32::try_from(block.len() + payload.len() + OVERHEAD).unwrap_or(u32::MAX);
    if total == u32::MAX || block.len() > MAX_HEADERS_BYTES {
        return Err(EventStreamError::Length { total, headers: headers_length });
    }
    let start = out.len();
    out.extend_from_slice(&total.to_be_bytes());
    out.extend_from_slice(&headers_length.to_be_bytes());
    let prelude = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&prelude.to_be_bytes());
    out.extend_from_slice(&block);
    out.extend_from_slice(payload);
    let message = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&message.to_be_bytes());
    Ok(())
}

/// Appends an event of a JSON stream, as Bedrock sends it.
///
/// # Errors
/// As [`encode`].
pub fn encode_event(event_type: &str, json: &str, out: &mut Vec<u8>) -> Result<(), EventStreamError> {
    let text = |name, value| Header { name, value: Value::Text(value) };
    let headers = [
        text(":event-type", event_type),
        text(":content-type", "application/json"),
        text(":message-type", "event"),
    ];
    encode(&headers, json.as_bytes(), out)
}

fn encode_value(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), EventStreamError> {
    match value {
        Value::Bool(value) => out.push(u8::from(!value)),
        Value::Byte(value) => out.extend_from_slice(&[2, value.to_be_bytes()[0]]),
        Value::Short(value) => tagged(3, &value.to_be_bytes(), out),
        Value::Int(value) => tagged(4, &value.to_be_bytes(), out),
        Value::Long(value) => tagged(5, &value.to_be_bytes(), out),
        Value::Bytes(value) => sized(6, value, out)?,
        Value::Text(value) => sized(7, value.as_bytes(), out)?,
        Value::Timestamp(value) => tagged(8, &value.to_be_bytes(), out),
        Value::Uuid(value) => tagged(9, &value, out),
    }
    Ok(())
}

fn tagged(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(bytes);
}

fn sized(kind: u8, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EventStreamError> {
    let length = u16::try_from(bytes.len())
        .ok()
        .filter(|_| bytes.len() <= MAX_VALUE_BYTES)
        .ok_or(EventStreamError::Headers("a value is longer than 32,767 bytes"))?;
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}
