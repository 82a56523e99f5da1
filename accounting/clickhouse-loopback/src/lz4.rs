//! ClickHouse's compressed framing of request bodies (`decompress=1`). Pure.
//!
//! A block is a checksum of 16 bytes (CityHash128 v1.0.2 of the rest, halves swapped), the method 0x82
//! (LZ4), the compressed size with these 9 bytes of header, the plain size, and the LZ4 data.

const CHECKSUM: usize = 16;
const HEADER: usize = 9;
const LZ4: u8 = 0x82;
/// Largest plain block; ClickHouse itself stays below 1 MiB, clients below a few.
const MAX_BLOCK: usize = 64 << 20;

/// Unpacks all blocks, up to `limit` bytes in all.
pub(super) fn unpack(mut data: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut plain = Vec::with_capacity(data.len().saturating_mul(3).min(limit));
    while !data.is_empty() {
        let (block, rest) = split(data)?;
        let size = block.plain_size;
        if size > MAX_BLOCK || plain.len() + size > limit {
            return Err("the body is too large".to_owned());
        }
        let unpacked = lz4_flex::block::decompress(block.data, size).map_err(|error| error.to_string())?;
        plain.extend_from_slice(&unpacked);
        data = rest;
    }
    Ok(plain)
}

struct Block<'a> {
    data: &'a [u8],
    plain_size: usize,
}

fn split(data: &[u8]) -> Result<(Block<'_>, &[u8]), String> {
    let short = || "a compressed block is cut off".to_owned();
    let (checksum, rest) = data.split_first_chunk::<CHECKSUM>().ok_or_else(short)?;
    let header = rest.first_chunk::<HEADER>().ok_or_else(short)?;
    let [method, a, b, c, d, e, f, g, h] = *header;
    if method != LZ4 {
        return Err(format!("compression method {method:#04x} is not supported, use LZ4"));
    }
    let size = u32::from_le_bytes([a, b, c, d]) as usize;
    let plain_size = u32::from_le_bytes([e, f, g, h]) as usize;
    if size < HEADER || rest.len() < size {
        return Err(short());
    }
    let (block, rest) = rest.split_at(size);
    if cityhash_rs::cityhash_102_128(block).rotate_right(64) != u128::from_le_bytes(*checksum) {
        return Err("a compressed block has the wrong checksum".to_owned());
    }
    Ok((Block { data: &block[HEADER..], plain_size }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pack(plain: &[u8]) -> Vec<u8> {
        let packed = lz4_flex::block::compress(plain);
        let mut block = vec![LZ4];
        block.extend(((packed.len() + HEADER) as u32).to_le_bytes());
        block.extend((plain.len() as u32).to_le_bytes());
        block.extend(packed);
        let checksum = cityhash_rs::cityhash_102_128(&block).rotate_right(64);
        [checksum.to_le_bytes().to_vec(), block].concat()
    }

    #[test]
    fn several_blocks_are_one_body() {
        let body = [pack(b"hello "), pack(b""), pack(&[b'x'; 10_000])].concat();
        let plain = unpack(&body, 1 << 20).unwrap();
        assert_eq!(plain.len(), 10_006);
        assert!(plain.starts_with(b"hello x"));
    }

    #[test]
    fn a_changed_byte_is_found() {
        let mut body = pack(b"hello hello hello");
        *body.last_mut().unwrap() ^= 1;
        assert!(unpack(&body, 1 << 20).unwrap_err().contains("checksum"));
    }

    #[test]
    fn a_body_over_the_limit_is_refused() {
        assert!(unpack(&pack(&[0; 1000]), 999).unwrap_err().contains("too large"));
    }

    proptest! {
        #[test]
        fn hostile_bodies_never_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&data, 1 << 16);
        }
    }
}
