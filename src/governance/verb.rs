//! `Verb`: what a caller means to do with a name.

use std::fmt;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, tagged};
use crate::base::limits::LABEL_BYTES_MAX;

/// What a verb does, by the care it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VerbClass {
    /// Looks at something. What is asked without a verb reads.
    Read,
    /// Changes something.
    Write,
    /// Tells somebody something.
    Signal,
    /// Asserts a right to something.
    Claim,
}

impl VerbClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Signal, Self::Claim];
}

impl fmt::Display for VerbClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Signal => "signal",
            Self::Claim => "claim",
        })
    }
}

/// A word of a scope's vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verb {
    /// One label in lower case.
    pub name: String,
    /// Its class.
    pub class: VerbClass,
}

impl Verb {
    /// A verb; none if the name is no label of letters, digits and hyphens in lower case.
    pub fn new(name: &str, class: VerbClass) -> Option<Self> {
        let usual = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let is_label = !name.is_empty() && name.len() <= LABEL_BYTES_MAX;
        (is_label && name.bytes().all(usual)).then(|| Self {
            name: name.to_owned(),
            class,
        })
    }
}

/// A verb as one scope understands it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent<'q> {
    /// The word.
    pub name: &'q str,
    /// Its class; none if it is not in the scope's vocabulary.
    pub class: Option<VerbClass>,
}

tagged!(
    VerbClass,
    "class of verbs",
    VerbClass::Read = 0,
    VerbClass::Write = 1,
    VerbClass::Signal = 2,
    VerbClass::Claim = 3,
);

impl Canonical for Verb {
    fn encode(&self, out: &mut Encoder) {
        out.text(&self.name);
        self.class.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let name = input.text("verb", LABEL_BYTES_MAX)?;
        let class = VerbClass::decode(input)?;
        Self::new(&name, class).ok_or(DecodeError::NotCanonical { what: "verb" })
    }
}
