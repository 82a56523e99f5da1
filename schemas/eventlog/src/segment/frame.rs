//! Framing of one record: pure functions over bytes. The layout is in the module header of
//! [`super`](crate::segment).

/// Bytes before a payload.
pub const FRAME_HEADER: usize = 8;

/// Largest payload, bytes.
pub(crate) const MAX_PAYLOAD: usize = 16 << 20;

/// Where a frame stands; part of its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    /// Offset of the frame in the segment's file, bytes.
    pub(crate) offset: u64,
}

/// The payload cannot be framed: it is empty or larger than 16 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of {0} bytes cannot be framed (1 to {MAX_PAYLOAD})")]
pub struct BadLength(pub usize);

/// A record being built in a buffer that is used again for the next one.
#[derive(Debug, Default)]
pub struct Frame {
    bytes: Vec<u8>,
}

impl Frame {
    /// An empty frame; grows on first use.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Starts over and lets `write` append the payload, then seals the frame: everything that does not
    /// depend on the place is computed here, before any lock is taken.
    ///
    /// # Errors
    /// When the payload is empty or too large.
    pub fn build(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<&mut [u8], BadLength> {
        self.bytes.clear();
        self.bytes.resize(FRAME_HEADER, 0);
        write(&mut self.bytes);
        seal(&mut self.bytes)?;
        Ok(&mut self.bytes)
    }

    /// Gives memory back after an unusually large record.
    pub fn shrink_to(&mut self, bytes: usize) {
        if self.bytes.capacity() > bytes {
            self.bytes.clear();
            self.bytes.shrink_to(bytes);
        }
    }
}

/// Fills in length and checksum of a frame whose payload starts at [`FRAME_HEADER`].
fn seal(frame: &mut [u8]) -> Result<(), BadLength> {
    let payload = frame.len() - FRAME_HEADER;
    let length = match u32::try_from(payload) {
        Ok(length) if payload > 0 && payload <= MAX_PAYLOAD => length.to_le_bytes(),
        _ => return Err(BadLength(payload)),
    };
    let crc = checksum(length, &frame[FRAME_HEADER..]);
    frame[..4].copy_from_slice(&length);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// Binds a sealed frame to a place, or releases it from that place again: the operation is its own inverse.
pub(crate) fn toggle_place(frame: &mut [u8], place: Place) {
    for (byte, mask) in frame[4..8].iter_mut().zip(mask(place).to_le_bytes()) {
        *byte ^= mask;
    }
}

/// Length of the sealed frame at the start of `frames`; `None` if it is incomplete or not a frame.
#[must_use]
pub fn sealed_length(frames: &[u8]) -> Option<usize> {
    let total = FRAME_HEADER + payload_length(frames)?;
    (total <= frames.len()).then_some(total)
}

/// Payload length that the header at the start of `bytes` announces; `None` if they are not a header.
pub(crate) fn payload_length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.first_chunk::<4>()?) as usize;
    (bytes.len() >= FRAME_HEADER && (1..=MAX_PAYLOAD).contains(&length)).then_some(length)
}

/// Whether `frame` (header and payload, nothing else) is a valid record at `place`.
pub(crate) fn is_valid(frame: &[u8], place: Place) -> bool {
    let Some((header, payload)) = frame.split_first_chunk::<FRAME_HEADER>() else { return false };
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *header;
    let stored = u32::from_le_bytes([c0, c1, c2, c3]) ^ mask(place);
    payload_length(header) == Some(payload.len()) && checksum([l0, l1, l2, l3], payload) == stored
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), payload)
}

/// 32 well-mixed bits of a place (the finaliser of splitmix64).
fn mask(place: Place) -> u32 {
    let mut bits = place.segment.rotate_left(40) ^ place.offset ^ 0x9e37_79b9_7f4a_7c15;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = Place { segment: 3, offset: 16 };

    fn placed(payload: &[u8]) -> Vec<u8> {
        let mut frame = Frame::new();
        let bytes = frame.build(|buffer| buffer.extend_from_slice(payload)).unwrap();
        toggle_place(bytes, HERE);
        bytes.to_vec()
    }

    #[test]
    fn a_frame_is_valid_at_its_place_only() {
        let frame = placed(b"hello");
        assert!(is_valid(&frame, HERE));
        assert!(!is_valid(&frame, Place { segment: 4, ..HERE }));
        assert!(!is_valid(&frame, Place { offset: 17, ..HERE }));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let frame = placed(b"a record of some length");
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_valid(&damaged, HERE), "bit {bit}");
        }
    }

    #[test]
    fn zeroes_are_not_a_record() {
        assert!(!is_valid(&[0; 64], HERE));
        assert_eq!(sealed_length(&[0; 64]), None);
    }

    #[test]
    fn empty_and_oversize_payloads_are_refused() {
        let mut frame = Frame::new();
        assert_eq!(frame.build(|_| {}).unwrap_err(), BadLength(0));
        let large = MAX_PAYLOAD + 1;
        assert_eq!(
            frame.build(|buffer| buffer.resize(FRAME_HEADER + large, 7)).unwrap_err(),
            BadLength(large)
        );
        frame.shrink_to(1024);
        assert!(frame.bytes.capacity() <= 1024);
    }
}
