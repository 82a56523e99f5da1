//! Which file imports which, read from the sources: enough of the language for `use` lines and paths that begin with
//! `crate`, `super` or the name of a crate of the workspace. Tests inside a file do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tollgate_tests::harness::install::repository;

/// A file of a crate and the modules that lead to it.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Path below the repository.
    pub(super) path: String,
    /// Name of the crate, with underscores.
    pub(super) krate: String,
    /// Modules from the root of the crate; empty for the root itself.
    pub(super) module: Vec<String>,
    /// The code outside its tests.
    pub(super) code: String,
}

/// All files of the crates of the workspace, and what they import.
pub(super) struct Imports {
    pub(super) sources: Vec<Source>,
    /// Imported files by importing file, both as indexes of `sources`.
    pub(super) edges: BTreeMap<usize, BTreeSet<usize>>,
}

/// Crates whose imports are looked at: folder and name.
pub(super) const CRATES: [(&str, &str); 24] = [
    ("schemas", "tollgate_schemas"),
    ("schemas/base", "tollgate_base"),
    ("schemas/settings", "tollgate_settings"),
    ("schemas/eventlog", "tollgate_eventlog"),
    ("gateway", "tollgate_gateway"),
    ("gateway/admission", "tollgate_admission"),
    ("gateway/backends", "tollgate_backends"),
    ("gateway/codings", "tollgate_codings"),
    ("gateway/config", "tollgate_config"),
    ("gateway/credentials", "tollgate_credentials"),
    ("gateway/crossing", "tollgate_crossing"),
    ("gateway/expressions", "tollgate_expressions"),
    ("gateway/families", "tollgate_families"),
    ("gateway/formats", "tollgate_formats"),
    ("gateway/identity", "tollgate_identity"),
    ("gateway/ledger", "tollgate_ledger"),
    ("gateway/limits", "tollgate_limits"),
    ("gateway/runtime", "tollgate_runtime"),
    ("gateway/tokens", "tollgate_tokens"),
    ("accounting", "tollgate_accounting"),
    ("accounting/clickhouse-loopback", "tollgate_clickhouse_loopback"),
    ("cache-service", "tollgate_cache_service"),
    ("deploy/standalone", "tollgate_standalone"),
    ("tests", "tollgate_tests"),
];

impl Imports {
    /// Reads the whole workspace.
    pub(super) fn read() -> Self {
        let mut sources = Vec::new();
        for (folder, krate) in CRATES.iter().filter(|(folder, _)| *folder != "tests") {
            let root = repository().join(folder).join("src");
            collect(&root, &root, krate, &mut sources);
        }
        let by_module: BTreeMap<(String, Vec<String>), usize> = sources
            .iter()
            .enumerate()
            .map(|(index, source)| ((source.krate.clone(), source.module.clone()), index))
            .collect();
        let exports: Vec<BTreeMap<String, Vec<String>>> = sources.iter().map(reexports).collect();
        let mut edges: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (index, source) in sources.iter().enumerate() {
            for path in used_paths(&source.code) {
                let Some((krate, path)) = absolute(source, &path) else { continue };
                if let Some(target) = resolve(&by_module, &exports, &krate, &path)
                    && target != index
                {
                    edges.entry(index).or_default().insert(target);
                }
            }
        }
        Self { sources, edges }
    }

    /// Index of a file by its path below the repository.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        self.sources.iter().position(|source| source.path == path)
    }
}

fn collect(root: &Path, folder: &Path, krate: &str, sources: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, krate, sources);
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_test = name == "tests" || name.ends_with("_tests") || name == "properties" || name == "main";
        if path.extension().is_none_or(|ending| ending != "rs") || is_test {
            continue;
        }
        let below = path.strip_prefix(root).unwrap();
        let mut module: Vec<String> =
            below.parent().unwrap().iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if module.iter().any(|part| part == "tests") {
            continue;
        }
        if name != "mod" && name != "lib" {
            module.push(name);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = without_tests(&text);
        let path = path.strip_prefix(repository()).unwrap().display().to_string();
        sources.push(Source { path, krate: krate.to_owned(), module, code: without_comments(code) });
    }
}

/// The code before the tests that stand in the file itself.
fn without_tests(text: &str) -> &str {
    let starts = text.match_indices("#[cfg(test)]\nmod ");
    let inline = starts.map(|(at, _)| at).find(|at| {
        let line = text[*at..].lines().nth(1).unwrap_or_default();
        line.ends_with('{')
    });
    &text[..inline.unwrap_or(text.len())]
}

fn without_comments(code: &str) -> String {
    let lines = code.lines().map(|line| match line.trim_start().starts_with("//") {
        true => "",
        false => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Paths that a file names in `use` lines, one per item, and elsewhere in its code.
fn used_paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for part in code.split("use ").skip(1) {
        let Some(tree) = part.split(';').next() else { continue };
        expand(tree.trim(), &mut Vec::new(), &mut found);
    }
    let starts = ["crate::", "super::", "tollgate_"];
    for start in starts {
        for (at, _) in code.match_indices(start) {
            let path: String = code[at..]
                .chars()
                .take_while(|char| char.is_alphanumeric() || *char == '_' || *char == ':')
                .collect();
            let parts: Vec<String> =
                path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
            if parts.len() > 1 {
                found.push(parts);
            }
        }
    }
    found
}

/// Expands `a::{b, c::{d, e}}` into its paths.
fn expand(tree: &str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        let parts = path.split("::").map(|part| part.trim().to_owned());
        found.push(prefix.iter().cloned().chain(parts).filter(|part| !part.is_empty()).collect());
        return;
    };
    let before = prefix.len();
    prefix
        .extend(tree[..open].split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()));
    let inside = tree[open + 1..].rsplit_once('}').map_or("", |(inside, _)| inside);
    let (mut depth, mut start) = (0, 0);
    for (at, char) in inside.char_indices().chain([(inside.len(), ',')]) {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(inside[start..at].trim(), prefix, found);
                start = at + 1;
            }
            _ => {}
        }
    }
    prefix.truncate(before);
}

/// The crate and the path from its root; `None` for what belongs to other workspaces.
fn absolute(source: &Source, path: &[String]) -> Option<(String, Vec<String>)> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some((source.krate.clone(), rest.to_vec())),
        "self" => Some((source.krate.clone(), source.module.iter().chain(rest).cloned().collect())),
        "super" => {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let base = source.module.len().checked_sub(ups)?;
            Some((source.krate.clone(), source.module[..base].iter().chain(&path[ups..]).cloned().collect()))
        }
        name if name.starts_with("tollgate_") => Some((name.to_owned(), rest.to_vec())),
        _ => None,
    }
}

/// Names that a module shows although they live in another one.
fn reexports(source: &Source) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for part in source.code.split("pub use ").skip(1) {
        let Some(tree) = part.split(';').next() else { continue };
        let mut paths = Vec::new();
        expand(tree.trim(), &mut Vec::new(), &mut paths);
        for path in paths {
            let path: Vec<String> = path.into_iter().filter(|part| part != "self").collect();
            let Some(name) = path.last().cloned() else { continue };
            let full = match path.first().map(String::as_str) {
                Some("crate") => path[1..].to_vec(),
                Some(first) if first.starts_with("tollgate_") => continue,
                _ => source.module.iter().cloned().chain(path).collect(),
            };
            found.insert(name, full);
        }
    }
    found
}

/// The file that a path leads to: the longest beginning that is a module, through what that module re-exports.
fn resolve(
    by_module: &BTreeMap<(String, Vec<String>), usize>,
    exports: &[BTreeMap<String, Vec<String>>],
    krate: &str,
    path: &[String],
) -> Option<usize> {
    for length in (0..=path.len()).rev() {
        let Some(file) = by_module.get(&(krate.to_owned(), path[..length].to_vec())) else { continue };
        let next = path.get(length);
        if let Some(elsewhere) = next.and_then(|name| exports[*file].get(name))
            && elsewhere != path
        {
            return resolve(by_module, exports, krate, elsewhere);
        }
        return Some(*file);
    }
    None
}
