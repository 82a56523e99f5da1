//! Makes seeds and the dictionary: `seeds FOLDER` writes `FOLDER/TARGET/…` and `FOLDER/words.dict`.
//!
//! Seeds are the inputs of the golden files behind a head of zeros, once for each choice that a target's head makes
//! of formats. What once broke something is kept in `seeds/`, as it was.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use tollgate_fuzz::formats::BACKENDS;
use tollgate_fuzz::words::WORDS;

#[expect(dead_code, reason = "the golden test uses all of it")]
#[path = "../../tests/golden/file.rs"]
mod file;

/// Texts that are split and counted by rules of their own.
const TEXTS: [&str; 4] = [
    "Hello, world! It's 12:30.\n\n  if (a != b) { return; }",
    "中文 ひらがな العربية 🤷🏽‍♀️",
    "    \t\n\r\n   ",
    "aaaa====----....0123456789",
];
/// Streams in ways that servers write them.
const STREAMS: [&str; 4] = [
    ": ping\n\ndata: {\"a\":1}\n\n",
    "event: x\r\ndata: 1\r\ndata: 2\r\n\r\ndata: 3\r\rdata:4\n\r\n",
    "\u{feff}data\ndata:\nevent\n\nid: 7\nretry: 5\n\n",
    "data: unfinished\n",
];
/// Paths in spellings that servers take for others.
const PATHS: [&str; 6] = [
    "v1/%66iles/",
    "v1/batches/b_1%2F..%2Fcancel",
    "v1/batches/%252e%252e/files",
    "model/arn%3aaws%2fx/converse%3Bx",
    "models/m:generateContent",
    "a//b;x\\c%00",
];

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).context("usage: seeds FOLDER")?;
    let seeds = Seeds { folder: PathBuf::from(folder) };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    for pair in folders(&golden)? {
        let name = pair.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let (_, backend) = name.split_once("--").context("a folder is called CLIENT--BACKEND")?;
        for entry in fs::read_dir(&pair)? {
            let text = fs::read_to_string(entry?.path())?;
            let case = file::Case::read(&text).map_err(|error| anyhow!(error))?;
            for (title, body) in case.sections {
                seeds.section(title, body, backend)?;
            }
        }
    }
    for text in TEXTS {
        seeds.put("tokens", &[0, 0], text)?;
    }
    for text in STREAMS {
        seeds.put("sse", &[0, 0, 0], text)?;
    }
    for path in PATHS {
        seeds.put("paths", &[], path)?;
    }
    fs::write(seeds.folder.join("words.dict"), dictionary()?)?;
    Ok(())
}

fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root)? {
        found.insert(entry?.path());
    }
    Ok(found.into_iter().filter(|path| path.is_dir()).collect())
}

struct Seeds {
    folder: PathBuf,
}

impl Seeds {
    /// What one section of a golden file is good for.
    fn section(&self, title: &str, body: &str, backend: &str) -> Result<()> {
        let number = BACKENDS.iter().position(|known| known.name == backend).unwrap_or(0);
        let number = u8::try_from(number)?;
        if title.starts_with("client request") {
            self.put("views", &[0b0000_0011, 0], body)?;
            self.put("requests", &[0, 0], body)?;
            self.put("tokens", &[0, 0], body)?;
            if let Ok(json) = serde_json::from_str::<serde_json::Value>(body)
                && let Some(messages) = json.get("messages")
            {
                self.put("tokens", &[0, 0], &messages.to_string())?;
            }
        } else if title == "backend request" && body.starts_with('{') {
            self.put("requests", &[0, 0], body)?;
        } else if title == "backend answer" || title == "client answer" {
            self.put("answers", &[0], body)?;
        } else if title == "backend stream" {
            self.put("streams", &[number, 0, 0], &format!("{body}\n\n"))?;
            self.put("sse", &[0, 0, 0], &format!("{body}\n\n"))?;
        } else if title == "client stream" {
            self.put("sse", &[0, 0, 0], &format!("{body}\n\n"))?;
            for number in 0..u8::try_from(BACKENDS.len())? {
                self.put("streams", &[number, 0, 0], &format!("{body}\n\n"))?;
            }
        } else if let Some(status) = title.strip_prefix("backend error ") {
            let [high, low] = status.trim().parse::<u16>()?.to_be_bytes();
            self.put("errors", &[high, low, 0], body)?;
        }
        Ok(())
    }

    /// Named by content, so that the same seed is written once.
    fn put(&self, target: &str, head: &[u8], body: &str) -> Result<()> {
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder)?;
        let seed = [head, body.as_bytes()].concat();
        fs::write(folder.join(format!("seed-{:08x}", crc32fast::hash(&seed))), seed)?;
        Ok(())
    }
}

/// The words in libFuzzer's form of a dictionary.
fn dictionary() -> Result<String> {
    let mut out = String::new();
    for word in WORDS {
        writeln!(out, "\"\\\"{word}\\\"\"")?;
    }
    for text in
        ["\\x0a\\x0a", "\\x0d\\x0a", "data: ", "event: ", "[DONE]", "null", "true", "\\\\u0000", "\\\\ud800"]
    {
        writeln!(out, "\"{text}\"")?;
    }
    Ok(out)
}
