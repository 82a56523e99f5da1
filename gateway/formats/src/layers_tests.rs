//! Formats meet in the common view, never each other.

use std::path::Path;

const FORMATS: [&str; 8] = [
    "anthropic",
    "bedrock",
    "gemini",
    "openai_chat",
    "openai_completions",
    "openai_embeddings",
    "openai_media",
    "openai_responses",
];

/// The code below a folder, without comments and tests: each file's path and text.
fn code(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            code(&path, found);
        } else if !name.ends_with("tests.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
            let lines = shipped.lines().filter(|line| !line.trim_start().starts_with("//"));
            found.push((name, lines.collect::<Vec<_>>().join("\n")));
        }
    }
}

#[test]
fn no_format_imports_another() {
    let src = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("src");
    for format in FORMATS {
        let mut files = Vec::new();
        code(&src.join(format), &mut files);
        assert!(!files.is_empty(), "{format}");
        for (name, text) in files {
            let known = FORMATS.iter().find(|other| {
                **other != format
                    && [format!("crate::{other}::"), format!("super::{other}")]
                        .iter()
                        .any(|path| text.contains(path))
            });
            assert_eq!(known, None, "{name}");
        }
    }
}
