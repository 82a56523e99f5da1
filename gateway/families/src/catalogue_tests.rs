//! The data files: complete, dated, reachable.

use std::collections::BTreeSet;

use super::*;

fn files() -> Vec<(&'static str, File)> {
    FILES
        .into_iter()
        .map(|(name, text)| (name, parse(text).unwrap_or_else(|error| panic!("{name}: {error}"))))
        .collect()
}

#[test]
fn every_data_file_can_be_read_and_is_dated() {
    let mut names = BTreeSet::new();
    for (name, file) in files() {
        assert_eq!(file.as_of, "2026-11-27", "{name}");
        let sources = file
            .families
            .iter()
            .map(|entry| &entry.source)
            .chain(file.places.iter().map(|place| &place.source));
        for tag in sources.flat_map(|source| source.split(' ')) {
            assert!(file.sources.contains_key(tag), "{name}: {tag}");
        }
        for entry in &file.families {
            assert!(names.insert(entry.name.clone()), "{name}: {} is there twice", entry.name);
        }
        for place in &file.places {
            assert!(names.insert(place.name.clone()), "{name}: {} is there twice", place.name);
        }
    }
    let catalogue = Catalogue::get();
    assert_eq!(catalogue.families.len() + catalogue.places.len(), names.len());
}

#[test]
fn every_family_that_is_named_exists_and_none_extends_itself() {
    let catalogue = Catalogue::get();
    for entry in &catalogue.families {
        if let Some(base) = &entry.extends {
            assert!(catalogue.named(base).is_some(), "{}: {base}", entry.name);
        }
        assert_eq!(catalogue.line(&entry.name).first().unwrap().extends, None, "{}", entry.name);
    }
    for place in &catalogue.places {
        for name in &place.families {
            assert!(catalogue.named(name).is_some(), "{}: {name}", place.name);
        }
    }
}

#[test]
fn every_family_is_reached_by_the_names_of_its_models() {
    let catalogue = Catalogue::get();
    for entry in &catalogue.families {
        assert_eq!(entry.patterns.is_empty(), entry.examples.is_empty(), "{}", entry.name);
        for pattern in &entry.patterns {
            assert_eq!(*pattern, pattern.to_ascii_lowercase(), "{}", entry.name);
        }
        for example in &entry.examples {
            let found = Name::new(example).and_then(|name| catalogue.find(&name)).map(|entry| &*entry.name);
            assert_eq!(found, Some(&*entry.name), "{example}");
        }
    }
}
