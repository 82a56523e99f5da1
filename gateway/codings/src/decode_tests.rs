//! Bodies of every coding, whole, cut and hostile.

use proptest::prelude::*;

use super::*;
use crate::Encoding;

const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

fn coded(coding: Coding, body: &[u8]) -> Bytes {
    let mut encoding = Encoding::new(coding);
    let head = encoding.push(body).unwrap();
    [head, encoding.end().unwrap()].concat().into()
}

/// What a body that comes in parts of this size becomes.
fn decoded(codings: &[Coding], body: &[u8], part: usize, most: u64) -> Result<Vec<u8>, DecodeError> {
    let mut decoding = Decoding::new(codings, most);
    let mut whole = Vec::new();
    for part in body.chunks(part) {
        decoding.push(Bytes::copy_from_slice(part));
        while let Some(piece) = decoding.piece()? {
            assert!(piece.len() <= PIECE_BYTES);
            whole.extend_from_slice(&piece);
        }
    }
    decoding.end()?;
    Ok(whole)
}

/// About 100 KiB that can be compressed, but not to nothing.
fn text() -> Vec<u8> {
    (0..10_000_u32)
        .flat_map(|number| format!("{{\"n\":{}}}", number.wrapping_mul(2_654_435_761)).into_bytes())
        .collect()
}

#[test]
fn every_coding_and_pair_of_codings_is_decoded_however_it_is_cut() {
    let text = text();
    for first in ALL {
        let once = coded(first, &text);
        assert!(once.len() < text.len() / 2, "{first:?}");
        for part in [1, 7, 4096, usize::MAX] {
            assert_eq!(decoded(&[first], &once, part, 1 << 20).unwrap(), text, "{first:?} by {part}");
        }
        for second in ALL {
            let twice = coded(second, &once);
            assert_eq!(
                decoded(&[first, second], &twice, 1000, 1 << 20).unwrap(),
                text,
                "{first:?} {second:?}"
            );
        }
    }
}

#[test]
fn what_becomes_too_large_is_stopped_at_the_bound() {
    let bomb = vec![0; 16 << 20];
    for coding in ALL {
        let small = coded(coding, &bomb);
        assert!(small.len() < 128 << 10, "{coding:?}");
        let mut decoding = Decoding::new(&[coding], 1 << 20);
        decoding.push(small);
        let mut made = 0;
        let error = loop {
            match decoding.piece() {
                Ok(piece) => made += piece.unwrap().len(),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, DecodeError::TooLarge { most: 1_048_576 }), "{error:?}");
        assert!(made <= 1 << 20, "{coding:?}");
    }
}

#[test]
fn what_lies_between_two_codings_is_bounded_too() {
    // Empty members: nothing comes of them, however many there are.
    let nothing = coded(Coding::Gzip, b"").repeat(100_000);
    let twice = coded(Coding::Zstd, &nothing);
    assert!(twice.len() < 10_000);
    let error = decoded(&[Coding::Gzip, Coding::Zstd], &twice, usize::MAX, 1 << 20).unwrap_err();
    assert!(matches!(error, DecodeError::TooLarge { .. }), "{error:?}");
}

#[test]
fn what_is_cut_broken_or_goes_on_is_an_error() {
    let text = text();
    for coding in ALL {
        let whole = coded(coding, &text);
        for cut in [1, whole.len() / 2, whole.len() - 1] {
            let error = decoded(&[coding], &whole[..cut], 512, 1 << 20).unwrap_err();
            assert!(matches!(error, DecodeError::CutShort { .. }), "{coding:?} at {cut}: {error:?}");
        }
        let nonsense = decoded(&[coding], b"{\"model\":\"m\",\"messages\":[]}", 512, 1 << 20);
        assert!(nonsense.is_err(), "{coding:?}");
        let longer = [&whole[..], b"{}"].concat();
        assert!(decoded(&[coding], &longer, 512, 1 << 20).is_err(), "{coding:?}");
    }
}

#[test]
fn members_follow_one_another() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let both = [coded(coding, b"one "), coded(coding, b"two")].concat();
        for part in [1, 5, usize::MAX] {
            assert_eq!(decoded(&[coding], &both, part, 100).unwrap(), b"one two", "{coding:?}");
        }
    }
}

#[test]
fn deflate_is_read_with_and_without_its_wrapper() {
    let wrapped = coded(Coding::Deflate, b"some text, some text");
    assert_eq!(decoded(&[Coding::Deflate], &wrapped, 3, 100).unwrap(), b"some text, some text");
    // Without the two bytes of RFC 1950 and its sum.
    let bare = &wrapped[2..wrapped.len() - 4];
    assert_eq!(decoded(&[Coding::Deflate], bare, 3, 100).unwrap(), b"some text, some text");
}

#[test]
fn a_body_without_a_byte_is_empty() {
    for coding in ALL {
        assert_eq!(decoded(&[coding], b"", 1, 100).unwrap(), b"");
    }
}

proptest! {
    #[test]
    fn hostile_bodies_never_panic_and_stay_within_the_bound(body in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..4) {
        if let Ok(whole) = decoded(&[ALL[at]], &body, 7, 1000) {
            prop_assert!(whole.len() <= 1000);
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(at in 0_usize..200, with in 1_u8.., coding in 0_usize..4) {
        let mut body = coded(ALL[coding], &text()[..2000]).to_vec();
        let at = at % body.len();
        body[at] ^= with;
        let _ = decoded(&[ALL[coding]], &body, 64, 1 << 20);
    }
}
