//! What is deployed beside the program: boards and alerts ask for metrics that there are, by labels that
//! these have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::repository;

/// Where boards and alerts are.
const FILES: [&str; 2] = [
    "deploy/prometheus/kedge.rules.yml",
    "deploy/grafana/kedge.json",
];
/// What Prometheus adds to each sample, and to buckets.
const LABELS_ADDED: [&str; 3] = ["job", "instance", "le"];
const PREFIXES: [&str; 2] = ["kedge_", "process_"];

struct Metric {
    is_histogram: bool,
    labels: BTreeSet<String>,
}

/// The rows of the page of metrics.
fn documented(page: &str) -> BTreeMap<String, Metric> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, ..] = cells.as_slice() else {
            return None;
        };
        let labels = labels.split(", ").filter(|label| !label.is_empty());
        let metric = Metric {
            is_histogram: *kind == "histogram",
            labels: labels.map(str::to_owned).collect(),
        };
        Some((name.trim_matches('`').to_owned(), metric))
    })
    .collect()
}

/// Names of metrics in a text, each with the labels that it is chosen by.
fn asked(text: &str) -> Vec<(String, Vec<String>)> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_word) {
        let (_, word_on) = rest.split_at(at);
        let end = word_on.find(|letter| !is_word(letter));
        let (word, after) = word_on.split_at(end.unwrap_or(word_on.len()));
        rest = after;
        if !PREFIXES.iter().any(|prefix| word.starts_with(prefix)) {
            continue;
        }
        let chosen = after.strip_prefix('{').and_then(|on| on.split_once('}'));
        let labels = chosen.map_or("", |(inner, _)| inner).split(',');
        let labels = labels.filter_map(|label| label.split(['=', '!']).next());
        let labels = labels.filter(|label| !label.is_empty());
        found.push((word.to_owned(), labels.map(str::to_owned).collect()));
    }
    found
}

/// What a text asks for in vain.
fn in_vain(text: &str, there_is: &BTreeMap<String, Metric>) -> Vec<String> {
    let of = |name: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        let base = parts.iter().find_map(|part| name.strip_suffix(part));
        let histogram = base.and_then(|base| there_is.get(base));
        let histogram = histogram.filter(|metric| metric.is_histogram);
        let plain = there_is.get(name).filter(|metric| !metric.is_histogram);
        histogram.or(plain)
    };
    let mut wrong = Vec::new();
    for (name, labels) in asked(text) {
        let Some(metric) = of(&name) else {
            wrong.push(format!("{name} is not in docs/METRICS.md"));
            continue;
        };
        for label in labels {
            if !metric.labels.contains(&label) && !LABELS_ADDED.contains(&label.as_str()) {
                wrong.push(format!("{name} has no label {label}"));
            }
        }
    }
    wrong
}

#[test]
fn boards_and_alerts_ask_for_metrics_that_there_are() {
    let there_is = documented(&fs::read_to_string(repository().join("docs/METRICS.md")).unwrap());
    for file in FILES {
        let text = fs::read_to_string(repository().join(file)).unwrap();
        assert!(asked(&text).len() > 10, "{file} asks for hardly anything");
        let wrong = in_vain(&text, &there_is);
        assert!(wrong.is_empty(), "{file}: {wrong:#?}");
    }
}

#[test]
fn a_metric_that_there_is_not_is_found() {
    let page =
        "| `kedge_a_total` | counter | route | x |\n| `kedge_b_seconds` | histogram |  | x |\n";
    let there_is = documented(page);
    let good = "rate(kedge_a_total{route=\"x\",job=\"k\"}[5m]) kedge_b_seconds_bucket{le=\"1\"}";
    assert_eq!(in_vain(good, &there_is), Vec::<String>::new());
    for bad in [
        "kedge_c",
        "kedge_b_seconds",
        "kedge_a_total_bucket",
        "kedge_a_total{rcode!=\"x\"}",
    ] {
        assert_eq!(in_vain(bad, &there_is).len(), 1, "{bad}");
    }
}
