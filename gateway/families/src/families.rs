//! The families that are known, and which one a model belongs to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalogue::Catalogue;
use crate::lookup::Lookup;
use crate::name::Name;
use crate::traits::{Traits, TraitsOverrides};

/// A family of models that the operator describes; searched before those that the gateway knows by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FamilyConfig {
    /// What it is called; targets may name it as their `family`.
    pub name: Arc<str>,
    /// Patterns of the names of its models, `*` for any text; small and capital letters are the same. Without any it
    /// is for targets that name it, and for families that extend it.
    #[serde(default, rename = "match")]
    pub patterns: Vec<Arc<str>>,
    /// The family whose traits it has otherwise, of this list or built in. When absent, those of an unknown model.
    #[serde(default)]
    pub extends: Option<Arc<str>>,
    /// What is different.
    #[serde(default)]
    pub traits: TraitsOverrides,
}

/// The families that are known: the operator's, then those of the data files.
#[derive(Debug, Clone)]
pub struct Families {
    own: Arc<[FamilyConfig]>,
    built_in: &'static Catalogue,
}

impl Families {
    /// With the operator's families before those of the data files.
    #[must_use]
    pub fn new(own: &[FamilyConfig]) -> Self {
        Self { own: own.into(), built_in: Catalogue::get() }
    }

    /// Those of the data files alone.
    #[must_use]
    pub fn built_in() -> Self {
        Self::new(&[])
    }

    /// Names of all families, the operator's first.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.own.iter().map(|family| &*family.name).chain(self.built_in.names())
    }

    /// Whether the gateway knows a family of this name by itself.
    #[must_use]
    pub fn is_built_in(&self, name: &str) -> bool {
        self.built_in.named(name).is_some()
    }

    /// Whether a family of the operator extends itself, through others or at once.
    #[must_use]
    pub fn is_circular(&self, name: &str) -> bool {
        let mut next = self.own_named(name).and_then(|family| family.extends.as_deref());
        for _ in 0..=self.own.len() {
            match next {
                Some(base) if base == name => return true,
                Some(base) => next = self.own_named(base).and_then(|family| family.extends.as_deref()),
                None => return false,
            }
        }
        // A circle further up is the mistake of those that are part of it.
        false
    }

    /// What a model takes where it is served. One that nobody knows gets the traits of the family `unknown`.
    #[must_use]
    pub fn resolve(&self, lookup: &Lookup<'_>) -> Arc<Traits> {
        let mut traits = Traits::default();
        let family = self.find(lookup);
        if let Some(family) = family {
            traits.family = family.into();
        }
        let own = self.own_line(family);
        let base = own.first().map_or(family, |family| family.extends.as_deref());
        let built_in = base.map(|base| self.built_in.line(base)).unwrap_or_default();
        for entry in &built_in {
            entry.traits.put(&mut traits);
        }
        if let Some(vendor) = own.iter().rev().find_map(|family| family.traits.vendor) {
            traits.vendor = vendor;
        }
        let line: Vec<&str> = built_in.iter().map(|entry| &*entry.name).collect();
        self.built_in.place(lookup, &line, &mut traits);
        // What the operator says holds against all that is known of the place.
        for family in own {
            family.traits.put(&mut traits);
        }
        if let Some(overrides) = lookup.overrides {
            overrides.put(&mut traits);
        }
        traits.reasoning.settle();
        Arc::new(traits)
    }

    /// The name of the family: as configured, else by the real model's name, else by the name sent.
    fn find(&self, lookup: &Lookup<'_>) -> Option<&str> {
        let configured = lookup.family.and_then(|wanted| self.names().find(|name| *name == wanted));
        configured
            .or_else(|| lookup.base_model.and_then(|name| self.by_name(name)))
            .or_else(|| self.by_name(lookup.model))
    }

    fn by_name(&self, model: &str) -> Option<&str> {
        let lower = model.trim().to_ascii_lowercase();
        let name = Name::new(model);
        let fits = |pattern: &Arc<str>| {
            let pattern = pattern.to_ascii_lowercase();
            crate::glob::fits(&pattern, &lower) || name.as_ref().is_some_and(|name| name.fits(&pattern))
        };
        let own = self.own.iter().find(|family| family.patterns.iter().any(fits)).map(|family| &*family.name);
        own.or_else(|| name.as_ref().and_then(|name| self.built_in.find(name)).map(|entry| &*entry.name))
    }

    fn own_named(&self, name: &str) -> Option<&FamilyConfig> {
        self.own.iter().find(|family| *family.name == *name)
    }

    /// The operator's family and those of his that it extends, the most general first.
    fn own_line(&self, name: Option<&str>) -> Vec<&FamilyConfig> {
        let mut line = Vec::new();
        let mut next = name.and_then(|name| self.own_named(name));
        while let Some(family) = next.filter(|_| line.len() < self.own.len()) {
            line.push(family);
            next = family.extends.as_deref().and_then(|base| self.own_named(base));
        }
        line.reverse();
        line
    }
}

#[cfg(test)]
#[path = "families_tests.rs"]
mod tests;
