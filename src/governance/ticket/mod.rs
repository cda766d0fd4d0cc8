//! `Ticket`: an anchor invites another node to a seat of its scope, in one line of text.

use std::net::{IpAddr, SocketAddr};

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::keys::{PublicKey, Signature};
use crate::base::limits::{
    NOTE_BYTES_MAX, PEER_ADDRESSES_MAX, REGION_BYTES_MAX, TICKET_TEXT_BYTES_MAX,
};
use crate::base::signed::{Authored, Signed, Verified};
use crate::base::text_form::TextForm;
use crate::base::time::Timestamp;
use crate::namespace::name::Name;
use crate::namespace::scope::ScopeUid;

use super::anchor::{Anchor, AnchorGroup, BadAnchorGroup};
use super::descriptor::Descriptor;
use super::op::{Op, Precondition};
use super::proposal::Proposal;

/// What an anchor offers, and to whom. The proposal of the seat follows from it and the scope as it
/// stood, so that it need not travel along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The apex above the scope.
    pub apex: Name,
    /// The scope at the apex, from which everything below is proven.
    pub genesis: ScopeUid,
    /// The scope's name.
    pub name: Name,
    /// The scope.
    pub scope: ScopeUid,
    /// The epoch of the scope in which it is offered; in another one it is void.
    pub epoch: u64,
    /// The node that invites, by its key among nodes.
    pub host: PublicKey,
    /// Where it listens for peers; nowhere, if it dials the other.
    pub addresses: Vec<SocketAddr>,
    /// The node that is invited, by its key among nodes.
    pub guest: PublicKey,
    /// The key that it will vote with.
    pub vote_key: PublicKey,
    /// The weight of the seat.
    pub weight: u32,
    /// Where the new anchor runs.
    pub region: String,
    /// Who runs it.
    pub organisation: String,
    /// The anchor that invites, by its vote key.
    pub author: PublicKey,
    /// Makes two otherwise equal tickets two.
    pub nonce: u64,
    /// When it was made.
    pub made: Timestamp,
    /// Until when it counts.
    pub not_after: Timestamp,
    /// Why, in the author's words.
    pub note: String,
}

/// Terms, and the author's signature under the proposal that follows from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The terms.
    pub terms: Terms,
    /// The signature under [`Terms::proposal`].
    pub consent: Signature,
}

/// A signed invitation. It holds no secret: only the node that it names can use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    signed: Signed<Invitation>,
}

/// Why a ticket gives no seat.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketRefusal {
    /// Somebody changed or made it who has not the anchor's key.
    #[error("the ticket is not signed by the anchor that it names, {0}")]
    Forged(PublicKey),
    /// It is for another node.
    #[error("the ticket is for node {guest}; this is {here}")]
    OtherNode {
        /// The node that it names.
        guest: PublicKey,
        /// This node.
        here: PublicKey,
    },
    /// Its time is over.
    #[error("the ticket ended at {not_after}; it is {now} here")]
    Expired {
        /// When it ended.
        not_after: Timestamp,
        /// The time here.
        now: Timestamp,
    },
    /// This node cannot vote with the key that it names.
    #[error("the ticket is for key {0}, which this node does not hold")]
    NoKey(PublicKey),
    /// The apex or the scope is not the one that is held here by that name.
    #[error("{name} is scope {here} here; the ticket says {there}")]
    OtherScope {
        /// The name.
        name: Name,
        /// What it is here.
        here: ScopeUid,
        /// What it is by the ticket.
        there: ScopeUid,
    },
    /// The seat is there already.
    #[error("the ticket was used: key {0} has its seat")]
    Used(PublicKey),
    /// The scope is governed otherwise than when it was made.
    #[error("the ticket is of epoch {said}, and the scope is in epoch {is} by now")]
    Outdated {
        /// The epoch that it names.
        said: u64,
        /// The epoch of the scope.
        is: u64,
    },
    /// Its author decides nothing in the scope.
    #[error("the ticket is signed by key {0}, which has no seat in the scope")]
    Stranger(PublicKey),
    /// The seat does not fit the anchors.
    #[error("the seat that the ticket offers does not fit: {0}")]
    Group(#[from] BadAnchorGroup),
}

impl Terms {
    /// The seat that is offered.
    pub fn seat(&self) -> Anchor {
        Anchor {
            nodes: vec![self.guest],
            weight: self.weight,
            organisation: self.organisation.clone(),
            ..Anchor::new(self.vote_key, &self.region)
        }
    }

    /// The proposal that gives the seat, for a scope as it stands.
    pub fn proposal(&self, now: &Descriptor) -> Result<Proposal, BadAnchorGroup> {
        let mut anchors = now.anchors.anchors().to_vec();
        anchors.push(self.seat());
        let next = Descriptor {
            scope: Some(self.scope),
            epoch: now.epoch + 1,
            anchors: AnchorGroup::new(anchors)?,
            ..now.clone()
        };
        let ops = vec![Op::Reconfigure {
            next: Box::new(next),
        }];
        Ok(Proposal {
            scope: self.scope,
            class: Proposal::class_of(&ops),
            ops,
            preconditions: vec![Precondition::EpochIs(now.epoch)],
            author: self.author,
            nonce: self.nonce,
            made: self.made,
            not_after: self.not_after,
            note: self.note.clone(),
        })
    }
}

impl Invitation {
    /// The signed proposal, if the scope stands where the invitation was made and its author has a
    /// say there.
    pub fn proposal(&self, now: &Descriptor) -> Result<Verified<Proposal>, TicketRefusal> {
        let terms = &self.terms;
        if now.anchors.seat_of(&terms.vote_key).is_some() {
            return Err(TicketRefusal::Used(terms.vote_key));
        }
        if now.epoch != terms.epoch {
            return Err(TicketRefusal::Outdated {
                said: terms.epoch,
                is: now.epoch,
            });
        }
        if now.anchors.seat_of(&terms.author).is_none() {
            return Err(TicketRefusal::Stranger(terms.author));
        }
        let signed = Signed::of_parts(terms.proposal(now)?, self.consent);
        signed
            .verify()
            .map_err(|_| TicketRefusal::Forged(terms.author))
    }
}

impl Ticket {
    /// A ticket of a signed invitation.
    pub const fn new(signed: Signed<Invitation>) -> Self {
        Self { signed }
    }

    /// What is offered; nobody checked it yet.
    pub fn unverified(&self) -> &Terms {
        &self.signed.unverified().terms
    }

    /// What is offered to a node, if it is offered to this one, in earnest and still.
    pub fn open(self, here: &PublicKey, now: Timestamp) -> Result<Invitation, TicketRefusal> {
        let author = self.unverified().author;
        let verified = self.signed.verify();
        let verified = verified.map_err(|_| TicketRefusal::Forged(author))?;
        let invitation = verified.object();
        let (guest, not_after) = (invitation.terms.guest, invitation.terms.not_after);
        if guest != *here {
            return Err(TicketRefusal::OtherNode { guest, here: *here });
        }
        if now > not_after {
            return Err(TicketRefusal::Expired { not_after, now });
        }
        Ok(invitation.clone())
    }
}

/// An address as bytes: the family, the address, the port.
struct Reached(SocketAddr);

impl Canonical for Reached {
    fn encode(&self, out: &mut Encoder) {
        self.0.ip().encode(out);
        out.u16(self.0.port());
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let address = IpAddr::decode(input)?;
        Ok(Self(SocketAddr::new(address, input.u16()?)))
    }
}

impl Canonical for Terms {
    fn encode(&self, out: &mut Encoder) {
        self.apex.encode(out);
        self.genesis.encode(out);
        self.name.encode(out);
        self.scope.encode(out);
        out.u64(self.epoch);
        self.host.encode(out);
        let addresses: Vec<Reached> = self.addresses.iter().copied().map(Reached).collect();
        out.list(&addresses);
        self.guest.encode(out);
        self.vote_key.encode(out);
        out.u32(self.weight);
        out.text(&self.region);
        out.text(&self.organisation);
        self.author.encode(out);
        out.u64(self.nonce);
        self.made.encode(out);
        self.not_after.encode(out);
        out.text(&self.note);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let apex = Name::decode(input)?;
        let genesis = ScopeUid::decode(input)?;
        let name = Name::decode(input)?;
        if !name.is_within(&apex) {
            return Err(DecodeError::NotCanonical {
                what: "scope of a ticket",
            });
        }
        Ok(Self {
            apex,
            genesis,
            name,
            scope: ScopeUid::decode(input)?,
            epoch: input.u64()?,
            host: PublicKey::decode(input)?,
            addresses: {
                let reached: Vec<Reached> = input.list("addresses", PEER_ADDRESSES_MAX)?;
                reached
                    .into_iter()
                    .map(|Reached(address)| address)
                    .collect()
            },
            guest: PublicKey::decode(input)?,
            vote_key: PublicKey::decode(input)?,
            weight: input.u32()?,
            region: input.text("region", REGION_BYTES_MAX)?,
            organisation: input.text("organisation", REGION_BYTES_MAX)?,
            author: PublicKey::decode(input)?,
            nonce: input.u64()?,
            made: Timestamp::decode(input)?,
            not_after: Timestamp::decode(input)?,
            note: input.text("note", NOTE_BYTES_MAX)?,
        })
    }
}

impl Canonical for Invitation {
    fn encode(&self, out: &mut Encoder) {
        self.terms.encode(out);
        self.consent.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            terms: Terms::decode(input)?,
            consent: Signature::decode(input)?,
        })
    }
}

impl Form for Invitation {
    const LABEL: &'static str = "kedge/invitation";
}

impl Authored for Invitation {
    fn signer(&self) -> PublicKey {
        self.terms.author
    }
}

impl Canonical for Ticket {
    fn encode(&self, out: &mut Encoder) {
        self.signed.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Signed::decode(input).map(Self::new)
    }
}

impl Form for Ticket {
    const LABEL: &'static str = "kedge/ticket";
}

impl TextForm for Ticket {
    const PREFIX: &'static str = "kedge-ticket-1:";
    const TEXT_BYTES_MAX: usize = TICKET_TEXT_BYTES_MAX;
}

#[cfg(test)]
mod tests;
