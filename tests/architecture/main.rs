//! The shape of the code, enforced: which module may name which, what the pure ones must not know,
//! and what every file owes its reader.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod deploy;
mod planted;
mod rules;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rules::{check_file, unreachable_files};
use source::SourceFile;

/// Folders whose Rust files owe their reader a job line, a bounded length and honest notes.
const READ_BY_PEOPLE: &[&str] = &["src", "tests", "benches"];

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of a folder, named from the repository's root; none if there is no such folder.
fn sources(folder: &str) -> BTreeMap<String, SourceFile> {
    let root = repository();
    let mut found = BTreeMap::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = name_of(&path, &root);
                let text = fs::read_to_string(&path).unwrap();
                found.insert(name.clone(), SourceFile::new(&name, &text));
            }
        }
    }
    found
}

fn name_of(path: &Path, root: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap().iter();
    let parts: Vec<_> = parts.map(|part| part.to_str().unwrap()).collect();
    parts.join("/")
}

fn fail_on(violations: &[String]) {
    assert!(
        violations.is_empty(),
        "{} violations:\n  {}",
        violations.len(),
        violations.join("\n  ")
    );
}

#[test]
fn every_file_keeps_the_rules_of_its_place() {
    let files: Vec<_> = READ_BY_PEOPLE
        .iter()
        .flat_map(|folder| sources(folder))
        .collect();
    assert!(files.len() > 50, "the sources were not found");
    let violations: Vec<_> = files
        .iter()
        .flat_map(|(_, file)| check_file(file))
        .collect();
    fail_on(&violations);
}

#[test]
fn every_source_file_is_part_of_the_crate() {
    fail_on(&unreachable_files(&sources("src")));
}
