//! The data files: which families there are, what the places that serve them change, and where that was read.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::glob;
use crate::lookup::{ApiFormat, Lookup};
use crate::name::{Name, Version, parse_version};
use crate::traits::{Traits, TraitsOverrides, Vendor};

/// In the order in which they are searched.
const FILES: [(&str, &str); 5] = [
    ("openai.yaml", include_str!("../data/openai.yaml")),
    ("claude.yaml", include_str!("../data/claude.yaml")),
    ("google.yaml", include_str!("../data/google.yaml")),
    ("others.yaml", include_str!("../data/others.yaml")),
    ("places.yaml", include_str!("../data/places.yaml")),
];

/// What a data file holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The day of the sources, for whoever keeps the file.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    as_of: String,
    /// Abbreviations of sources, and what they stand for.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    sources: BTreeMap<String, String>,
    #[serde(default)]
    families: Vec<Entry>,
    #[serde(default)]
    places: Vec<Place>,
}

/// A family, built in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Patterns of names, any of them; none for one that only others extend.
    #[serde(default, rename = "match")]
    patterns: Vec<String>,
    /// First version of it.
    #[serde(default, deserialize_with = "version")]
    since: Option<Version>,
    /// First version that is no longer of it. A name without a version is in neither.
    #[serde(default, deserialize_with = "version")]
    below: Option<Version>,
    #[serde(default)]
    pub(crate) extends: Option<String>,
    /// Names of models that are of it.
    #[serde(default)]
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    examples: Vec<String>,
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    source: String,
    #[serde(default)]
    pub(crate) traits: TraitsOverrides,
}

/// A place that serves models, and what is different there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    name: String,
    /// Any of them; any at all when empty, here and below.
    #[serde(default)]
    formats: Vec<ApiFormat>,
    /// Patterns of the host with its port.
    #[serde(default)]
    hosts: Vec<String>,
    /// Names of who serves it, beside or instead of the hosts.
    #[serde(default)]
    providers: Vec<String>,
    #[serde(default)]
    vendors: Vec<Vendor>,
    #[serde(default)]
    except_vendors: Vec<Vendor>,
    /// Names of families, of the model's own or of one that it extends.
    #[serde(default)]
    families: Vec<String>,
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    source: String,
    traits: TraitsOverrides,
}

/// All data files.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    families: Vec<Entry>,
    places: Vec<Place>,
}

fn version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Version>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || serde::de::Error::custom(format!("`{text}` is no version like 5 or 5.4"));
    parse_version(&text).map(Some).ok_or_else(wrong)
}

/// Whether a version lies within bounds; a name without one lies within none.
pub(crate) fn within(version: Option<Version>, since: Option<Version>, below: Option<Version>) -> bool {
    match version {
        Some(version) => {
            since.is_none_or(|since| version >= since) && below.is_none_or(|below| version < below)
        }
        None => since.is_none() && below.is_none(),
    }
}

fn parse(text: &str) -> Result<File, serde_saphyr::Error> {
    serde_saphyr::from_str(text)
}

impl Catalogue {
    /// Read once. A test holds that every file can be read: one that cannot would be left out.
    pub(crate) fn get() -> &'static Self {
        static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
        CATALOGUE.get_or_init(|| {
            let mut all = Self::default();
            for file in FILES.iter().filter_map(|(_, text)| parse(text).ok()) {
                all.families.extend(file.families);
                all.places.extend(file.places);
            }
            all
        })
    }

    pub(crate) fn find(&self, name: &Name) -> Option<&Entry> {
        let fits = |entry: &&Entry| {
            within(name.version(), entry.since, entry.below)
                && entry.patterns.iter().any(|pattern| name.fits(pattern))
        };
        self.families.iter().find(fits)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Entry> {
        self.families.iter().find(|entry| entry.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.families.iter().map(|entry| &*entry.name)
    }

    /// The family and those that it extends, the most general first.
    pub(crate) fn line(&'static self, name: &str) -> Vec<&'static Entry> {
        let mut line = Vec::new();
        let mut next = self.named(name);
        while let Some(entry) = next {
            line.push(entry);
            // A circle would not end; a test holds that there is none.
            next = entry
                .extends
                .as_deref()
                .and_then(|base| self.named(base))
                .filter(|_| line.len() < self.families.len());
        }
        line.reverse();
        line
    }

    /// What the place that serves the model changes. `line` are the names of its families.
    pub(crate) fn place(&self, served: &Lookup<'_>, line: &[&str], traits: &mut Traits) {
        for place in &self.places {
            if place.holds(served, line, traits.vendor) {
                place.traits.put(traits);
            }
        }
    }
}

impl Place {
    fn holds(&self, served: &Lookup<'_>, line: &[&str], vendor: Vendor) -> bool {
        let provider = served.provider.unwrap_or_default().to_ascii_lowercase();
        let host = served.host.to_ascii_lowercase();
        let here =
            self.hosts.iter().any(|pattern| glob::fits(pattern, &host)) || self.providers.contains(&provider);
        (self.formats.is_empty() || self.formats.contains(&served.format))
            && (here || (self.hosts.is_empty() && self.providers.is_empty()))
            && (self.vendors.is_empty() || self.vendors.contains(&vendor))
            && !self.except_vendors.contains(&vendor)
            && (self.families.is_empty() || self.families.iter().any(|name| line.contains(&&**name)))
    }
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
