//! Errors of every backend's format, written for every client.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tollgate_formats::{ProviderError, bedrock};
use tollgate_fuzz::formats::{BACKENDS, CLIENTS};
use tollgate_fuzz::{check, head, mutate};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::json(data, size, max_size, seed, 3)
});

fuzz_target!(|data: &[u8]| {
    let Some(([high, low, name], body)) = head(data) else { return };
    let status = u16::from_be_bytes([high, low]);
    for backend in BACKENDS {
        write(&(backend.decode_error)(status, body));
    }
    let (name, rest) = body.split_at(usize::from(name).min(body.len()));
    let name = String::from_utf8_lossy(name);
    write(&bedrock::error::decode(status, Some(&name), rest));
});

fn write(error: &ProviderError) {
    assert!(!error.message.is_empty(), "an error says something: {error:?}");
    for client in CLIENTS {
        for request_id in [None, Some("request-1")] {
            check::json(&(client.encode_error)(&error.shown(request_id)));
        }
    }
}
