//! The repository keeps its own rules: module headers, file lengths, links.

use std::path::{Path, PathBuf};

use tollgate_tests::harness::install::repository;

/// Longest source file, lines.
const LONGEST: usize = 450;

/// All files below the repository with that ending, without build output.
fn files(ending: &str) -> Vec<PathBuf> {
    let mut open = vec![repository()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && name != "target" {
                    open.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap_or(path).display().to_string()
}

#[test]
fn every_module_says_what_it_is() {
    let silent = |path: &PathBuf| !std::fs::read_to_string(path).unwrap().starts_with("//!");
    let silent = files(".rs").iter().filter(|path| silent(path)).map(|path| shown(path)).collect::<Vec<_>>();
    assert!(silent.is_empty(), "these do not open with `//!`: {silent:#?}");
}

#[test]
fn no_source_file_is_too_long() {
    let length = |path: &PathBuf| std::fs::read_to_string(path).unwrap().lines().count();
    let long =
        files(".rs").into_iter().map(|path| (length(&path), path)).filter(|(lines, _)| *lines > LONGEST);
    let long = long.map(|(lines, path)| format!("{} has {lines}", shown(&path))).collect::<Vec<_>>();
    assert!(long.is_empty(), "more than {LONGEST} lines: {long:#?}");
}

#[test]
fn links_to_files_lead_somewhere() {
    let mut broken = Vec::new();
    for page in files(".md") {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:") || file.is_empty();
            if !elsewhere && !page.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {target}", shown(&page)));
            }
        }
    }
    assert!(broken.is_empty(), "broken links: {broken:#?}");
}

/// Targets of Markdown links, `[text](target)`, outside code.
fn links(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2);
    let mut found = Vec::new();
    for part in prose {
        for (at, _) in part.match_indices("](") {
            let rest = &part[at + 2..];
            if let Some(end) = rest.find([')', ' ', '\n']) {
                found.push(rest[..end].to_owned());
            }
        }
    }
    found
}

#[test]
fn no_source_file_has_a_marker_of_unfinished_work() {
    // Built from halves, so that this file has none itself.
    let markers = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["todo", "!("].concat(),
        ["unimpl", "emented!("].concat(),
    ];
    let mut found = Vec::new();
    for path in files(".rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        let marked =
            text.lines().enumerate().filter(|(_, line)| markers.iter().any(|marker| line.contains(marker)));
        found
            .extend(marked.map(|(number, line)| format!("{}:{}: {}", shown(&path), number + 1, line.trim())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Dependencies that are there for their features alone, or are named by macros of others.
/// Also what only those files name that the fuzz targets include by path.
const NOT_NAMED: [&str; 5] = ["tollgate-gateway", "base64", "ring", "thiserror", "zeroize"];

#[test]
fn every_dependency_is_named_in_the_code_of_its_crate() {
    let mut idle = Vec::new();
    for manifest in files("Cargo.toml") {
        let folder = manifest.parent().unwrap();
        let code = crate_code(folder);
        let text = std::fs::read_to_string(&manifest).unwrap();
        for name in dependencies(&text) {
            let word = name.replace('-', "_");
            // The bare word may mean something else: bytes in memory, say.
            let named =
                [format!("{word}::"), format!("use {word}")].iter().any(|use_of| code.contains(use_of));
            if !named && !NOT_NAMED.contains(&name.as_str()) {
                idle.push(format!("{}: {name}", shown(&manifest)));
            }
        }
    }
    assert!(idle.is_empty(), "nobody names these dependencies: {idle:#?}");
}

/// Names below `[dependencies]` and its kin, as the code knows them.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && !line.starts_with("[workspace");
            continue;
        }
        let name: String =
            line.chars().take_while(|char| char.is_alphanumeric() || *char == '-' || *char == '_').collect();
        if inside && !name.is_empty() {
            found.push(name);
        }
    }
    found
}

/// The sources of one crate, without those of crates inside its folder.
fn crate_code(folder: &Path) -> String {
    let mut code = String::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(here) = open.pop() {
        for entry in std::fs::read_dir(&here).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.join("Cargo.toml").exists() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                code.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    code
}
