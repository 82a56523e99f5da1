//! Key to partition exactly as Kafka's Java client and librdkafka's `murmur2_random` do for keyed records,
//! so that a consumer may move between the logs and still find a key's records in one place.

const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;

/// The partition of `key` among `partitions` (at least 1).
#[must_use]
pub fn partition_of(key: &[u8], partitions: u16) -> u16 {
    let positive = murmur2(key) & 0x7fff_ffff;
    (positive % u32::from(partitions.max(1))) as u16
}

fn murmur2(key: &[u8]) -> u32 {
    let mut hash = SEED ^ (key.len() as u32);
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut bits = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        bits = (bits ^ (bits >> 24)).wrapping_mul(MULTIPLIER);
        hash = hash.wrapping_mul(MULTIPLIER) ^ bits;
    }
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors from librdkafka's own unit test, which took them from the Java client.
    #[test]
    fn hashes_equal_those_of_the_java_client() {
        for (key, hash) in [
            ("kafka", 0xd067_cf64),
            ("giberish123456789", 0x8f55_2b0c),
            ("1234", 0x9fc9_7b14),
            ("234", 0xe7c0_09ca),
            ("34", 0x8739_30da),
            ("4", 0x5a4b_5ca1),
            ("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x7842_4f1c),
            ("reAmbleWillBeRemoved,ThePrePartThatIs", 0x4a62_b377),
            ("", 0x106e_08d9),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn every_partition_is_in_range_and_all_are_used() {
        let mut used = [false; 8];
        for number in 0..200 {
            used[usize::from(partition_of(format!("key-{number}").as_bytes(), 8))] = true;
        }
        assert!(used.iter().all(|used| *used));
        assert_eq!(partition_of(b"x", 0), 0);
    }
}
