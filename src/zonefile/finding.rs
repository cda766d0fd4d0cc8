//! `Finding`: what is wrong with a zone, where, and what to do about it.

use std::fmt;
use std::sync::Arc;

use super::BadInclude;
use crate::base::limits::{
    RECORDS_PER_SET_MAX, ZONE_GENERATE_RECORDS_MAX, ZONE_INCLUDE_DEPTH_MAX, ZONE_INCLUDES_MAX,
};
use crate::base::time::Ttl;
use crate::namespace::name::{BadName, Name};
use crate::namespace::rdata::BadRdata;
use crate::namespace::rdata::lexer::BadText;
use crate::namespace::rtype::RecordType;

/// One fault or one thing worth a look, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, as it was named when opened.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// What was found.
    pub what: What,
}

/// What can be found in a zone file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// Quotes or parentheses that do not match.
    #[error(transparent)]
    Text(#[from] BadText),
    /// Record data that is none.
    #[error(transparent)]
    Rdata(#[from] BadRdata),
    /// An owner or origin that is no name.
    #[error("{found:?} is no name: {reason}")]
    Name {
        /// What stands there.
        found: String,
        /// Why it is no name.
        reason: BadName,
    },
    /// An indented record before any owner.
    #[error("the record has no owner: the line is indented and no owner came before it")]
    NoOwner,
    /// An entry without a type.
    #[error("the entry ends before a record type")]
    NoType,
    /// A word that is neither TTL, class nor type.
    #[error("{found:?} is no record type")]
    UnknownType {
        /// The word.
        found: String,
    },
    /// A type that no zone holds.
    #[error("{0} exists only in questions and messages; no zone holds it")]
    MetaType(RecordType),
    /// Another class than IN.
    #[error("class {found} is not served; only class IN is")]
    Class {
        /// The class.
        found: String,
    },
    /// A word that should be a TTL.
    #[error("{found:?} is no TTL")]
    BadTtl {
        /// The word.
        found: String,
    },
    /// A record without TTL where no default is known.
    #[error("the record has no TTL and none came before it")]
    NoTtl,
    /// A directive that does not exist.
    #[error("{found:?} is no directive")]
    UnknownDirective {
        /// The word.
        found: String,
    },
    /// A directive that ends early.
    #[error("{directive} ends early; write {directive} {form}")]
    DirectiveEnds {
        /// The directive.
        directive: &'static str,
        /// What follows it.
        form: &'static str,
    },
    /// Words after a directive.
    #[error("{found:?} follows {directive}")]
    DirectiveExtra {
        /// The directive.
        directive: &'static str,
        /// The first word too many.
        found: String,
    },
    /// A file that could not be included.
    #[error("{path:?} cannot be included: {reason}")]
    Include {
        /// The path in the zone file.
        path: String,
        /// Why not.
        reason: BadInclude,
    },
    /// Files that include each other.
    #[error("$INCLUDE is nested deeper than {ZONE_INCLUDE_DEPTH_MAX} files")]
    IncludeDepth,
    /// Files that include too many others.
    #[error("the zone includes more than {ZONE_INCLUDES_MAX} files")]
    IncludeCount,
    /// A range that `$GENERATE` cannot count through.
    #[error("{found:?} is no range; write start-stop or start-stop/step")]
    Range {
        /// The word.
        found: String,
    },
    /// A range that makes too many records.
    #[error("$GENERATE makes at most {ZONE_GENERATE_RECORDS_MAX} records at once")]
    GenerateCount,
    /// A `${...}` that is none.
    #[error(
        "{found:?} has a faulty modifier; write ${{offset,width,base}} with base d, o, x, X, n or N"
    )]
    Modifier {
        /// The template.
        found: String,
    },
    /// A record outside the zone; it is left out.
    #[error("{owner} lies outside the zone; its records are left out")]
    OutOfZone {
        /// The owner.
        owner: Name,
    },
    /// A TTL above RFC 2181's bound.
    #[error(
        "a TTL of {secs} is above {}; it counts as 0 (RFC 2181 section 8)",
        Ttl::MAX
    )]
    TtlTooLong {
        /// Seconds.
        secs: u32,
    },
    /// Records without TTL that take the last one.
    #[error("records without TTL take the TTL of the record before them")]
    TtlInherited,
    /// Records without TTL that take the SOA minimum.
    #[error("no TTL is given; the SOA minimum stands in")]
    TtlFromSoa,
    /// An indented record after `$ORIGIN`.
    #[error("the record belongs to {owner}, not to the new origin")]
    OwnerBeforeOrigin {
        /// The owner.
        owner: Name,
    },
    /// A zone without SOA.
    #[error("the zone has no SOA record")]
    NoSoa,
    /// An SOA below the top.
    #[error("the SOA record of {owner} is not at the top of the zone")]
    SoaBelowTop {
        /// The owner.
        owner: Name,
    },
    /// A DS at the top.
    #[error("a DS record at the top of the zone belongs into the parent zone")]
    DsAtTop,
    /// A zone without NS.
    #[error("the zone has no NS records")]
    NoNs,
    /// Two records of a type that allows one.
    #[error("{owner} has more than one {kind} record")]
    Several {
        /// The owner.
        owner: Name,
        /// The type.
        kind: RecordType,
    },
    /// More records than a set can hold.
    #[error("{owner} has more than {RECORDS_PER_SET_MAX} {kind} records")]
    SetTooLarge {
        /// The owner.
        owner: Name,
        /// The type.
        kind: RecordType,
    },
    /// A CNAME that is not alone.
    #[error("{owner} has a CNAME record and other data")]
    CnameAndOther {
        /// The owner.
        owner: Name,
    },
    /// NS at a wildcard.
    #[error("{owner} is a wildcard and cannot be delegated")]
    WildcardNs {
        /// The owner.
        owner: Name,
    },
    /// An NSEC3 owner that is no hash.
    #[error("{owner} is no NSEC3 owner: its first label is not base32hex")]
    Nsec3Owner {
        /// The owner.
        owner: Name,
    },
    /// NSEC3 parameters nobody can use.
    #[error("no NSEC3PARAM record has a known hash algorithm")]
    Nsec3Algorithm,
    /// A target that is an alias.
    #[error("{kind} of {owner}: the target {target} is a CNAME")]
    TargetIsCname {
        /// The owner.
        owner: Name,
        /// The type.
        kind: RecordType,
        /// The target.
        target: Name,
    },
    /// A target below a DNAME.
    #[error("{kind} of {owner}: the target {target} is below the DNAME at {dname}")]
    TargetBelowDname {
        /// The owner.
        owner: Name,
        /// The type.
        kind: RecordType,
        /// The target.
        target: Name,
        /// Where the DNAME stands.
        dname: Name,
    },
    /// A target inside the zone without addresses.
    #[error("{kind} of {owner}: the target {target} has no address record")]
    TargetHasNoAddress {
        /// The owner.
        owner: Name,
        /// The type.
        kind: RecordType,
        /// The target.
        target: Name,
    },
    /// A delegation whose server cannot be found without glue.
    #[error("NS of {owner}: the server {target} lies below a delegation and has no glue")]
    GlueMissing {
        /// The owner.
        owner: Name,
        /// The server.
        target: Name,
    },
    /// A target written as an address.
    #[error("{kind} of {owner}: the target {target} is written like an address")]
    TargetIsAddress {
        /// The owner.
        owner: Name,
        /// The type.
        kind: RecordType,
        /// The target.
        target: Name,
    },
    /// An owner of addresses that is no host name.
    #[error("{owner} has {kind} records and is no host name")]
    NoHostOwner {
        /// The owner.
        owner: Name,
        /// The type.
        kind: RecordType,
    },
    /// A target that is no host name.
    #[error("{kind} of {owner}: the target {target} is no host name")]
    NoHostTarget {
        /// The owner.
        owner: Name,
        /// The type.
        kind: RecordType,
        /// The target.
        target: Name,
    },
    /// A star that is not the first label.
    #[error("{owner} has a * inside; only a * in front is a wildcard")]
    InnerWildcard {
        /// The owner.
        owner: Name,
    },
    /// Records whose TTLs differ.
    #[error("the {kind} records of {owner} differ in TTL; all get {kept}")]
    TtlDiffers {
        /// The owner.
        owner: Name,
        /// The type.
        kind: RecordType,
        /// The TTL of the first.
        kept: Ttl,
    },
    /// Data below a delegation that is no glue.
    #[error("{owner} lies below the delegation of {cut}; its {kind} records are never answered")]
    BelowCut {
        /// The owner.
        owner: Name,
        /// The type.
        kind: RecordType,
        /// Where the delegation stands.
        cut: Name,
    },
    /// Data below a DNAME.
    #[error("{owner} lies below the DNAME at {dname}; its records are never answered")]
    BelowDname {
        /// The owner.
        owner: Name,
        /// Where the DNAME stands.
        dname: Name,
    },
    /// The bound of findings was reached.
    #[error("{0} more findings are not shown")]
    More(usize),
}

impl What {
    /// What to do about it, where that is not plain.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoOwner => "start the line with a name, or with @ for the zone itself",
            Self::UnknownType { .. } => {
                "write [TTL] [class] type data; unknown types are written TYPE and a number"
            }
            Self::BadTtl { .. } => "write seconds, or a time such as 1h30m",
            Self::NoTtl => "put $TTL 3600 at the top of the file",
            Self::UnknownDirective { .. } => {
                "the directives are $ORIGIN, $TTL, $INCLUDE and $GENERATE"
            }
            Self::Name {
                reason: BadName::NotAscii,
                ..
            } => "write international labels as xn--...",
            Self::OutOfZone { .. } => "was a final dot written where none belongs?",
            Self::NoSoa => "is the origin right? The SOA record's owner must be the zone",
            Self::NoNs => "add an NS record whose owner is the zone",
            Self::TargetIsCname { .. } => "name the host that the CNAME leads to",
            Self::TargetHasNoAddress { .. } => {
                "add an A or AAAA record, or a final dot if the host is in another zone"
            }
            Self::GlueMissing { .. } => "add the server's A or AAAA record to this zone",
            Self::TargetIsAddress { .. } => "name a host and give that host the address",
            Self::CnameAndOther { .. } => "an alias has no data of its own; put it at the target",
            Self::Rdata(BadRdata::Extra { .. }) => {
                "quote text that has spaces; start comments with ;"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)?;
        match self.what.hint() {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// A place in one of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) file: u32,
    pub(super) line: u32,
}

/// A list that keeps its first findings and counts the others.
#[derive(Debug)]
struct Kept {
    findings: Vec<Finding>,
    max: usize,
    more: usize,
}

impl Kept {
    fn new(max: usize) -> Self {
        Self {
            findings: Vec::new(),
            max,
            more: 0,
        }
    }

    fn push(&mut self, finding: Finding) {
        if self.findings.len() < self.max {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }

    fn into_vec(mut self) -> Vec<Finding> {
        if let Some(last) = self.findings.last().filter(|_| self.more > 0) {
            let last = Finding {
                what: What::More(self.more),
                ..last.clone()
            };
            self.findings.push(last);
        }
        self.findings
    }
}

/// Everything found so far, and the files it was found in.
#[derive(Debug)]
pub(super) struct Findings {
    files: Vec<Arc<str>>,
    errors: Kept,
    warnings: Kept,
}

/// More faults than a person repairs before the next try.
const ERRORS_MAX: usize = 20;
/// More warnings than a person reads.
const WARNINGS_MAX: usize = 100;

impl Findings {
    /// Nothing found; the zone starts in this file.
    pub(super) fn new(file: &str) -> Self {
        Self {
            files: vec![file.into()],
            errors: Kept::new(ERRORS_MAX),
            warnings: Kept::new(WARNINGS_MAX),
        }
    }

    /// Adds a file and returns its number; the first file is number 0.
    pub(super) fn add_file(&mut self, file: &str) -> u32 {
        self.files.push(file.into());
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    /// The name of a file.
    pub(super) fn file(&self, file: u32) -> Arc<str> {
        let at = usize::try_from(file).unwrap_or(usize::MAX);
        self.files.get(at).map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// Keeps what forbids loading the zone.
    pub(super) fn error(&mut self, position: Position, what: What) {
        let finding = self.finding(position, what);
        self.errors.push(finding);
    }

    /// Keeps what is worth a look.
    pub(super) fn warn(&mut self, position: Position, what: What) {
        let finding = self.finding(position, what);
        self.warnings.push(finding);
    }

    fn finding(&self, position: Position, what: What) -> Finding {
        Finding {
            file: self.file(position.file),
            line: position.line,
            what,
        }
    }

    /// Whether the zone may not be loaded.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.findings.is_empty()
    }

    /// Whether reading on would only count errors.
    pub(super) fn is_full(&self) -> bool {
        self.errors.more > 0
    }

    /// What forbids loading the zone.
    pub(super) fn into_errors(self) -> Vec<Finding> {
        self.errors.into_vec()
    }

    /// What is worth a look.
    pub(super) fn into_warnings(self) -> Vec<Finding> {
        self.warnings.into_vec()
    }
}
