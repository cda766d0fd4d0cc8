//! What bodies and queries are about.

use crate::base::canonical::{Canonical, Decoder};
use crate::base::signed::Signed;
use crate::base::text_form::TextForm as _;
use crate::governance::approval::Approval;
use crate::governance::device::DeviceProof;
use crate::governance::lease::Lease;
use crate::governance::proposal::Proposal;
use crate::governance::withdrawal::Withdrawal;
use crate::namespace::name::Name;
use crate::service::changes::Wanted;
use crate::service::ports::Parts;

use super::super::audited::RecordsQuery;
use super::super::proposals::{read_draft, read_signed};
use super::super::render::bad_value;
use super::super::routes::{Api, ExplainQuery};
use super::super::status::Failure;
use super::super::wire::{
    NewScopeBody, OfferBody, PutBody, RenameBody, RetireBody, TagBody, UndoBody,
};
use super::super::wire_devices::{ChallengeBody, EnrolBody, ProofBody, RenewBody};
use super::super::wire_government::{AnchorsBody, GrantsBody, PolicyBody};
use super::super::wire_leases::{AnnounceBody, LeaveBody};
use super::super::wire_moves::BringBody;
use super::super::wire_peers::{JoinBody, MirrorBody, SeatKeyBody};
use super::super::wire_proposals::{DraftBody, SignedBody, VoteBody};
use super::super::wire_recoveries::{
    AnnounceRecoveryBody, ChildBody, RecoveryDelayBody, RecoveryOfferBody,
};
use super::super::wire_tokens::NewTokenBody;
use super::super::{lineage, names, past, scopes};
use super::about::{by_name, by_scope_uid};
use super::{About, Touched, nothing};

nothing!(PutBody, RetireBody, UndoBody, TagBody, VoteBody, BringBody);
nothing!(EnrolBody, RenewBody);
nothing!(AnnounceBody, LeaveBody);
nothing!(PolicyBody, GrantsBody, AnchorsBody);
// What they name lies directly below the scope of the path.
nothing!(AnnounceRecoveryBody, ChildBody, RecoveryDelayBody);
nothing!(past::GetQuery, past::DiffQuery, names::HistoryQuery);
nothing!(scopes::LogQuery, lineage::ExportQuery);

impl<P: Parts> About<P> for NewTokenBody {
    fn about(&self, _: &Api<P>) -> Result<Touched, Failure> {
        Ok(Touched::Node)
    }
}

impl<P: Parts> About<P> for RenameBody {
    fn about(&self, _: &Api<P>) -> Result<Touched, Failure> {
        by_name(&self.to)
    }
}

impl<P: Parts> About<P> for NewScopeBody {
    fn about(&self, _: &Api<P>) -> Result<Touched, Failure> {
        // A new tree is the node's to serve.
        if self.apex {
            return Ok(Touched::Node);
        }
        by_name(&self.name)
    }
}

impl<P: Parts> About<P> for OfferBody {
    fn about(&self, _: &Api<P>) -> Result<Touched, Failure> {
        by_name(&self.name)
    }
}

impl<P: Parts> About<P> for RecoveryOfferBody {
    fn about(&self, _: &Api<P>) -> Result<Touched, Failure> {
        by_name(&self.name)
    }
}

impl<P: Parts> About<P> for lineage::ImportQuery {
    fn about(&self, _: &Api<P>) -> Result<Touched, Failure> {
        Ok(if self.apex {
            Touched::Node
        } else {
            Touched::NOTHING
        })
    }
}

impl<P: Parts> About<P> for MirrorBody {
    fn about(&self, _: &Api<P>) -> Result<Touched, Failure> {
        // A new tree is the node's to serve.
        Ok(match self.genesis {
            Some(_) => Touched::Node,
            None => Touched::NOTHING,
        })
    }
}

impl<P: Parts> About<P> for RecordsQuery {
    fn about(&self, _: &Api<P>) -> Result<Touched, Failure> {
        // They tell of calls about every scope.
        Ok(Touched::Node)
    }
}

impl<P: Parts> About<P> for SeatKeyBody {
    fn about(&self, _: &Api<P>) -> Result<Touched, Failure> {
        by_name(&self.scope)
    }
}

impl<P: Parts> About<P> for JoinBody {
    fn about(&self, _: &Api<P>) -> Result<Touched, Failure> {
        // It brings a peer, and perhaps a new tree.
        Ok(Touched::Node)
    }
}

impl<P: Parts> About<P> for ExplainQuery {
    fn about(&self, api: &Api<P>) -> Result<Touched, Failure> {
        let asked = by_name(&self.name)?;
        let Some(scope) = &self.device else {
            return Ok(asked);
        };
        Ok(asked.and(match scope.parse() {
            Ok(uid) => by_scope_uid(api, &uid)?,
            Err(_) => by_name(scope)?,
        }))
    }
}

impl<P: Parts> About<P> for ChallengeBody {
    fn about(&self, api: &Api<P>) -> Result<Touched, Failure> {
        let scope = self.scope.parse();
        by_scope_uid(api, &scope.map_err(|error| bad_value("scope", &error))?)
    }
}

impl<P: Parts> About<P> for ProofBody {
    fn about(&self, api: &Api<P>) -> Result<Touched, Failure> {
        let proof = DeviceProof::from_text(&self.proof);
        let proof = proof.map_err(|error| bad_value("proof", &error))?;
        by_scope_uid(api, &proof.statement.scope)
    }
}

impl<P: Parts> About<P> for DraftBody {
    fn about(&self, _: &Api<P>) -> Result<Touched, Failure> {
        let (scope, wanted) = read_draft(self)?;
        let mut names: Vec<Name> = Vec::with_capacity(wanted.len());
        for wanted in &wanted {
            let paths = match wanted {
                Wanted::Put(path, _)
                | Wanted::Remove(path, _)
                | Wanted::Retire(path)
                | Wanted::Tag(path, ..) => [path, path],
                Wanted::Rename { from, to, .. } => [from, to],
            };
            for path in paths {
                let name = path.to_name(&scope);
                names.push(name.map_err(|error| Failure::bad(error.to_string(), None))?);
            }
        }
        Ok(Touched::Names(names))
    }
}

pub(super) fn signed_proposal<P: Parts>(api: &Api<P>, bytes: &[u8]) -> Result<Touched, Failure> {
    let mut input = Decoder::new(bytes);
    let signed = Signed::<Proposal>::decode(&mut input);
    let signed = signed.map_err(|error| Failure::bad(error.to_string(), None))?;
    by_scope_uid(api, &signed.unverified().scope)
}

pub(super) fn signed_vote<P: Parts>(api: &Api<P>, body: &SignedBody) -> Result<Touched, Failure> {
    let vote: Signed<Approval> = read_signed("vote", body)?;
    by_scope_uid(api, &vote.unverified().scope)
}

pub(super) fn signed_withdrawal<P: Parts>(
    api: &Api<P>,
    body: &SignedBody,
) -> Result<Touched, Failure> {
    let withdrawal: Signed<Withdrawal> = read_signed("withdrawal", body)?;
    by_scope_uid(api, &withdrawal.unverified().scope)
}

pub(super) fn signed_lease<P: Parts>(api: &Api<P>, body: &SignedBody) -> Result<Touched, Failure> {
    let lease: Signed<Lease> = read_signed("lease", body)?;
    by_scope_uid(api, &lease.unverified().scope)
}
