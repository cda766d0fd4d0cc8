//! One name of every kind that patterns can tell apart.
//!
//! The patterns run side by side over every name, letter by letter; names after which they stand
//! in the same places have the same future and are followed once. Exact, and bounded.

use std::collections::BTreeSet;

use super::name_pattern::{NamePattern, Part};

/// Ends a label in the text that the patterns run over.
const END: u8 = b'.';
/// More places than this are not followed; callers are then not compared but taken to differ.
const PLACES_MAX: usize = 20_000;
/// Bytes of which one must stand in no pattern: what any other byte does, it does.
const USUAL: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-_";

/// What one step of a pattern takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// This byte.
    Byte(u8),
    /// Any bytes of one label, none included.
    Bytes,
    /// Any labels, none included; between two of them.
    Labels,
    /// The inside of a label that the step before began.
    Inside,
}

/// Where every pattern stands: its number and its next step, in order.
type Place = BTreeSet<(usize, usize)>;

/// A name of every kind, labels topmost first: which patterns match it, no two kinds the same.
/// None if there are too many places to follow.
pub(super) fn kinds_of_names(patterns: &[&NamePattern]) -> Option<Vec<Vec<Vec<u8>>>> {
    let patterns: Vec<Vec<Step>> = patterns.iter().map(|pattern| steps(pattern)).collect();
    let mut letters: BTreeSet<u8> = patterns
        .iter()
        .flatten()
        .filter_map(|step| match step {
            Step::Byte(byte) => Some(*byte),
            _ => None,
        })
        .collect();
    let other = USUAL.iter().find(|byte| !letters.contains(byte))?;
    letters.extend([*other, END]);
    let start: Place = (0..patterns.len()).map(|number| (number, 0)).collect();
    let start = settled(&patterns, start);
    let mut seen = BTreeSet::from([(true, start.clone())]);
    let mut kinds: BTreeSet<Vec<usize>> = BTreeSet::new();
    let mut names = Vec::new();
    // Breadth first, so that the names are the shortest.
    let mut queue = std::collections::VecDeque::from([(start, Vec::new())]);
    while let Some((place, text)) = queue.pop_front() {
        let is_between = text.last().is_none_or(|last| *last == END);
        if is_between && kinds.insert(matched(&patterns, &place)) {
            let labels = text.split(|byte| *byte == END).map(<[u8]>::to_vec);
            let mut labels: Vec<Vec<u8>> = labels.collect();
            labels.pop();
            names.push(labels);
        }
        for letter in &letters {
            if *letter == END && is_between {
                // No label is empty.
                continue;
            }
            let next = after(&patterns, &place, *letter);
            if seen.insert((*letter == END, next.clone())) {
                if seen.len() > PLACES_MAX {
                    return None;
                }
                let mut longer = text.clone();
                longer.push(*letter);
                queue.push_back((next, longer));
            }
        }
    }
    Some(names)
}

fn steps(pattern: &NamePattern) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in pattern.parts() {
        match part {
            Part::Any => steps.extend([Step::Labels, Step::Inside]),
            Part::Like(like) => {
                steps.extend(like.iter().map(|byte| match byte {
                    b'*' => Step::Bytes,
                    byte => Step::Byte(*byte),
                }));
                steps.push(Step::Byte(END));
            }
        }
    }
    steps
}

/// A place with what each pattern may skip.
fn settled(patterns: &[Vec<Step>], place: Place) -> Place {
    let mut all = Place::new();
    let mut rest: Vec<(usize, usize)> = place.into_iter().collect();
    while let Some((number, at)) = rest.pop() {
        if !all.insert((number, at)) {
            continue;
        }
        match step(patterns, number, at) {
            Some(Step::Bytes) => rest.push((number, at + 1)),
            Some(Step::Labels) => rest.push((number, at + 2)),
            _ => {}
        }
    }
    all
}

fn after(patterns: &[Vec<Step>], place: &Place, letter: u8) -> Place {
    let mut next = Place::new();
    for (number, at) in place {
        let to = match step(patterns, *number, *at) {
            Some(Step::Byte(byte)) if byte == letter => at + 1,
            Some(Step::Bytes | Step::Inside) if letter != END => *at,
            Some(Step::Labels) if letter != END => at + 1,
            Some(Step::Inside) => at - 1,
            _ => continue,
        };
        next.insert((*number, to));
    }
    settled(patterns, next)
}

/// The patterns that match a name that ends here.
fn matched(patterns: &[Vec<Step>], place: &Place) -> Vec<usize> {
    let ends = |(number, at): &&(usize, usize)| step(patterns, *number, *at).is_none();
    place
        .iter()
        .filter(ends)
        .map(|(number, _)| *number)
        .collect()
}

fn step(patterns: &[Vec<Step>], number: usize, at: usize) -> Option<Step> {
    patterns.get(number)?.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(patterns: &[&str]) -> Vec<(String, Vec<usize>)> {
        let patterns: Vec<NamePattern> =
            patterns.iter().map(|text| text.parse().unwrap()).collect();
        let names = kinds_of_names(&patterns.iter().collect::<Vec<_>>()).unwrap();
        let shown = names.iter().map(|labels| {
            let text: Vec<&str> = labels
                .iter()
                .rev()
                .map(|label| std::str::from_utf8(label).unwrap())
                .collect();
            let matched = patterns.iter().enumerate();
            let matched = matched.filter(|(_, pattern)| pattern.matches(labels));
            (text.join("."), matched.map(|(number, _)| number).collect())
        });
        shown.collect()
    }

    #[test]
    fn a_name_is_found_for_every_kind_and_no_other() {
        assert_eq!(kinds(&[]), [(String::new(), vec![])]);
        let found = |patterns: &[&str]| {
            let kinds = kinds(patterns);
            let mut sets: Vec<Vec<usize>> = kinds.into_iter().map(|(_, set)| set).collect();
            sets.sort();
            sets
        };
        assert_eq!(found(&["**"]), [vec![0]]);
        assert_eq!(found(&["@"]), [vec![], vec![0]]);
        let both = [vec![], vec![0], vec![0, 1], vec![1]];
        assert_eq!(found(&["api.*", "*.web"]), both);
        assert_eq!(found(&["a*", "*b"]), both);
        assert_eq!(
            found(&["**.secret", "*.secret"]),
            [vec![], vec![0], vec![0, 1]]
        );
        assert_eq!(found(&["a", "b"]), [vec![], vec![0], vec![1]]);
    }

    proptest! {
        #[test]
        fn every_name_is_of_a_kind_that_was_found(
            patterns in proptest::collection::vec("(\\*\\*|a|b|\\*|a\\*|\\*b)(\\.(\\*\\*|a|b|\\*a)){0,2}", 1..4),
            name in proptest::collection::vec("[abc]{1,2}", 0..4),
        ) {
            let parsed: Vec<NamePattern> =
                patterns.iter().filter_map(|text| text.parse().ok()).collect();
            let names = kinds_of_names(&parsed.iter().collect::<Vec<_>>()).unwrap();
            let kind = |labels: &[Vec<u8>]| -> Vec<bool> {
                parsed.iter().map(|pattern| pattern.matches(labels)).collect()
            };
            let name: Vec<Vec<u8>> = name.into_iter().map(String::into_bytes).collect();
            let wanted = kind(&name);
            prop_assert!(names.iter().any(|found| kind(found) == wanted), "{name:?}");
        }
    }
}
