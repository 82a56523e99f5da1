//! Two megabytes of each class of input: what people send, and what was made to hurt.

const BYTES: usize = 2 << 20;

/// A small generator of numbers, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn fill(mut add: impl FnMut(&mut String, &mut Numbers)) -> String {
    let (mut text, mut numbers) = (String::with_capacity(BYTES + 64), Numbers(88_172_645_463_325_252));
    while text.len() < BYTES {
        add(&mut text, &mut numbers);
    }
    text
}

/// Every class with its name.
pub(crate) fn all() -> Vec<(String, String)> {
    let mut classes = written();
    classes.extend(runs());
    classes.extend(random());
    classes.extend(made_to_hurt());
    classes
}

fn written() -> Vec<(String, String)> {
    let prose = concat!(include_str!("../../../../ARCHITECTURE.md"), include_str!("../../../../README.md"));
    let code = concat!(include_str!("../../src/merges.rs"), include_str!("../../src/tally.rs"));
    let words: Vec<&str> = prose.split_whitespace().collect();
    let json = |text: &mut String, numbers: &mut Numbers| {
        let (a, b) = (words[numbers.below(words.len())], words[numbers.below(words.len())]);
        text.push_str(&format!("{{\"id\":{},\"{a}\":\"{b}\",\"ok\":true}},\n", numbers.below(1_000_000)));
    };
    let cjk = "网关对每个请求只计费一次，无论哪个进程在什么时候终止。日本語の文章も混ざっています。한국어 문장도 있습니다. ";
    let emoji = ["😀", "🎉", "👩‍👩‍👧", "🇩🇪", "❤️", "👍🏽", "🤖"];
    vec![
        ("English".into(), prose.repeat(BYTES / prose.len() + 1)),
        (
            "shuffled words".into(),
            fill(|text, numbers| {
                text.push_str(words[numbers.below(words.len())]);
                text.push(' ');
            }),
        ),
        ("Rust".into(), code.repeat(BYTES / code.len() + 1)),
        ("JSON".into(), fill(json)),
        ("CJK sentences".into(), cjk.repeat(BYTES / cjk.len() + 1)),
        ("emoji mixed".into(), fill(|text, numbers| text.push_str(emoji[numbers.below(emoji.len())]))),
    ]
}

fn runs() -> Vec<(String, String)> {
    let characters = [
        ("space", " "),
        ("tab", "\t"),
        ("newline", "\n"),
        ("CR LF", "\r\n"),
        ("a", "a"),
        ("A", "A"),
        ("=", "="),
        (".", "."),
        ("0", "0"),
        ("é", "é"),
        ("中", "中"),
        ("emoji", "😀"),
        ("mark", "\u{301}"),
        ("nbsp", "\u{a0}"),
    ];
    characters.map(|(name, text)| (format!("run of {name}"), text.repeat(BYTES / text.len()))).into()
}

fn random() -> Vec<(String, String)> {
    let alphabets = [
        ("ab", "ab"),
        ("a-z", "abcdefghijklmnopqrstuvwxyz"),
        ("A-Z", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ("aA", "aA"),
        ("signs", "!@#$%^&*()_+-=[]{};:,.<>?"),
        ("white space", " \t\n"),
        ("a, space", "a "),
        ("quotes", "'sa"),
        ("=-_", "=-_"),
        ("base64", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"),
        ("Arabic", "ابتثجحخدذرزسشصضطظعغفقكلمنهوي"),
        ("marks", "a\u{300}\u{301}\u{302}\u{303}"),
        ("中A", "中A"),
    ];
    let mut classes: Vec<_> = alphabets
        .map(|(name, alphabet)| {
            let characters: Vec<char> = alphabet.chars().collect();
            let text = fill(|text, numbers| text.push(characters[numbers.below(characters.len())]));
            (format!("random {name}"), text)
        })
        .into();
    let character = |start: u32, count: usize| {
        fill(move |text, numbers| text.extend(char::from_u32(start + numbers.below(count) as u32)))
    };
    classes.push(("random CJK".into(), character(0x4e00, 0x5000)));
    classes.push(("random Unicode".into(), character(0, 0x30000)));
    classes
}

fn made_to_hurt() -> Vec<(String, String)> {
    let bpe = &bpe_openai::o200k_base().bpe;
    let words: Vec<String> = (0..bpe.num_tokens() as u32)
        .filter_map(|token| String::from_utf8(bpe.token_bytes(token).to_vec()).ok())
        .filter(|word| word.len() > 4 && word.bytes().all(|byte| byte.is_ascii_lowercase()))
        .collect();
    let word = |numbers: &mut Numbers| words[numbers.below(words.len())].as_str();
    let mut classes = vec![
        (
            "vocabulary, spaced".into(),
            fill(|text, numbers| {
                text.push(' ');
                text.push_str(word(numbers));
            }),
        ),
        ("vocabulary, joined".into(), fill(|text, numbers| text.push_str(word(numbers)))),
        (
            "its prefixes, joined".into(),
            fill(|text, numbers| {
                let word = word(numbers);
                text.push_str(&word[..word.len() - 1]);
            }),
        ),
        ("newline, spaces, x".into(), format!("\n{}x", " ".repeat(BYTES))),
        ("中, then A".into(), format!("中{}", "A".repeat(BYTES))),
    ];
    for (run, end) in [(" ", "x"), ("=", "-"), ("\t", "x"), ("-", "=")] {
        for len in [31, 79, 127] {
            classes.push((
                format!("{len} {run:?}, {end}"),
                format!("{}{end}", run.repeat(len)).repeat(BYTES / (len + 1)),
            ));
        }
    }
    let mixed = |text: &mut String, numbers: &mut Numbers| {
        let run = ["=", "-", " ", "\t", "*", "#", "_", "\n"][numbers.below(8)];
        text.push_str(&run.repeat(1 + numbers.below(200)));
    };
    classes.push(("runs, mixed".into(), fill(mixed)));
    classes.push((
        "= and -, mixed".into(),
        fill(|text, numbers| {
            let run = ["=", "-"][numbers.below(2)];
            text.push_str(&run.repeat(40 + numbers.below(100)));
        }),
    ));
    classes
}
