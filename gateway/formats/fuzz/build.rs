//! Collects the words of all formats, so that the fuzzer need not guess them: names of fields and short texts that
//! stand in the formats' sources and golden files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Longest word worth trying, bytes.
const MAX_WORD_BYTES: usize = 48;

fn main() -> io::Result<()> {
    let mut words = BTreeSet::new();
    for root in ["../src", "../tests/golden"] {
        println!("cargo::rerun-if-changed={root}");
        for path in files(Path::new(root))? {
            let text = fs::read_to_string(&path)?;
            quoted(&text, &mut words);
            if path.extension().is_some_and(|extension| extension == "rs") {
                fields(&text, &mut words);
            }
        }
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("words.rs");
    fs::write(out, format!("&{words:?}").replace('{', "[").replace('}', "]"))
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Words in quotes, escaped or not.
fn quoted(text: &str, words: &mut BTreeSet<String>) {
    let is_word =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b':' | b'/' | b'#');
    for piece in text.split('"') {
        let word = piece.strip_suffix('\\').unwrap_or(piece);
        if (1..=MAX_WORD_BYTES).contains(&word.len()) && word.bytes().all(is_word) {
            words.insert(word.to_owned());
        }
    }
}

/// Names of struct fields, as they stand in Rust and in camel case.
fn fields(text: &str, words: &mut BTreeSet<String>) {
    for line in text.lines() {
        let line = line.trim_start();
        let line = ["pub(crate) ", "pub(super) ", "pub "]
            .iter()
            .find_map(|start| line.strip_prefix(start))
            .unwrap_or(line);
        let Some((name, _)) = line.split_once(": ") else { continue };
        let name = name.strip_prefix("r#").unwrap_or(name);
        if name.len() < 2 || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            continue;
        }
        words.insert(name.to_owned());
        words.insert(camel(name));
    }
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (first, rest) = part.split_at(part.len().min(1));
        out.push_str(&first.to_ascii_uppercase());
        out.push_str(rest);
    }
    out
}
