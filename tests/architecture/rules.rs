//! The rules, and the checks that hold a file to them.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{SourceFile, words};

/// A module may name only modules of a lower rank, so that no cycle is possible.
const RANKS: &[(&str, u8)] = &[
    ("base", 0),
    ("namespace", 1),
    ("governance", 2),
    ("zonefile", 2),
    ("index", 3),
    ("replication", 4),
    ("resolution", 4),
    ("telemetry", 5),
    ("service", 6),
    ("adapters", 7),
    ("config", 8),
    ("node", 9),
    ("cli", 10),
];

/// Up to this rank a module decides on values alone.
const PURE_RANK_MAX: u8 = 4;

/// What a pure module must not know: time, chance, the outside, waiting, saying.
const IMPURE: &[&str] = &[
    "async fn",
    "async move",
    ".await",
    "tokio",
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "ToSocketAddrs",
    "domain::",
    "tracing",
    "getrandom::",
    "SystemTime::now",
    "Instant::now",
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
    "dbg!",
];

/// Crates that few folders alone name, so that these alone change when they do.
const KEPT_IN: &[(&str, &[&str])] = &[
    ("redb", &["src/adapters/storage/"]),
    ("hickory", &["src/adapters/legacy/"]),
    ("arc_malachitebft", &["src/replication/ordering/malachite/"]),
    ("noq", &["src/adapters/peers/", "src/adapters/dns/quic/"]),
];

/// What fits a reader's head.
const LINES_MAX: usize = 500;

/// Files that may be longer, with the reason.
const LONGER: &[(&str, &str)] = &[];

/// Every rule that can be judged on one file.
pub(crate) fn check_file(file: &SourceFile) -> Vec<String> {
    let mut found = manners(file);
    if file.module().is_some() {
        found.extend(ranks(file));
        found.extend(siblings(file));
        found.extend(purity(file));
        found.extend(kept_crates(file));
    }
    found
}

fn rank_of(module: &str) -> Option<u8> {
    RANKS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, rank)| *rank)
}

fn ranks(file: &SourceFile) -> Vec<String> {
    let module = file.module().unwrap_or_default();
    // The roots are above all.
    let Some(own) = module.first() else {
        return Vec::new();
    };
    let Some(rank) = rank_of(own) else {
        return vec![format!("{}: the module {own} has no rank", file.name)];
    };
    let mut found = Vec::new();
    for (line, path) in file.paths() {
        let Some(named) = path.first() else {
            found.push(format!("{}:{line}: names the crate's root", file.name));
            continue;
        };
        // What is no module is a name of the crate's root: a macro.
        let Some(theirs) = rank_of(named) else {
            continue;
        };
        if named != own && theirs >= rank {
            found.push(format!(
                "{}:{line}: {own} (rank {rank}) names {named} (rank {theirs})",
                file.name
            ));
        }
    }
    found
}

/// Adapters do not know each other: each can be replaced alone.
fn siblings(file: &SourceFile) -> Vec<String> {
    let module = file.module().unwrap_or_default();
    let ("adapters", Some(own)) = (
        module.first().copied().unwrap_or_default(),
        module.get(1).copied(),
    ) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (line, path) in file.paths() {
        if path.first().is_some_and(|first| first == "adapters")
            && let Some(named) = path.get(1)
            && named != own
        {
            found.push(format!(
                "{}:{line}: adapter {own} names adapter {named}",
                file.name
            ));
        }
    }
    found
}

fn purity(file: &SourceFile) -> Vec<String> {
    let module = file.module().unwrap_or_default();
    let rank = module.first().and_then(|module| rank_of(module));
    if rank.is_none_or(|rank| rank > PURE_RANK_MAX) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for word in IMPURE {
        for at in beginnings(&file.code, word) {
            let line = file.line(at);
            found.push(format!("{}:{line}: {word} in a pure module", file.name));
        }
    }
    found
}

fn kept_crates(file: &SourceFile) -> Vec<String> {
    let mut found = Vec::new();
    for (word, folders) in KEPT_IN {
        if folders.iter().any(|folder| file.name.starts_with(folder)) {
            continue;
        }
        let folders = folders.join(" and ");
        for at in beginnings(&file.code, word) {
            let line = file.line(at);
            found.push(format!("{}:{line}: {word} belongs to {folders}", file.name));
        }
    }
    found
}

/// Where a word begins, whatever follows: `hickory` is found in `hickory_proto`.
fn beginnings(code: &str, word: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let inside_word = |at: usize| {
        word.starts_with(|c: char| c.is_alphanumeric())
            && at
                .checked_sub(1)
                .and_then(|at| bytes.get(at))
                .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
    };
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !inside_word(*at))
        .collect()
}

/// What every file owes its reader.
fn manners(file: &SourceFile) -> Vec<String> {
    let mut found = Vec::new();
    if !file.text.starts_with("//! ") {
        found.push(format!(
            "{}: does not begin with a //! line that says its job",
            file.name
        ));
    }
    let lines = file.text.lines().count();
    let excused = LONGER.iter().any(|(name, _)| *name == file.name);
    if lines > LINES_MAX && !excused {
        found.push(format!(
            "{}: {lines} lines, more than {LINES_MAX}",
            file.name
        ));
    }
    if lines <= LINES_MAX && excused {
        found.push(format!("{}: needs no excuse for its length", file.name));
    }
    for (number, line) in file.text.lines().enumerate() {
        // The note is put together so that this file does not hold one.
        for note in [concat!("TO", "DO"), concat!("FIX", "ME")] {
            let unowned = words(line, note).into_iter().any(|at| {
                let rest = line.get(at + note.len()..).unwrap_or_default();
                !rest
                    .split('#')
                    .skip(1)
                    .any(|s| s.starts_with(|c: char| c.is_ascii_digit()))
            });
            if unowned {
                let number = number + 1;
                found.push(format!("{}:{number}: {note} without an issue", file.name));
            }
        }
    }
    found
}

/// Files that no `mod` line leads to; the compiler never sees them.
pub(crate) fn unreachable_files(files: &BTreeMap<String, SourceFile>) -> Vec<String> {
    let roots = ["src/lib.rs", "src/main.rs"];
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&SourceFile> = roots.iter().filter_map(|name| files.get(*name)).collect();
    while let Some(file) = open.pop() {
        if !seen.insert(&file.name) {
            continue;
        }
        let folder = folder_of_children(&file.name);
        for child in file.declared() {
            let places = [
                format!("{folder}/{child}.rs"),
                format!("{folder}/{child}/mod.rs"),
            ];
            open.extend(places.iter().filter_map(|place| files.get(place)));
        }
    }
    files
        .keys()
        .filter(|name| !seen.contains(name.as_str()))
        .map(|name| format!("{name}: no mod line leads here"))
        .collect()
}

fn folder_of_children(name: &str) -> &str {
    ["/mod.rs", "/lib.rs", "/main.rs", ".rs"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name)
}
