//! The chain of an audit log: each record names the one before by digest, each batch the one before.

use serde::Deserialize;

use crate::base::digest::{Digest, DigestStream};
use crate::base::time::Timestamp;

use super::record::{Event, opened};

/// The version of the lines.
pub(super) const FORMAT: u64 = 1;
/// The domain of a record's digest.
const LABEL: &str = "kedge/audit/1";
/// What stands between a record and its digest.
const MARK: &[u8] = b",\"chain\":\"";
/// What ends a line.
const END: &[u8] = b"\"}";
/// The digits of a digest.
const DIGITS: usize = 64;

/// Where a chain stands after a whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Records so far.
    pub records: u64,
    /// Batches so far.
    pub batches: u64,
    /// The digest of the last batch, which is that of its last record.
    pub digest: Digest,
}

impl Head {
    /// Before the first batch.
    pub const NONE: Self = Self {
        records: 0,
        batches: 0,
        digest: Digest::ZERO,
    };

    /// What a file begins with that goes on from here.
    pub(super) fn file(&self) -> Event {
        Event::File {
            format: FORMAT,
            batches: self.batches,
            before: self.digest.to_string(),
        }
    }
}

fn link(before: &Digest, opened: &[u8]) -> Digest {
    let mut stream = DigestStream::new(LABEL);
    stream.push(before.as_bytes());
    stream.push(opened);
    stream.digest()
}

/// The lines of a batch, and where the chain stands after it.
pub(super) fn batch(head: Head, now: Timestamp, events: &[(Timestamp, Event)]) -> (Vec<u8>, Head) {
    let mut lines = Vec::new();
    let mut next = head;
    let mut add = |time: Timestamp, event: &Event| {
        next.records += 1;
        let opened = opened(next.records, time, event);
        next.digest = link(&next.digest, &opened);
        lines.extend_from_slice(&opened);
        lines.extend_from_slice(MARK);
        lines.extend_from_slice(next.digest.to_string().as_bytes());
        lines.extend_from_slice(END);
        lines.push(b'\n');
    };
    for (time, event) in events {
        add(*time, event);
    }
    let last = Event::Batch {
        batch: head.batches + 1,
        records: u64::try_from(events.len()).unwrap_or(u64::MAX),
        before: head.digest.to_string(),
    };
    add(now, &last);
    next.batches += 1;
    (lines, next)
}

/// Why a line does not follow from those before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// No record.
    #[error("it is no record")]
    NotARecord,
    /// A record of a newer program.
    #[error("it has format {found}; this program reads format {FORMAT}")]
    Format {
        /// The format found.
        found: u64,
    },
    /// The log does not begin with the beginning of a file.
    #[error("it is record {found}, and no file begins with it")]
    Beginning {
        /// The number found.
        found: u64,
    },
    /// A record is missing, or is not in its place.
    #[error("it is record {found}; expected record {expected}")]
    Sequence {
        /// The number that comes next.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// The record was changed, or one before it.
    #[error("record {sequence} was changed: its digest is {written}, its bytes give {computed}")]
    Chain {
        /// Its number.
        sequence: u64,
        /// The digest written in it.
        written: String,
        /// The digest of its bytes and the record before.
        computed: Digest,
    },
    /// A batch's last record does not fit the batch.
    #[error("record {sequence} ends another batch than the one before it")]
    Batch {
        /// Its number.
        sequence: u64,
    },
}

/// What the chain needs of a record.
#[derive(Debug, Deserialize)]
struct Fields {
    seq: u64,
    kind: String,
    format: Option<u64>,
    batches: Option<u64>,
    batch: Option<u64>,
    records: Option<u64>,
    before: Option<String>,
}

/// The line parted at its mark: what was hashed, and the digest as written.
fn parted(line: &[u8]) -> Option<(&[u8], &str)> {
    let rest = line.strip_suffix(END)?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    let opened = rest.strip_suffix(MARK)?;
    Some((opened, std::str::from_utf8(digits).ok()?))
}

/// A chain that is followed line by line.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    now: Option<Now>,
    from: u64,
}

#[derive(Debug, Clone, Copy)]
struct Now {
    /// After the last whole batch.
    head: Head,
    /// Records since.
    open: u64,
    chain: Digest,
}

impl Walk {
    /// Follows the chain to the next line, without its line end. After an error it stays where it
    /// was.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Broken> {
        let (opened, written) = parted(line).ok_or(Broken::NotARecord)?;
        let fields: Fields = serde_json::from_slice(line).map_err(|_| Broken::NotARecord)?;
        let sequence = fields.seq;
        if let Some(found) = fields.format.filter(|found| *found != FORMAT) {
            return Err(Broken::Format { found });
        }
        let mut now = match self.now {
            Some(now) => now,
            None => beginning(&fields)?,
        };
        let expected = now.head.records + now.open + 1;
        if sequence != expected {
            return Err(Broken::Sequence {
                expected,
                found: sequence,
            });
        }
        let computed = link(&now.chain, opened);
        if computed.to_string() != written {
            return Err(Broken::Chain {
                sequence,
                written: written.to_owned(),
                computed,
            });
        }
        now.chain = computed;
        if fields.kind == "batch" {
            let before = now.head.digest.to_string();
            let fits = fields.batch == Some(now.head.batches + 1)
                && fields.records == Some(now.open)
                && fields.before.as_deref() == Some(&before);
            if !fits {
                return Err(Broken::Batch { sequence });
            }
            now.head = Head {
                records: sequence,
                batches: now.head.batches + 1,
                digest: computed,
            };
            now.open = 0;
        } else {
            now.open += 1;
        }
        if self.now.is_none() {
            self.from = now.head.batches;
        }
        self.now = Some(now);
        Ok(())
    }

    /// Where the chain stands after the last whole batch.
    pub fn head(&self) -> Option<Head> {
        self.now.map(|now| now.head).filter(|head| head.batches > 0)
    }

    /// Batches before the first file that was followed.
    pub fn batches_before(&self) -> u64 {
        self.from
    }

    /// Records after the last whole batch.
    pub fn records_open(&self) -> u64 {
        self.now.map_or(0, |now| now.open)
    }
}

/// A log may begin at any file; what was before is then only known by digest.
fn beginning(fields: &Fields) -> Result<Now, Broken> {
    let found = fields.seq;
    let before = fields.before.as_deref().and_then(|text| text.parse().ok());
    match (fields.kind.as_str(), fields.batches, before) {
        ("file", Some(batches), Some(chain)) => Ok(Now {
            head: Head {
                records: found.saturating_sub(1),
                batches,
                digest: chain,
            },
            open: 0,
            chain,
        }),
        _ => Err(Broken::Beginning { found }),
    }
}

/// The end of the last whole batch in a part of a log: its head, and the bytes up to it. Lines
/// before it are not followed.
pub fn last_whole(bytes: &[u8]) -> Option<(Head, usize)> {
    let mut end = bytes.len();
    while let Some(stop) = bytes.get(..end)?.iter().rposition(|byte| *byte == b'\n') {
        let line = bytes.get(..stop)?;
        let start = line.iter().rposition(|byte| *byte == b'\n');
        let line = line.get(start.map_or(0, |at| at + 1)..)?;
        if let Some(head) = closing(line) {
            return Some((head, stop + 1));
        }
        end = stop;
    }
    None
}

fn closing(line: &[u8]) -> Option<Head> {
    let (_, written) = parted(line)?;
    let fields: Fields = serde_json::from_slice(line).ok()?;
    let batches = fields.batch.filter(|_| fields.kind == "batch")?;
    Some(Head {
        records: fields.seq,
        batches,
        digest: written.parse().ok()?,
    })
}
