//! `SignGuard`: what was signed is never signed differently, whatever an engine asks.

use std::collections::BTreeMap;
use std::fmt;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form, tagged};
use crate::base::digest::Digest;
use crate::governance::anchor::AnchorId;
use crate::governance::certificate::{Certificate, Step, Vote};

use super::statement::Bid;

/// What kind of thing an anchor signs once in each round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The block of the round.
    Bid,
    /// The first vote.
    Prevote,
    /// The second vote.
    Precommit,
}

tagged!(
    Kind,
    "kind of statement",
    Self::Bid = 0,
    Self::Prevote = 1,
    Self::Precommit = 2,
);

impl From<Step> for Kind {
    fn from(step: Step) -> Self {
        match step {
            Step::Prevote => Self::Prevote,
            Step::Precommit => Self::Precommit,
        }
    }
}

/// What an anchor signed: one row for each scope, height, round and kind. It is durable before the
/// signature leaves the node. The scope and the height are where the row is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardRow {
    /// Who signed.
    pub anchor: AnchorId,
    /// The round.
    pub round: u32,
    /// What kind of thing.
    pub kind: Kind,
    /// The block of a vote, or none for nil; the digest of a bid.
    pub value: Option<Digest>,
}

impl GuardRow {
    /// What a vote commits its anchor to.
    pub fn of_vote(vote: &Vote) -> Self {
        Self {
            anchor: vote.anchor,
            round: vote.round,
            kind: vote.step.into(),
            value: vote.block,
        }
    }

    /// What a certificate shows that an anchor whose signature it has was committed to.
    pub const fn of_precommit(anchor: AnchorId, certificate: &Certificate) -> Self {
        Self {
            anchor,
            round: certificate.round,
            kind: Kind::Precommit,
            value: Some(certificate.block),
        }
    }

    /// What a bid commits its anchor to.
    pub fn of_bid(bid: &Bid) -> Self {
        Self {
            anchor: bid.anchor,
            round: bid.round,
            kind: Kind::Bid,
            value: Some(Digest::of(bid)),
        }
    }

    const fn key(&self) -> (AnchorId, u32, Kind) {
        (self.anchor, self.round, self.kind)
    }
}

impl Canonical for GuardRow {
    fn encode(&self, out: &mut Encoder) {
        self.anchor.encode(out);
        out.u32(self.round);
        self.kind.encode(out);
        out.option(self.value.as_ref());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            anchor: AnchorId::decode(input)?,
            round: input.u32()?,
            kind: Kind::decode(input)?,
            value: input.option()?,
        })
    }
}

impl Form for GuardRow {
    const LABEL: &'static str = "kedge/guard";
}

/// An engine asked for a signature that would contradict one that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("anchor {} signed another {kind:?} in round {round}", anchor.short())]
pub struct Contradiction {
    /// Who signed.
    pub anchor: AnchorId,
    /// The round.
    pub round: u32,
    /// What kind of thing.
    pub kind: Kind,
}

/// Decides whether a signature may be given.
pub trait Guard: fmt::Debug {
    /// Starts from the rows that are stored for the height.
    fn begin(rows: &[GuardRow]) -> Self;

    /// The row to store before the signature leaves; none if it is stored already.
    ///
    /// # Errors
    /// If something else was signed in its place.
    fn ask(&mut self, row: GuardRow) -> Result<Option<GuardRow>, Contradiction>;

    /// Whether just this is known to have been signed.
    fn knows(&self, row: &GuardRow) -> bool;
}

/// The rows of one height.
#[derive(Debug, Clone, Default)]
pub struct SignGuard {
    rows: BTreeMap<(AnchorId, u32, Kind), GuardRow>,
}

impl Guard for SignGuard {
    fn begin(rows: &[GuardRow]) -> Self {
        let rows = rows.iter().map(|row| (row.key(), *row)).collect();
        Self { rows }
    }

    fn ask(&mut self, row: GuardRow) -> Result<Option<GuardRow>, Contradiction> {
        let (anchor, round, kind) = row.key();
        match self.rows.get(&row.key()) {
            None => {
                self.rows.insert(row.key(), row);
                Ok(Some(row))
            }
            Some(signed) if *signed == row => Ok(None),
            Some(_) => Err(Contradiction {
                anchor,
                round,
                kind,
            }),
        }
    }

    fn knows(&self, row: &GuardRow) -> bool {
        self.rows.get(&row.key()) == Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::keys::SecretKey;

    #[test]
    fn the_same_again_is_given_and_something_else_is_not() {
        let anchor = AnchorId::of_first_key(&SecretKey::from_seed(&[1; 32]).public());
        let row = |round, kind, value: Option<&str>| GuardRow {
            anchor,
            round,
            kind,
            value: value.map(|text| Digest::of_bytes("test", text.as_bytes())),
        };
        let mut guard = SignGuard::begin(&[row(0, Kind::Prevote, Some("a"))]);
        assert_eq!(guard.ask(row(0, Kind::Prevote, Some("a"))), Ok(None));
        let other = row(0, Kind::Prevote, None);
        assert_eq!(guard.ask(other).unwrap_err().kind, Kind::Prevote);
        let new = row(0, Kind::Precommit, Some("b"));
        assert_eq!(guard.ask(new), Ok(Some(new)));
        assert_eq!(guard.ask(new), Ok(None));
        assert!(guard.ask(row(0, Kind::Precommit, Some("a"))).is_err());
        assert!(guard.ask(row(1, Kind::Precommit, Some("a"))).is_ok());
        assert!(guard.knows(&new) && !guard.knows(&other));
    }
}
