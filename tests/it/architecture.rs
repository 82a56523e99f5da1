//! What ARCHITECTURE.md says about the structure, held against the sources: who may import whom, that nothing imports
//! in a circle, where API formats may be told apart, and the reading order of the spine.

mod imports;

use std::collections::{BTreeMap, BTreeSet};

use tollgate_tests::harness::install::repository;

use self::imports::{CRATES, Imports, Source};

/// Rooms of `gateway/src` and the rooms that each may import.
const ROOMS: [(&str, &[&str]); 17] = [
    ("admin", &["gateway"]),
    ("api", &["error", "gateway", "headers", "request", "telemetry"]),
    ("background", &["books", "gateway", "pending", "policies"]),
    ("books", &["error", "gateway", "telemetry"]),
    ("cache_port", &[]),
    ("error", &[]),
    ("gateway", &["cache_port", "pending", "stored", "telemetry"]),
    ("headers", &[]),
    ("pending", &[]),
    ("policies", &["books", "cache_port", "error", "gateway"]),
    ("probes", &["gateway", "telemetry"]),
    ("replicas", &["telemetry"]),
    ("request", &["background", "books", "error", "gateway", "headers", "pending", "policies", "stored"]),
    ("routes", &["api"]),
    (
        "server",
        &[
            "admin",
            "api",
            "background",
            "cache_port",
            "gateway",
            "pending",
            "policies",
            "probes",
            "replicas",
            "routes",
            "stored",
            "telemetry",
        ],
    ),
    ("stored", &[]),
    ("telemetry", &["headers"]),
];

/// Crates and the crates of the workspace that each may use outside its tests.
const LAYERS: [(&str, &[&str]); 23] = [
    ("base", &[]),
    ("schemas", &[]),
    ("settings", &["base", "schemas"]),
    ("eventlog", &["base", "schemas", "settings"]),
    ("tokens", &[]),
    ("families", &[]),
    ("formats", &["base", "families", "schemas"]),
    ("credentials", &["base", "settings"]),
    ("expressions", &["base"]),
    (
        "config",
        &["base", "credentials", "eventlog", "expressions", "families", "formats", "schemas", "settings"],
    ),
    ("crossing", &["config", "families", "formats", "schemas", "tokens"]),
    ("admission", &["base"]),
    ("codings", &["base"]),
    ("limits", &["base", "expressions", "schemas"]),
    ("ledger", &["base", "eventlog", "schemas"]),
    ("identity", &["base", "config", "expressions", "limits", "schemas"]),
    (
        "backends",
        &[
            "admission",
            "base",
            "codings",
            "config",
            "credentials",
            "crossing",
            "expressions",
            "formats",
            "schemas",
            "settings",
        ],
    ),
    (
        "runtime",
        &[
            "admission",
            "backends",
            "base",
            "config",
            "credentials",
            "crossing",
            "expressions",
            "families",
            "formats",
            "identity",
            "limits",
            "schemas",
            "settings",
            "tokens",
        ],
    ),
    (
        "gateway",
        &[
            "admission",
            "backends",
            "base",
            "codings",
            "config",
            "credentials",
            "crossing",
            "eventlog",
            "expressions",
            "families",
            "formats",
            "identity",
            "ledger",
            "limits",
            "runtime",
            "schemas",
            "settings",
            "tokens",
        ],
    ),
    ("clickhouse_loopback", &["base"]),
    ("accounting", &["base", "clickhouse_loopback", "eventlog", "schemas", "settings"]),
    ("cache_service", &["base", "eventlog", "schemas", "settings"]),
    (
        "standalone",
        &[
            "accounting",
            "base",
            "cache_service",
            "config",
            "eventlog",
            "gateway",
            "runtime",
            "schemas",
            "settings",
        ],
    ),
];

/// Files beside the crates `formats`, `crossing` and `config` that may tell API formats apart: the client's forms of
/// errors and lists, and the handlers.
const TELLS_FORMATS_APART: [&str; 5] = [
    "gateway/src/api/family.rs",
    "gateway/src/api/model_calls.rs",
    "gateway/src/api/models.rs",
    "gateway/src/request/error_body.rs",
    "gateway/src/request/call.rs",
];

fn room(source: &Source) -> Option<&str> {
    (source.krate == "tollgate_gateway").then(|| source.module.first().map(String::as_str)).flatten()
}

#[test]
fn rooms_of_the_gateway_import_only_what_they_may() {
    let imports = Imports::read();
    let allowed: BTreeMap<&str, &[&str]> = ROOMS.into_iter().collect();
    let mut wrong = BTreeSet::new();
    for (from, targets) in &imports.edges {
        let Some(here) = room(&imports.sources[*from]) else { continue };
        for to in targets {
            let Some(there) = room(&imports.sources[*to]) else { continue };
            let may = allowed.get(here).is_some_and(|rooms| rooms.contains(&there));
            if here != there && !may {
                wrong.insert(format!("{} -> {}", imports.sources[*from].path, imports.sources[*to].path));
            }
        }
    }
    assert!(wrong.is_empty(), "not allowed between rooms: {wrong:#?}");
}

#[test]
fn the_allowed_imports_have_no_circle() {
    for table in [&ROOMS[..], &LAYERS[..]] {
        let mut left: BTreeMap<&str, BTreeSet<&str>> =
            table.iter().map(|(name, may)| (*name, may.iter().copied().collect())).collect();
        while let Some(bottom) = left.iter().find(|(_, may)| may.is_empty()).map(|(name, _)| *name) {
            left.remove(bottom);
            left.values_mut().for_each(|may| {
                may.remove(bottom);
            });
        }
        assert!(left.is_empty(), "these wait for each other: {left:#?}");
    }
}

#[test]
fn crates_use_only_the_crates_below_them() {
    let imports = Imports::read();
    let allowed: BTreeMap<String, &[&str]> =
        LAYERS.into_iter().map(|(name, may)| (format!("tollgate_{name}"), may)).collect();
    let mut wrong = BTreeSet::new();
    for (from, targets) in &imports.edges {
        let here = &imports.sources[*from];
        for to in targets {
            let there = &imports.sources[*to];
            let name = there.krate.trim_start_matches("tollgate_");
            let may = allowed.get(&here.krate).is_some_and(|crates| crates.contains(&name));
            if here.krate != there.krate && !may {
                wrong.insert(format!("{} -> {}", here.path, there.krate));
            }
        }
    }
    assert!(wrong.is_empty(), "not allowed between crates: {wrong:#?}");
    assert_eq!(LAYERS.len() + 1, CRATES.len(), "a crate is missing in one of the tables");
}

/// A child may use what its own parent says; beyond that files import one way.
#[test]
fn files_do_not_import_each_other_in_circles() {
    let imports = Imports::read();
    let is_parent = |from: usize, to: usize| {
        let (child, parent) = (&imports.sources[from], &imports.sources[to]);
        child.krate == parent.krate && child.module.starts_with(&parent.module)
    };
    let mut left: BTreeMap<usize, BTreeSet<usize>> = (0..imports.sources.len())
        .map(|from| {
            let targets = imports.edges.get(&from).into_iter().flatten();
            (from, targets.copied().filter(|to| !is_parent(from, *to)).collect())
        })
        .collect();
    // What imports nothing is taken away, then what nobody imports: a circle stays.
    loop {
        let ends: Vec<usize> = left.iter().filter(|(_, to)| to.is_empty()).map(|(from, _)| *from).collect();
        let wanted: BTreeSet<usize> = left.values().flatten().copied().collect();
        let starts: Vec<usize> = left.keys().copied().filter(|from| !wanted.contains(from)).collect();
        if ends.is_empty() && starts.is_empty() {
            break;
        }
        for gone in ends.iter().chain(&starts) {
            left.remove(gone);
        }
        for targets in left.values_mut() {
            targets.retain(|to| !ends.contains(to));
        }
    }
    let shown: Vec<String> = left
        .iter()
        .flat_map(|(from, targets)| targets.iter().map(move |to| (from, to)))
        .map(|(from, to)| format!("{} -> {}", imports.sources[*from].path, imports.sources[*to].path))
        .collect();
    assert!(shown.is_empty(), "in a circle: {shown:#?}");
}

#[test]
fn api_formats_are_told_apart_only_where_they_are_at_home() {
    let imports = Imports::read();
    let at_home = ["tollgate_formats", "tollgate_crossing", "tollgate_config"];
    let variants = ["ClientFormat::", "BackendFormat::", "Wire::"];
    let mut wrong = Vec::new();
    for source in &imports.sources {
        let exempt = at_home.contains(&source.krate.as_str())
            || TELLS_FORMATS_APART.contains(&source.path.as_str())
            || !source.krate.starts_with("tollgate_gateway") && source.krate != "tollgate_backends";
        if exempt {
            continue;
        }
        for (number, line) in source.code.lines().enumerate() {
            let arm = line.contains("=>") || line.contains("matches!") || line.contains("==");
            if arm && variants.iter().any(|variant| line.contains(variant)) {
                wrong.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "a question about a format belongs to the format: {wrong:#?}");
}

#[test]
fn types_of_the_http_server_stay_at_its_edge() {
    let imports = Imports::read();
    let edge = |source: &Source| matches!(room(source), Some("api" | "routes" | "server" | "admin"));
    let services = [
        "tollgate_accounting",
        "tollgate_cache_service",
        "tollgate_standalone",
        "tollgate_clickhouse_loopback",
    ];
    let wrong: Vec<&str> = imports
        .sources
        .iter()
        .filter(|source| !edge(source) && !services.contains(&source.krate.as_str()))
        .filter(|source| source.code.contains("actix_web") || source.code.contains("actix_http"))
        .map(|source| source.path.as_str())
        .collect();
    assert!(wrong.is_empty(), "these know the server: {wrong:#?}");
}

/// The files of the spine, as ARCHITECTURE.md lists them.
fn spine() -> Vec<String> {
    let text = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap();
    let section = text.split("## The spine in reading order").nth(1).unwrap();
    let list = section.split("```").nth(1).unwrap();
    list.lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .filter(|word| word.ends_with(".rs"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_spine_is_read_in_the_order_of_its_imports() {
    let imports = Imports::read();
    let files = spine();
    let mut seen: Vec<usize> = Vec::new();
    let mut lines = 0;
    for path in &files {
        let file = imports.find(path).unwrap_or_else(|| panic!("{path} is no file of a crate"));
        assert!(!seen.contains(&file), "{path} stands twice in the list");
        let known =
            seen.iter().any(|earlier| imports.edges.get(earlier).is_some_and(|to| to.contains(&file)));
        assert!(seen.is_empty() || known, "no file before {path} in the list imports it");
        lines += std::fs::read_to_string(repository().join(path)).unwrap().lines().count();
        seen.push(file);
    }
    assert!((10..=22).contains(&files.len()), "{} files", files.len());
    assert!(lines <= 4_000, "{lines} lines");
}
