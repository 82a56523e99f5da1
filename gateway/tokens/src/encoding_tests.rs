//! Counting against the reference, and against inputs that the reference does not survive.

use proptest::prelude::*;

use super::*;
use crate::count::Budget;

fn reference(encoding: Encoding) -> &'static CoreBPE {
    match encoding {
        Encoding::O200k => tiktoken_rs::o200k_base_singleton(),
        Encoding::Cl100k => tiktoken_rs::cl100k_base_singleton(),
        Encoding::P50k => tiktoken_rs::p50k_base_singleton(),
        Encoding::R50k => tiktoken_rs::r50k_base_singleton(),
    }
}

fn count(encoding: Encoding, text: &str) -> Counted {
    encoding.count(text, &mut Budget::worker().0.clone()).unwrap()
}

#[track_caller]
fn check(text: &str) {
    for encoding in Encoding::ALL {
        let expected = reference(encoding).encode_ordinary(text).len() as u64;
        assert_eq!(
            count(encoding, text),
            Counted { tokens: expected, bytes: text.len() },
            "{encoding:?} {text:?}"
        );
    }
}

/// Fragments at which the patterns decide: case, contractions, marks, digits, signs, all kinds of white space.
const FRAGMENTS: &[&str] = &[
    "a",
    "B",
    "word",
    "Word",
    "WORD",
    "wORD",
    "ß",
    "é",
    "e\u{301}",
    "\u{301}",
    "\u{300}\u{301}",
    "ǅ",
    "ʰ",
    "ª",
    "中",
    "文字",
    "かな",
    "한국",
    "кот",
    "Кот",
    "عرب",
    "ไทย",
    "क्षि",
    "'s",
    "'S",
    "'ſ",
    "'t",
    "'ll",
    "'LL",
    "'Ve",
    "'re",
    "'d",
    "'m",
    "'x",
    "'",
    "\u{2019}s",
    "0",
    "12",
    "1234",
    "٣",
    "½",
    "Ⅷ",
    ".",
    "...",
    "=",
    "=====",
    "!?",
    "/",
    "//",
    "-",
    "_",
    "\"",
    "{",
    "}",
    "<|endoftext|>",
    "😀",
    "👩‍👩‍👧",
    "🇩🇪",
    " ",
    "  ",
    "    ",
    "\t",
    "\t\t",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\u{a0}",
    "\u{3000}",
    "\u{2028}",
    "\u{85}",
    "\u{b}",
    "\u{feff}",
    "\u{0}",
    "\u{7f}",
    "\u{10ffff}",
    "\u{e000}",
];

fn mixture() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        8 => prop::sample::select(FRAGMENTS).prop_map(str::to_owned),
        2 => prop::sample::select(FRAGMENTS).prop_flat_map(|text| (2_usize..40).prop_map(move |n| text.repeat(n))),
        1 => any::<char>().prop_map(String::from),
        1 => "[a-z]{1,30}",
    ];
    prop::collection::vec(fragment, 0..24).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn mixtures_count_as_the_reference_counts_them(text in mixture()) {
        check(&text);
    }

    #[test]
    fn any_text_counts_as_the_reference_counts_it(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn bytes_bound_tokens_and_work_bounds_the_count(text in mixture(), work in 0_u64..200) {
        for encoding in Encoding::ALL {
            let counted = encoding.count(&text, &mut work.clone()).unwrap();
            prop_assert!(counted.tokens <= counted.bytes as u64);
            prop_assert!(counted.bytes <= text.len());
        }
    }
}

#[test]
fn the_last_white_space_goes_with_what_follows() {
    for text in ["a  b", "a  ", "a\n\n  b", "a\n\n  ", "  \n  ", "\r\n \r\n x", " \u{3000}x", "\n", " ", ""] {
        check(text);
    }
}

#[test]
fn contractions_and_marks_are_cut_as_the_reference_cuts_them() {
    for text in [
        "don't DON'T",
        "it'ſ IT'ſx",
        "'s's",
        "x'lll",
        "\u{301}A \u{301}B",
        "ABc中D",
        "中ABC",
        "AB中CD",
        "1'd2",
    ] {
        check(text);
    }
}

/// Two megabytes of one character, each in at most the work of a few look-ups per byte.
#[test]
fn runs_of_one_character_are_counted_in_little_work() {
    for (text, tokens) in [
        (" ", 16_384),
        ("\t", 131_072),
        ("\n", 131_072),
        ("a", 262_144),
        ("=", 32_768),
        (".", 32_768),
        ("0", 699_051),
        ("é", 1_048_576),
        ("😀", 524_288),
    ] {
        let text = text.repeat((2 << 20) / text.len());
        let mut work = u64::MAX;
        let counted = Encoding::O200k.count(&text, &mut work).unwrap();
        assert_eq!(counted, Counted { tokens, bytes: text.len() }, "{:?}", &text[..4]);
        assert!(u64::MAX - work < 3 * text.len() as u64, "{:?}: {}", &text[..4], u64::MAX - work);
    }
}

#[test]
fn runs_of_all_lengths_count_as_the_reference_counts_them() {
    for text in [" ", "\t", "=", "a", "-", "\n", "é"] {
        for len in [63, 64, 65, 79, 80, 81, 127, 128, 129, 130, 255, 300] {
            let run = text.repeat(len);
            check(&run);
            check(&format!("x{run}x{run}y"));
        }
    }
}

#[test]
fn what_would_take_too_much_work_is_counted_in_part() {
    // Letters without white space, so that all is one piece, and every pair of tokens is a new one.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (state >> 33) as u8 % 26)
    });
    let text: String = letters.take(2 << 20).collect();
    let mut work = Budget::inline().0;
    let counted = Encoding::O200k.count(&text, &mut work).unwrap();
    assert_eq!(work, 0);
    assert!(counted.bytes > 1_000 && counted.bytes < 64_000, "{counted:?}");
}
