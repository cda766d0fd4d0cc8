//! `Exposition`: metrics in Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write as _};

use super::durations::{BOUNDS, Durations};

/// The media type of the format.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// How the values of a family behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They only rise, but for a restart.
    Counter,
    /// They are what is now.
    Gauge,
    /// How many were at most so large.
    Histogram,
}

impl Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// A metric with its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name, with the unit at the end.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it says, in one line.
    pub help: &'static str,
}

/// Metrics in the making.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// The values of one family in the making.
#[derive(Debug)]
pub struct Samples<'e> {
    text: &'e mut String,
    family: &'static Family,
}

impl Exposition {
    /// Begins a family; every one is written once.
    pub fn family(&mut self, family: &'static Family) -> Samples<'_> {
        let Family {
            name, kind, help, ..
        } = family;
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        Samples {
            text: &mut self.text,
            family,
        }
    }

    /// A family with one value and no labels.
    pub fn value(&mut self, family: &'static Family, value: impl Display) {
        self.family(family).add(&[], value);
    }

    /// All that was written.
    pub fn into_text(self) -> String {
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Memory takes everything.
        let _ = writeln!(self.text, "{line}");
    }
}

impl Samples<'_> {
    /// One value; labels in the order of the family's.
    pub fn add(&mut self, labels: &[&str], value: impl Display) -> &mut Self {
        self.sample("", labels, None, value);
        self
    }

    /// One value in seconds.
    pub fn seconds(&mut self, labels: &[&str], nanos: u64) -> &mut Self {
        self.sample("", labels, None, seconds(nanos));
        self
    }

    /// The buckets, the sum and the count of durations.
    pub fn durations(&mut self, labels: &[&str], durations: &Durations) -> &mut Self {
        let nanos = durations.nanos();
        let (counts, all) = durations.cumulative();
        for ((_, bound), count) in BOUNDS.iter().zip(counts) {
            self.sample("_bucket", labels, Some(bound), count);
        }
        self.sample("_bucket", labels, Some("+Inf"), all);
        self.sample("_sum", labels, None, seconds(nanos));
        self.sample("_count", labels, None, all);
        self
    }

    fn sample(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>, value: impl Display) {
        debug_assert_eq!(labels.len(), self.family.labels.len());
        self.text.push_str(self.family.name);
        self.text.push_str(suffix);
        let named = self
            .family
            .labels
            .iter()
            .copied()
            .zip(labels.iter().copied());
        let named = named.chain(bound.map(|bound| ("le", bound)));
        let mut before = '{';
        for (name, value) in named {
            self.text.push(before);
            self.text.push_str(name);
            self.text.push_str("=\"");
            push_escaped(self.text, value);
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// The value of a label may hold anything.
fn push_escaped(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

fn seconds(nanos: u64) -> String {
    format!("{}.{:09}", nanos / NANOS_PER_SEC, nanos % NANOS_PER_SEC)
}

#[cfg(test)]
mod tests {
    use super::*;

    static LABELLED: Family = Family {
        name: "a_total",
        kind: Kind::Counter,
        labels: &["one", "other"],
        help: "Of a test.",
    };
    static TIMED: Family = Family {
        name: "b_seconds",
        kind: Kind::Histogram,
        labels: &[],
        help: "Of a test.",
    };

    #[test]
    fn values_of_labels_are_escaped() {
        let mut exposition = Exposition::default();
        let mut samples = exposition.family(&LABELLED);
        samples.add(&["a\"\\\n", ""], 5);
        samples.seconds(&["b", "c"], 1_000_000_001);
        assert_eq!(
            exposition.into_text(),
            "# HELP a_total Of a test.\n# TYPE a_total counter\n\
             a_total{one=\"a\\\"\\\\\\n\",other=\"\"} 5\n\
             a_total{one=\"b\",other=\"c\"} 1.000000001\n"
        );
    }

    #[test]
    fn a_histogram_ends_with_all_of_its_durations() {
        let durations = Durations::default();
        durations.add_one(1);
        durations.add_one(u64::MAX / 2);
        let mut exposition = Exposition::default();
        exposition.family(&TIMED).durations(&[], &durations);
        let text = exposition.into_text();
        assert!(
            text.contains("\nb_seconds_bucket{le=\"0.00001\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("\nb_seconds_bucket{le=\"5\"} 1\n"), "{text}");
        assert!(
            text.contains("\nb_seconds_bucket{le=\"+Inf\"} 2\n"),
            "{text}"
        );
        assert!(text.ends_with("\nb_seconds_count 2\n"), "{text}");
    }
}
