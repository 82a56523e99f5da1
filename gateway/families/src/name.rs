//! The name of a model, as far as it tells the family: without the prefixes and endings of those who serve it, its
//! version written one way.

/// A version: major and minor number.
pub(crate) type Version = (u32, u32);

/// Words that names of known models begin with, wherever a reseller or an operator puts more in front.
const HEADS: [&str; 46] = [
    "claude",
    "gpt",
    "chatgpt",
    "chat-latest",
    "codex",
    "computer-use",
    "o1",
    "o3",
    "o4",
    "gemini",
    "gemma",
    "nano-banana",
    "deepseek",
    "kimi",
    "moonshot-v1",
    "qwen",
    "qwq",
    "qvq",
    "glm",
    "minimax",
    "mistral",
    "magistral",
    "ministral",
    "codestral",
    "devstral",
    "pixtral",
    "voxtral",
    "mixtral",
    "grok",
    "nova",
    "titan",
    "llama",
    "command",
    "jamba",
    "nemotron",
    "palmyra",
    "phi",
    "granite",
    "olmo",
    "falcon",
    "yi",
    "aya",
    "c4ai",
    "hermes",
    "sonar",
    "ernie",
];
/// Names of vendors before a dot that are part of what tells the model: Bedrock's DeepSeek ids name only the version.
const DEEPSEEK_ON_BEDROCK: &str = "deepseek.";
/// Kinds of Bedrock ARNs that name their model.
const NAMING_ARNS: [&str; 2] = ["foundation-model", "inference-profile"];

/// A name, ready to be held against patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// The forms that a pattern may fit: as given, its last part, the bare name, the bare name with its tag.
    forms: Vec<String>,
    version: Option<Version>,
}

impl Name {
    /// `None` for a name that says nothing of the model.
    pub(crate) fn new(given: &str) -> Option<Self> {
        let given = given.trim().to_ascii_lowercase();
        let named = match given.strip_prefix("arn:") {
            Some(arn) => named_by_arn(arn)?,
            None => &*given,
        };
        let last = named.rsplit('/').next().unwrap_or(named);
        // A number alone is an endpoint.
        if last.is_empty() || last.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (bare, tag) = bare(last);
        let version = version(&bare);
        let mut forms = vec![given.clone(), last.to_owned()];
        if let Some(tag) = tag {
            forms.push(format!("{bare}:{tag}"));
        }
        forms.push(bare);
        Some(Self { forms, version })
    }

    /// The bare name.
    #[cfg(test)]
    fn bare(&self) -> &str {
        self.forms.last().map_or("", |bare| bare)
    }

    pub(crate) fn fits(&self, pattern: &str) -> bool {
        self.forms.iter().any(|form| crate::glob::fits(pattern, form))
    }

    /// The first number in the bare name.
    pub(crate) fn version(&self) -> Option<Version> {
        self.version
    }
}

/// From text like `5.4` or `5`.
pub(crate) fn parse_version(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let number = |digits: &str| if digits.len() > 2 { None } else { digits.parse().ok() };
    Some((number(major)?, number(minor)?))
}

/// `aws:bedrock:REGION:ACCOUNT:KIND/ID`
fn named_by_arn(arn: &str) -> Option<&str> {
    let (kind, id) = arn.splitn(5, ':').nth(4)?.split_once('/')?;
    NAMING_ARNS.contains(&kind).then_some(id)
}

/// Without what resellers add, and the tag after a colon.
fn bare(last: &str) -> (String, Option<&str>) {
    let name = from_head(last);
    let name = name.split('@').next().unwrap_or(name);
    let (name, tag) = match name.split_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (name, None),
    };
    let numbered = tag.is_some_and(|tag| tag.starts_with(|first: char| first.is_ascii_digit()));
    let mut name = without_endings(name, numbered);
    if let Some(at) = preview(name) {
        name = &name[..at];
        name = without_endings(name, false);
    }
    let name = one_sign(name);
    (claude_in_order(&name).unwrap_or(name), tag)
}

/// From the first word on that begins a known name.
fn from_head(last: &str) -> &str {
    if let Some(at) = last.find(DEEPSEEK_ON_BEDROCK) {
        let id = &last[at + DEEPSEEK_ON_BEDROCK.len()..];
        if id.starts_with("r1") || id.starts_with('v') {
            return &last[at..];
        }
    }
    let begins = |at: usize| at == 0 || !last.as_bytes()[at - 1].is_ascii_alphanumeric();
    let found = HEADS.iter().filter_map(|head| {
        last.match_indices(head)
            .map(|(at, _)| at)
            .find(|at| begins(*at) && ends_well(head, &last[at + head.len()..]))
    });
    found.min().map_or(last, |at| &last[at..])
}

/// `o1` is no part of a longer word, and names that are words of their own are not cut out of others.
fn ends_well(head: &str, rest: &str) -> bool {
    let next = rest.chars().next();
    match head {
        "o1" | "o3" | "o4" | "yi" | "phi" | "nova" | "command" | "codex" => {
            next.is_none_or(|next| !next.is_alphanumeric())
        }
        _ => true,
    }
}

/// Without dates, `-latest`, `-001` and the versions that Bedrock counts.
fn without_endings(mut name: &str, numbered: bool) -> &str {
    let word = |name: &'_ str| -> Option<usize> {
        let (start, end) = name.rsplit_once('-')?;
        // A name like `chat-latest` or `claude-v2` keeps what it has.
        let rest = start.contains(['-', '.']);
        let cut =
            digits_that_end(end) || (rest && (matches!(end, "latest" | "v1") || is_count(end, numbered)));
        cut.then_some(start.len())
    };
    while let Some(at) = word(name).or_else(|| date(name)) {
        name = &name[..at];
    }
    name
}

/// `YYYYMMDD` or `001`
fn digits_that_end(end: &str) -> bool {
    end.bytes().all(|byte| byte.is_ascii_digit())
        && (end.len() == 8 || (end.len() == 3 && end.starts_with("00")))
}

/// `v2` before a colon and a number.
fn is_count(end: &str, numbered: bool) -> bool {
    let number = end.strip_prefix('v').filter(|number| numbered && !number.is_empty());
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `-YYYY-MM-DD`
fn date(name: &str) -> Option<usize> {
    let at = name.len().checked_sub(11)?;
    let fits = |(index, byte): (usize, u8)| {
        if [0, 5, 8].contains(&index) { byte == b'-' } else { byte.is_ascii_digit() }
    };
    name.get(at..)?.bytes().enumerate().all(fits).then_some(at)
}

/// Where `-preview` begins when nothing but a date follows.
fn preview(name: &str) -> Option<usize> {
    let at = name.find("-preview")?;
    let rest = &name[at + "-preview".len()..];
    rest.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()).then_some(at)
}

/// Writes the sign between two short numbers as a dot: `4-5`, `4_5`, `v3p1`. What a letter follows is no minor number
/// unless a dot was there (`qwen3-32b`, `glm-4.6v`); neither are three digits and more.
fn one_sign(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut text = String::with_capacity(name.len());
    let mut joined = false;
    for (at, letter) in name.char_indices() {
        let before = run(bytes, at, true);
        let after = run(bytes, at + 1, false);
        let short = (1..=2).contains(&before) && (1..=2).contains(&after);
        let then = bytes.get(at + 1 + after);
        let free = then.is_none_or(|next| !next.is_ascii_alphanumeric());
        let sign = match letter {
            '.' => true,
            '-' | '_' | 'p' => free,
            _ => false,
        };
        let joins = short && sign && !joined;
        if joins || !letter.is_ascii_digit() {
            joined = joins;
        }
        text.push(if joins { '.' } else { letter });
    }
    text
}

/// Number of digits before `at`, or from `at` on.
fn run(bytes: &[u8], at: usize, before: bool) -> usize {
    let digit = |byte: &&u8| byte.is_ascii_digit();
    if before {
        bytes[..at].iter().rev().take_while(digit).count()
    } else {
        bytes.get(at..).unwrap_or_default().iter().take_while(digit).count()
    }
}

/// Claude's line first, then its version: `claude-3.7-sonnet` becomes `claude-sonnet-3.7`.
fn claude_in_order(name: &str) -> Option<String> {
    let words: Vec<&str> = name.strip_prefix("claude-")?.split('-').collect();
    let [version, line, ..] = &*words else { return None };
    parse_version(version)?;
    let rest: String = words[2..].iter().map(|word| format!("-{word}")).collect();
    Some(format!("claude-{line}-{version}{rest}"))
}

/// The first number of at most two digits, with its minor number.
fn version(bare: &str) -> Option<Version> {
    let bytes = bare.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let digits = run(bytes, at, false);
        if (1..=2).contains(&digits) {
            let end = at + digits;
            let minor = if bytes.get(end) == Some(&b'.') { run(bytes, end + 1, false) } else { 0 };
            let end = if (1..=2).contains(&minor) { end + 1 + minor } else { end };
            return parse_version(&bare[at..end]);
        }
        at += digits.max(1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_endings_of_resellers_are_cut() {
        for (given, bare, version) in [
            ("claude-opus-4-5-20251101", "claude-opus-4.5", Some((4, 5))),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4.5", Some((4, 5))),
            ("anthropic.claude-opus-4-6-v1", "claude-opus-4.6", Some((4, 6))),
            ("anthropic.claude-3-5-sonnet-20241022-v2:0:200k", "claude-sonnet-3.5", Some((3, 5))),
            ("claude-3-7-sonnet-latest", "claude-sonnet-3.7", Some((3, 7))),
            ("claude-4.6-sonnet", "claude-sonnet-4.6", Some((4, 6))),
            ("claude-3-haiku-20240307", "claude-haiku-3", Some((3, 0))),
            ("claude-haiku-4-5@20251001", "claude-haiku-4.5", Some((4, 5))),
            ("publishers/anthropic/models/claude-opus-5@default", "claude-opus-5", Some((5, 0))),
            ("anthropic/claude-opus-4.8:thinking", "claude-opus-4.8", Some((4, 8))),
            ("claude-mythos-preview", "claude-mythos", None),
            ("openrouter/openai/gpt-5.2-pro:nitro", "gpt-5.2-pro", Some((5, 2))),
            ("ft:gpt-4o-mini-2024-07-18:acme::x1", "gpt-4o-mini", Some((4, 0))),
            ("azure/prod-gpt-5-1-eu", "gpt-5.1-eu", Some((5, 1))),
            ("gpt-5-2025-08-07", "gpt-5", Some((5, 0))),
            ("openai.gpt-oss-120b-1:0", "gpt-oss-120b-1", Some((1, 0))),
            ("my-o3-deployment", "o3-deployment", Some((3, 0))),
            ("o4-mini-2025-04-16", "o4-mini", Some((4, 0))),
            ("chat-latest", "chat-latest", None),
            ("models/gemini-2.5-flash-lite-preview-09-2025", "gemini-2.5-flash-lite", Some((2, 5))),
            ("gemini-2.0-flash-001", "gemini-2.0-flash", Some((2, 0))),
            ("gemini-flash-latest", "gemini-flash", None),
            ("accounts/fireworks/models/deepseek-v3p1", "deepseek-v3.1", Some((3, 1))),
            ("us.deepseek.r1-v1:0", "deepseek.r1", Some((1, 0))),
            ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "deepseek-r1-distill-llama-70b", Some((1, 0))),
            ("deepseek-r1:70b", "deepseek-r1", Some((1, 0))),
            ("qwen3-32b", "qwen3-32b", Some((3, 0))),
            ("qwen3.8:32b", "qwen3.8", Some((3, 8))),
            ("moonshotai/Kimi-K2-Instruct-0905", "kimi-k2-instruct-0905", Some((2, 0))),
            ("us.meta.llama3-1-405b-instruct-v1:0", "llama3.1-405b-instruct", Some((3, 1))),
            ("us.amazon.nova-2-lite-v1:0", "nova-2-lite", Some((2, 0))),
            ("mistral-small-2603", "mistral-small-2603", None),
            ("glm-4.6v", "glm-4.6v", Some((4, 6))),
            ("grok-4-1-fast", "grok-4.1-fast", Some((4, 1))),
            ("acme-3-1", "acme-3.1", Some((3, 1))),
            ("piano4", "piano4", Some((4, 0))),
        ] {
            let name = Name::new(given).unwrap();
            assert_eq!((name.bare(), name.version()), (bare, version), "{given}");
        }
    }

    #[test]
    fn arns_and_endpoints_name_their_model_or_nothing() {
        let arn = |rest: &str| Name::new(&format!("arn:aws:bedrock:us-east-1:123456789012:{rest}"));
        for named in [
            "foundation-model/anthropic.claude-opus-4-6-v1",
            "inference-profile/us.anthropic.claude-opus-4-6-v1",
        ] {
            assert_eq!(arn(named).unwrap().bare(), "claude-opus-4.6", "{named}");
        }
        for unnamed in [
            "application-inference-profile/abc123",
            "provisioned-model/claude",
            "imported-model/gpt-5",
            "custom-model-deployment/x",
            "prompt/x:1",
            "default-prompt-router/anthropic.claude:1",
        ] {
            assert_eq!(arn(unnamed), None, "{unnamed}");
        }
        assert_eq!(Name::new("projects/p/locations/l/endpoints/1234567890"), None);
        assert_eq!(Name::new(" "), None);
        assert_eq!(Name::new("arn:aws:bedrock"), None);
    }

    #[test]
    fn a_tag_can_be_asked_for() {
        assert!(Name::new("deepseek-r1:70b").unwrap().fits("deepseek-r1:*b"));
        assert!(Name::new("o1-preview").unwrap().fits("o1-preview*"));
    }
}
