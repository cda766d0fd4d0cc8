//! Seats that are offered to other nodes by tickets, and seats that this node takes by one.

use std::net::SocketAddr;

use crate::base::keys::{PublicKey, SecretKey, Signer as _};
use crate::base::limits::TICKET_SECS_DEFAULT;
use crate::governance::policy::Class;
use crate::governance::ticket::{Invitation, Terms, Ticket, TicketRefusal};
use crate::index::admission::Candidate;
use crate::index::pending::Pending;
use crate::index::place::{Apex, apex_of};
use crate::index::refusal::Refusal;
use crate::index::state::ScopeState;
use crate::namespace::name::Name;
use crate::service::governor::{Done, Work};
use crate::service::ports::{Clock as _, Parts, Randomness as _};

use super::{Changes, PlanError};

/// A seat for another node.
#[derive(Debug, Clone)]
pub struct Offered {
    /// This node, by its key among nodes, and where it listens for peers.
    pub host: (PublicKey, Vec<SocketAddr>),
    /// The other node, by its key among nodes.
    pub guest: PublicKey,
    /// The key that it will vote with.
    pub vote_key: PublicKey,
    /// The weight of the seat.
    pub weight: u32,
    /// Where the anchor runs.
    pub region: String,
    /// Who runs it.
    pub organisation: String,
    /// How long the ticket counts, in seconds; as long as the policy allows, and at most a day, if
    /// nobody says.
    pub lifetime_secs: Option<u32>,
    /// Why.
    pub note: String,
}

impl<P: Parts> Changes<P> {
    /// Makes a key of this node that a ticket of another node may name.
    pub fn prepare_seat(&self, scope: &Name) -> Result<PublicKey, PlanError> {
        let key = SecretKey::from_seed(&self.randomness.seed());
        let public = key.public();
        self.keep_key(scope, key)?;
        Ok(public)
    }

    /// Proposes a seat for another node, and gives the ticket by which that node takes it.
    pub async fn invite(
        &self,
        apexes: &[Apex],
        scope: &Name,
        offered: Offered,
    ) -> Result<(Ticket, Done), PlanError> {
        let place = self.scope_at(apexes, scope)?;
        let state = &place.scope;
        self.must_be_ours(state)?;
        if offered.guest == offered.host.0 {
            let error =
                "the ticket would be for this node itself; `kedge anchor add` gives it a seat";
            return Err(PlanError::Misdirected(error.to_owned()));
        }
        let apex = apex_of(apexes, scope)
            .ok_or_else(|| PlanError::NoPlace(format!("{scope} is below no apex of this node")))?;
        let seats = self.keyring.seats(&state.descriptor);
        let needed = state.descriptor.quorum_weight();
        let author = seats.first().ok_or(Refusal::Quorum { weight: 0, needed })?;
        let made = state.next_time(self.clock.now());
        let longest = state.descriptor.policy.rule(Class::Governance).expiry_secs;
        let secs = offered.lifetime_secs;
        let secs = secs.unwrap_or_else(|| TICKET_SECS_DEFAULT.min(longest));
        let terms = Terms {
            apex: apex.name.clone(),
            genesis: apex.root,
            name: scope.clone(),
            scope: state.uid,
            epoch: state.descriptor.epoch,
            host: offered.host.0,
            addresses: offered.host.1,
            guest: offered.guest,
            vote_key: offered.vote_key,
            weight: offered.weight,
            region: offered.region,
            organisation: offered.organisation,
            author: author.public(),
            nonce: self.randomness.u64(),
            made,
            not_after: made.plus_millis(u64::from(secs) * 1_000),
            note: offered.note,
        };
        let (ticket, candidate) = self.sign_ticket(state, terms)?;
        let done = self.commit(Work::Decide(Box::new(candidate))).await?;
        Ok((ticket, done))
    }

    /// The ticket, and the proposal that it stands for with the inviting anchor's approval.
    fn sign_ticket(
        &self,
        state: &ScopeState,
        terms: Terms,
    ) -> Result<(Ticket, Candidate), PlanError> {
        let proposal = terms.proposal(&state.descriptor);
        let proposal = proposal.map_err(|error| PlanError::Misdirected(error.to_string()))?;
        let signed = self.keyring.sign(proposal).ok_or(Refusal::NotAuthor)??;
        let consent = *signed.signature();
        let verified = signed.verify();
        let verified = verified.map_err(|_| Refusal::Signature("proposal"))?;
        let candidate = self.with_own_approval(state, Candidate::new(verified))?;
        let invitation = Invitation { terms, consent };
        let signed = self.keyring.sign(invitation).ok_or(Refusal::NotAuthor)??;
        Ok((Ticket::new(signed), candidate))
    }

    /// What a ticket offers, if this node can take it: it is for this node, in earnest and still,
    /// and for a key that is here. Nothing of the scope need be held for that.
    pub fn open_ticket(&self, ticket: Ticket, here: &PublicKey) -> Result<Invitation, PlanError> {
        let invitation = ticket.open(here, self.clock.now())?;
        let key = invitation.terms.vote_key;
        if !self.keyring.holds(&key) {
            return Err(TicketRefusal::NoKey(key).into());
        }
        Ok(invitation)
    }

    /// The proposal of the seat that a ticket offers, with this node's signature that takes it, to be
    /// laid before the anchors of the scope as it is held here.
    pub fn take_seat_of(
        &self,
        state: &ScopeState,
        invitation: &Invitation,
    ) -> Result<Pending, PlanError> {
        let mut candidate = Candidate::new(invitation.proposal(&state.descriptor)?);
        candidate.seats = self.keyring.accept(&candidate.proposal.object().ops)?;
        Ok(Pending::new(&candidate, self.clock.now()))
    }
}
