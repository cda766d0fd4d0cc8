//! `Malachite`: the engine that is used. It is told only what was checked, signs nothing itself and
//! is never asked about a height again once it panicked.

mod context;
mod translate;

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arc_malachitebft_core_consensus as consensus;
use arc_malachitebft_core_types as types;
use consensus::{
    Effect, Input as EngineInput, LivenessMsg, LocallyProposedValue, Params, Resumable, Resume,
    SignedConsensusMsg, process,
};
use types::{
    Round, SignedMessage, ThresholdParam, ThresholdParams, ValuePayload, VoteExtensionPolicy,
};

use crate::base::keys::Signature;
use crate::governance::policy::Quorum;

use self::context::{BlockId, Height, Rounds, Seat, Sig, Voters};
use self::translate::{
    bid_in, bid_out, entry_in, entry_out, judged_in, prevotes_in, prevotes_out, round_in,
    round_out, signed_bid_out, signed_vote_out, timer_in, timer_out, vote_in, vote_out,
};
use super::electorate::Electorate;
use super::engine::{Broken, Desk, Input, Ordering, Output, Refused};
use super::journal::Entry;

/// Inputs of other heights that the engine would keep; it is given none.
const QUEUED_MAX: usize = 1;

/// One seat at one height.
pub struct Malachite {
    electorate: Arc<Electorate>,
    voters: Voters,
    state: consensus::State<Rounds>,
}

impl Ordering for Malachite {
    fn begin(
        electorate: &Electorate,
        seat: u16,
        journal: &[Entry],
        desk: &mut dyn Desk,
    ) -> Result<(Self, Vec<Output>), Broken> {
        let electorate = Arc::new(electorate.clone());
        let nobody = || Broken::Failed("nobody votes".to_owned());
        let voters = Voters::of(&electorate).ok_or_else(nobody)?;
        let height = Height(electorate.height);
        let params = Params {
            address: Seat(seat),
            threshold_params: thresholds(electorate.quorum),
            // A bid names a block; whether it may be decided is said apart from it.
            value_payload: ValuePayload::ProposalAndParts,
            enabled: true,
        };
        let context = Rounds {
            electorate: Arc::clone(&electorate),
        };
        let state = consensus::State::new(
            context,
            height,
            voters.clone(),
            params,
            QUEUED_MAX,
            QUEUED_MAX,
        );
        let mut engine = Self {
            electorate,
            voters,
            state,
        };
        let outputs = engine.replay(journal, desk)?;
        Ok((engine, outputs))
    }

    fn step(&mut self, input: Input, desk: &mut dyn Desk) -> Result<Vec<Output>, Broken> {
        let electorate = &self.electorate;
        let input = match input {
            Input::Propose(round, block) => EngineInput::Propose(LocallyProposedValue::new(
                Height(electorate.height),
                Round::new(round),
                BlockId(block),
            )),
            Input::Bid(bid) => EngineInput::Proposal(known(bid_in(electorate, bid.said()))?),
            Input::Judged(judged) => judged_in(electorate, &judged),
            Input::Vote(vote) => EngineInput::Vote(known(vote_in(electorate, vote.said()))?),
            Input::Prevotes(prevotes) => EngineInput::PolkaCertificate(prevotes_in(&prevotes)),
            Input::Round(round) => EngineInput::RoundCertificate(round_in(&round)),
            Input::TimedOut(timer) => EngineInput::TimeoutElapsed(timer_in(timer)),
        };
        self.run(input, &[], desk)
    }

    fn round(&self) -> u32 {
        self.state.round().as_u32().unwrap_or_default()
    }
}

fn known<T>(statement: Option<T>) -> Result<T, Broken> {
    statement.ok_or_else(|| Broken::Failed("a checked statement is of no seat".to_owned()))
}

fn thresholds(quorum: Quorum) -> ThresholdParams {
    match quorum {
        Quorum::Bft => ThresholdParams {
            quorum: ThresholdParam::TWO_F_PLUS_ONE,
            honest: ThresholdParam::F_PLUS_ONE,
        },
        // Nobody lies, so any vote of a later round is reason enough to follow.
        Quorum::Majority => ThresholdParams {
            quorum: ThresholdParam::new(1, 2),
            honest: ThresholdParam::new(0, 1),
        },
    }
}

impl Malachite {
    fn replay(&mut self, journal: &[Entry], desk: &mut dyn Desk) -> Result<Vec<Output>, Broken> {
        let inputs = journal
            .iter()
            .map(|entry| entry_in(&self.electorate, entry));
        let inputs: Option<Vec<_>> = inputs.collect();
        let inputs = known(inputs)?;
        self.state.index_wal_entries(&inputs);
        let start = EngineInput::StartHeight(
            Height(self.electorate.height),
            self.voters.clone(),
            false,
            None,
            VoteExtensionPolicy::Disabled,
        );
        let mut outputs = self.run(start, journal, desk)?;
        for input in inputs {
            outputs.extend(self.run(input, journal, desk)?);
        }
        self.state.reset_entries_index();
        Ok(outputs)
    }

    /// Takes one input to its end. What is in `journaled` is not journaled again.
    fn run(
        &mut self,
        input: EngineInput<Rounds>,
        journaled: &[Entry],
        desk: &mut dyn Desk,
    ) -> Result<Vec<Output>, Broken> {
        let mut run = Run {
            electorate: &self.electorate,
            journaled,
            desk,
            outputs: Vec::new(),
            refused: None,
        };
        let state = &mut self.state;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let result: Result<(), consensus::Error<Rounds>> = process!(
                input: input,
                state: state,
                metrics: &(),
                with: effect => Ok::<_, Infallible>(run.effect(effect))
            );
            result.map_err(|error| error.to_string())
        }));
        match (result, run.refused) {
            (Err(panic), _) => Err(Broken::Panicked(words(panic.as_ref()))),
            (Ok(_), Some(refused)) => Err(refused.into()),
            (Ok(Err(error)), None) => Err(Broken::Failed(error)),
            (Ok(Ok(())), None) => Ok(run.outputs),
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it gave no reason").to_owned()
}

/// What happens while one input is taken to its end.
struct Run<'a> {
    electorate: &'a Electorate,
    journaled: &'a [Entry],
    desk: &'a mut dyn Desk,
    outputs: Vec<Output>,
    refused: Option<Refused>,
}

impl Run<'_> {
    /// Without a signature the engine is resumed with nothing, which ends the run with an error.
    fn effect(&mut self, effect: Effect<Rounds>) -> Resume<Rounds> {
        match effect {
            Effect::SignVote(vote, resume) => {
                let object = vote_out(self.electorate, &vote);
                let signed = object.map(|object| self.desk.vote(&object));
                match self.signature(signed) {
                    Some(signature) => resume.resume_with(SignedMessage::new(vote, signature)),
                    None => Resume::Continue,
                }
            }
            Effect::SignProposal(bid, resume) => {
                let object = bid_out(self.electorate, &bid);
                let signed = object.map(|object| self.desk.bid(&object));
                match self.signature(signed) {
                    Some(signature) => resume.resume_with(SignedMessage::new(bid, signature)),
                    None => Resume::Continue,
                }
            }
            // It is told only what was checked, and what it decides is checked again.
            Effect::VerifySignature(_, _, resume) => resume.resume_with(true),
            Effect::VerifyCommitCertificate(_, _, _, resume)
            | Effect::VerifyExtendedCommitCertificate(_, _, _, _, resume)
            | Effect::VerifyPolkaCertificate(_, _, _, resume)
            | Effect::VerifyRoundCertificate(_, _, _, resume) => resume.resume_with(Ok(())),
            Effect::ExtendVote(_, _, _, _, resume) => resume.resume_with(None),
            Effect::VerifyVoteExtension(_, _, _, _, _, _, resume) => resume.resume_with(Ok(())),
            Effect::WalAppend(_, input, _) => {
                self.journal(&input);
                Resume::Continue
            }
            said => {
                let output = self.said(said);
                self.outputs.extend(output);
                Resume::Continue
            }
        }
    }

    fn signature(&mut self, signed: Option<Result<Signature, Refused>>) -> Option<Sig> {
        match signed? {
            Ok(signature) => Some(Sig(signature)),
            Err(refused) => {
                self.refused = Some(refused);
                None
            }
        }
    }

    fn journal(&mut self, input: &EngineInput<Rounds>) {
        let entry = entry_out(self.electorate, input);
        let new = entry.filter(|entry| !self.journaled.contains(entry));
        self.outputs.extend(new.map(Output::Journal));
    }

    /// What effects that need no answer mean for others.
    fn said(&self, effect: Effect<Rounds>) -> Option<Output> {
        let seats = self.electorate;
        match effect {
            Effect::CancelAllTimeouts(_) => Some(Output::StopAll),
            Effect::CancelTimeout(timeout, _) => timer_out(&timeout).map(Output::Stop),
            Effect::ScheduleTimeout(timeout, _) => timer_out(&timeout).map(Output::Start),
            Effect::PublishConsensusMsg(SignedConsensusMsg::Proposal(bid), _) => {
                signed_bid_out(seats, &bid).map(Output::Bid)
            }
            Effect::PublishConsensusMsg(SignedConsensusMsg::Vote(vote), _)
            | Effect::PublishLivenessMsg(LivenessMsg::Vote(vote), _)
            | Effect::RepublishVote(vote, _) => signed_vote_out(seats, &vote).map(Output::Vote),
            Effect::PublishLivenessMsg(LivenessMsg::PolkaCertificate(polka), _) => {
                prevotes_out(&polka).map(Output::Prevotes)
            }
            Effect::PublishLivenessMsg(LivenessMsg::SkipRoundCertificate(round), _)
            | Effect::RepublishRoundCertificate(round, _) => round_out(&round).map(Output::Round),
            Effect::GetValue(_, round, _, _) => round.as_u32().map(Output::Wanted),
            Effect::Decide(certificate, _, _) => Some(Output::Decided {
                round: certificate.round.as_u32()?,
                block: certificate.value_id.0,
                precommits: certificate
                    .commit_signatures
                    .iter()
                    .map(|signed| (signed.address.0, signed.signature.0))
                    .collect(),
            }),
            // The block goes along with its bid, and nothing follows a decision here.
            _ => None,
        }
    }
}

impl fmt::Debug for Malachite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Malachite")
            .field("height", &self.electorate.height)
            .field("round", &self.state.driver.round_state())
            .finish_non_exhaustive()
    }
}
