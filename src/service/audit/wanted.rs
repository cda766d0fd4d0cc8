//! Which records of the log are to be shown.

use std::str::FromStr;

use serde_json::{Map, Value};

/// A time as records have it; `d` stands for a digit.
const TIME_SHAPE: &str = "dddd-dd-ddTdd:dd:dd.dddZ";

/// A record as it stands in the log.
pub type Record = Map<String, Value>;

/// The newest records of those that fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// From this time on.
    pub since: Since,
    /// At most so many.
    pub count: usize,
}

/// A time in UTC as records have it, or the beginning of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Since(String);

/// A text that is not the beginning of a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time; times are in UTC and may be cut short, such as 2026-11-23T04")]
pub struct NoTime(String);

impl FromStr for Since {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        let fits = |(shape, given): (char, char)| match shape {
            'd' => given.is_ascii_digit(),
            fixed => given == fixed,
        };
        if text.len() <= TIME_SHAPE.len() && TIME_SHAPE.chars().zip(text.chars()).all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoTime(text.to_owned()))
        }
    }
}

impl Wanted {
    /// The record of a line, if it is wanted. What is no record is for a check of the chain to name,
    /// and what only holds the chain together says nothing.
    pub fn record(&self, line: &[u8]) -> Option<Record> {
        let record: Record = serde_json::from_slice(line).ok()?;
        let text = |field: &str| {
            record
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let is_frame = matches!(text("kind"), "batch" | "file");
        let is_wanted = !is_frame && text("time") >= self.since.0.as_str();
        is_wanted.then_some(record)
    }
}
