//! `Ordering`: the rounds, votes and locks of one seat at one height, behind a trait of ours.

use std::fmt;

use crate::base::digest::Digest;
use crate::base::keys::{NotSigned, Signature};
use crate::governance::certificate::Vote;

use super::certificates::{PrevoteCertificate, RoundCertificate};
use super::electorate::Electorate;
use super::guard::Contradiction;
use super::journal::{Entry, Judged};
use super::statement::{Bid, Checked};
use super::timer::Timer;

/// What an engine is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// The block that this seat offers in a round; it found it fit itself.
    Propose(u32, Digest),
    /// A block is offered.
    Bid(Checked<Bid>),
    /// Whether an offered block may be decided.
    Judged(Judged),
    /// A vote.
    Vote(Checked<Vote>),
    /// A quorum of prevotes; every one of them was checked.
    Prevotes(PrevoteCertificate),
    /// The reason to enter a round; every vote of it was checked.
    Round(RoundCertificate),
    /// A timer ran out.
    TimedOut(Timer),
}

/// What an engine wants done, in order.
#[derive(Debug, Clone)]
pub enum Output {
    /// To be on disk before anything after it is done.
    Journal(Entry),
    /// It is this seat's turn: a block is wanted for the round.
    Wanted(u32),
    /// Tell the others.
    Bid(Checked<Bid>),
    /// Tell the others.
    Vote(Checked<Vote>),
    /// Tell the others.
    Prevotes(PrevoteCertificate),
    /// Tell the others.
    Round(RoundCertificate),
    /// A timer starts.
    Start(Timer),
    /// A timer does not matter any more.
    Stop(Timer),
    /// No timer matters any more.
    StopAll,
    /// A block is decided by the precommits of a round.
    Decided {
        /// The round.
        round: u32,
        /// The block.
        block: Digest,
        /// The precommits, by seat.
        precommits: Vec<(u16, Signature)>,
    },
}

/// Gives signatures to an engine, or refuses to.
pub trait Desk {
    /// Signs a vote.
    fn vote(&mut self, vote: &Vote) -> Result<Signature, Refused>;
    /// Signs a bid.
    fn bid(&mut self, bid: &Bid) -> Result<Signature, Refused>;
}

/// Why an engine got no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It would contradict an earlier one.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// Whoever has the key did not sign.
    #[error(transparent)]
    Signer(#[from] NotSigned),
}

/// Why an engine cannot go on. What it journaled stands; nothing else of the step does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It got no signature.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It panicked.
    #[error("the engine panicked: {0}")]
    Panicked(String),
    /// It found itself in a state that cannot be.
    #[error("the engine failed: {0}")]
    Failed(String),
    /// The journal does not hold what was signed; a lock may be forgotten with it.
    #[error("the journal does not hold everything that was signed at this height")]
    Forgotten,
    /// Others have what it signed and does not know: its disk is an old one, or its key is at a second
    /// node. What else it signed is not known either.
    #[error("others have what it signed at this height and does not know")]
    Outdated,
}

/// The rounds, votes and locks of one seat at one height. Decides nothing about blocks but which of
/// them; gives the same outputs for the same inputs.
pub trait Ordering: Sized + fmt::Debug {
    /// Starts at round 0, then takes in what an earlier run journaled.
    fn begin(
        electorate: &Electorate,
        seat: u16,
        journal: &[Entry],
        desk: &mut dyn Desk,
    ) -> Result<(Self, Vec<Output>), Broken>;

    /// Takes one input to its end.
    fn step(&mut self, input: Input, desk: &mut dyn Desk) -> Result<Vec<Output>, Broken>;

    /// The round that the seat is in.
    fn round(&self) -> u32;
}
