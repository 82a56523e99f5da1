//! Reads an image's size from its header, without decoding anything else: PNG, JPEG, GIF and WebP, as bytes or as
//! a base64 data URL. Any byte is reached on its own, so even a header behind a long preface costs next to nothing.

use crate::image::Size;

/// Segments of a JPEG that are stepped over before giving up.
const MOST_SEGMENTS: usize = 512;

/// The size of an image file.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> Option<Size> {
    size(&|at| bytes.get(at).copied())
}

/// The size of an image in base64, with either alphabet.
#[must_use]
pub fn of_base64(text: &str) -> Option<Size> {
    let text = text.as_bytes();
    size(&|at| decoded(text, at))
}

/// The size of the image in a `data:` URL; nothing for other URLs.
#[must_use]
pub fn of_url(url: &str) -> Option<Size> {
    let data = url.strip_prefix("data:")?;
    let (kind, data) = data.split_once(',')?;
    if kind.ends_with("base64") { of_base64(data) } else { None }
}

/// The byte at `at` of what `text` encodes.
fn decoded(text: &[u8], at: usize) -> Option<u8> {
    let value = |index: usize| {
        Some(match *text.get(at / 3 * 4 + index)? {
            letter @ b'A'..=b'Z' => letter - b'A',
            letter @ b'a'..=b'z' => letter - b'a' + 26,
            digit @ b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        })
    };
    Some(match at % 3 {
        0 => value(0)? << 2 | value(1)? >> 4,
        1 => value(1)? << 4 | value(2)? >> 2,
        _ => value(2)? << 6 | value(3)?,
    })
}

type Reader<'a> = &'a dyn Fn(usize) -> Option<u8>;

fn size(byte: Reader<'_>) -> Option<Size> {
    let found = match [byte(0)?, byte(1)?, byte(2)?] {
        [0x89, b'P', b'N'] if starts(byte, 12, b"IHDR") => {
            Some(Size { width: big(byte, 16, 4)?, height: big(byte, 20, 4)? })
        }
        [b'G', b'I', b'F'] => Some(Size { width: little(byte, 6, 2)?, height: little(byte, 8, 2)? }),
        [b'R', b'I', b'F'] if starts(byte, 8, b"WEBP") => webp(byte),
        [0xff, 0xd8, 0xff] => jpeg(byte),
        _ => None,
    };
    found.filter(|size| size.width > 0 && size.height > 0)
}

fn starts(byte: Reader<'_>, at: usize, text: &[u8]) -> bool {
    (at..).zip(text).all(|(at, expected)| byte(at) == Some(*expected))
}

fn big(byte: Reader<'_>, at: usize, len: usize) -> Option<u32> {
    (at..at + len).try_fold(0, |number, at| Some(number << 8 | u32::from(byte(at)?)))
}

fn little(byte: Reader<'_>, at: usize, len: usize) -> Option<u32> {
    (at..at + len).rev().try_fold(0, |number, at| Some(number << 8 | u32::from(byte(at)?)))
}

fn webp(byte: Reader<'_>) -> Option<Size> {
    match byte(15)? {
        // Lossy: a key frame's start code, then twice 14 bits.
        b' ' if starts(byte, 23, &[0x9d, 0x01, 0x2a]) => {
            Some(Size { width: little(byte, 26, 2)? & 0x3fff, height: little(byte, 28, 2)? & 0x3fff })
        }
        // Lossless: twice 14 bits, less one.
        b'L' => {
            let bits = little(byte, 21, 4)?;
            Some(Size { width: (bits & 0x3fff) + 1, height: (bits >> 14 & 0x3fff) + 1 })
        }
        // Extended: twice 24 bits, less one.
        b'X' => Some(Size { width: little(byte, 24, 3)? + 1, height: little(byte, 27, 3)? + 1 }),
        _ => None,
    }
}

/// Steps over segments to the frame's header.
fn jpeg(byte: Reader<'_>) -> Option<Size> {
    let mut at = 2;
    for _ in 0..MOST_SEGMENTS {
        if byte(at)? != 0xff {
            return None;
        }
        match byte(at + 1)? {
            // Padding.
            0xff => at += 1,
            // Start of frame, of any kind; not the tables that have numbers among them.
            marker @ 0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some(Size { height: big(byte, at + 5, 2)?, width: big(byte, at + 7, 2)? });
            }
            // Without a length.
            0x01 | 0xd0..=0xd8 => at += 2,
            // The picture itself, or its end, before any frame.
            0xd9 | 0xda => return None,
            _ => at += 2 + big(byte, at + 2, 2)?.max(2) as usize,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    const EXPECTED: Option<Size> = Some(Size { width: 640, height: 480 });

    fn png() -> Vec<u8> {
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &640_u32.to_be_bytes(), &480_u32.to_be_bytes()].concat()
    }

    fn jpeg_behind(preface: usize) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        for _ in 0..preface {
            bytes.extend([0xff, 0xe1, 0xff, 0xff]);
            bytes.resize(bytes.len() + 0xfffd, 0);
        }
        bytes.extend([0xff, 0xc4, 0, 4, 0, 0, 0xff, 0xff, 0xc2, 0, 17, 8, 0x01, 0xe0, 0x02, 0x80]);
        bytes
    }

    #[test]
    fn headers_of_all_formats_are_read() {
        assert_eq!(of_bytes(&png()), EXPECTED);
        assert_eq!(of_bytes(&jpeg_behind(0)), EXPECTED);
        assert_eq!(of_bytes(b"GIF89a\x80\x02\xe0\x01"), EXPECTED);
        assert_eq!(of_bytes(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0"), EXPECTED);
        assert_eq!(of_bytes(b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x80\x02\xe0\x01"), EXPECTED);
        let lossless =
            [b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f".as_slice(), &(639_u32 | 479 << 14).to_le_bytes()].concat();
        assert_eq!(of_bytes(&lossless), EXPECTED);
    }

    #[test]
    fn a_header_far_behind_is_found_in_base64_too() {
        let text = BASE64_STANDARD.encode(jpeg_behind(5));
        assert_eq!(of_url(&format!("data:image/jpeg;base64,{text}")), EXPECTED);
        assert_eq!(of_base64(&BASE64_URL_SAFE_NO_PAD.encode(png())), EXPECTED);
    }

    #[test]
    fn what_is_no_image_has_no_size() {
        for url in
            ["https://example.com/a.png", "data:image/png,xyz", "data:image/png;base64,", "data:;base64,AAAA"]
        {
            assert_eq!(of_url(url), None, "{url}");
        }
        assert_eq!(of_bytes(&png()[..20]), None);
        assert_eq!(of_bytes(b"GIF89a\0\0\0\0"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_behind_a_known_start_are_read_without_panic(
            start in prop::sample::select(vec![b"\xff\xd8\xff".to_vec(), b"RIFF\0\0\0\0WEBPVP8".to_vec(), png()]),
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [start, rest].concat();
            let decoded = of_base64(&BASE64_STANDARD.encode(&bytes));
            prop_assert_eq!(decoded, of_bytes(&bytes));
        }
    }
}
