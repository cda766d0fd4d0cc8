//! `Offer`: a child scope that one node is ready to govern, for another node's scope to delegate to.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::limits::{ANCHORS_MAX, OFFER_TEXT_BYTES_MAX};
use crate::base::text_form::TextForm;
use crate::namespace::scope::ScopeUid;

use super::anchor::SeatSignature;
use super::descriptor::Descriptor;

/// The genesis of a child scope, accepted by the anchors that will govern it. It names its parent,
/// so it is of no use anywhere else; it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The genesis.
    child: Descriptor,
    /// The acceptance of a quorum of its seats.
    seats: Vec<SeatSignature>,
}

/// Why a descriptor is no offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOffer {
    /// Its descriptor is no genesis of a child.
    #[error("it offers no new child scope")]
    NoChild,
    /// A quorum of its anchors did not accept their seats.
    #[error("its anchors did not accept their seats")]
    Seats,
}

impl Offer {
    /// Checks that the descriptor founds a child scope and that its anchors accepted.
    pub fn new(child: Descriptor, seats: Vec<SeatSignature>) -> Result<Self, BadOffer> {
        if (child.scope, child.epoch) != (None, 0) || child.parent.is_none() {
            return Err(BadOffer::NoChild);
        }
        if !child.seats_accepted(&seats) {
            return Err(BadOffer::Seats);
        }
        Ok(Self { child, seats })
    }

    /// The scope that is offered.
    pub fn scope_uid(&self) -> ScopeUid {
        self.child.scope_uid()
    }

    /// The scope it is offered to.
    pub fn parent(&self) -> Option<ScopeUid> {
        self.child.parent
    }

    /// Gives the genesis and the acceptance of its seats.
    pub fn into_parts(self) -> (Descriptor, Vec<SeatSignature>) {
        (self.child, self.seats)
    }
}

impl Canonical for Offer {
    fn encode(&self, out: &mut Encoder) {
        self.child.encode(out);
        out.list(&self.seats);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let child = Descriptor::decode(input)?;
        let seats = input.list("seats", ANCHORS_MAX)?;
        Self::new(child, seats).map_err(|_| DecodeError::NotCanonical { what: "offer" })
    }
}

impl Form for Offer {
    const LABEL: &'static str = "kedge/offer";
    const VERSION: u8 = 2;
}

impl TextForm for Offer {
    const PREFIX: &'static str = "kedge-offer-1:";
    const TEXT_BYTES_MAX: usize = OFFER_TEXT_BYTES_MAX;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::base::keys::SecretKey;
    use crate::base::text_form::BadText;
    use crate::governance::anchor::{Anchor, AnchorGroup};
    use crate::governance::policy::Policy;

    fn child(parent: Option<ScopeUid>) -> (SecretKey, Descriptor) {
        let key = SecretKey::from_seed(&[7; 32]);
        let anchors = AnchorGroup::new(vec![Anchor::new(key.public(), "us")]).unwrap();
        let child = Descriptor::genesis(parent, [9; 16], anchors, Policy::default());
        (key, child)
    }

    fn parent() -> ScopeUid {
        ScopeUid::new(Digest::of_bytes("parent", b""))
    }

    #[test]
    fn an_offer_comes_back_from_its_text() {
        let (key, child) = child(Some(parent()));
        let seats = child.accept_seats([&key]).unwrap();
        let offer = Offer::new(child.clone(), seats.clone()).unwrap();
        let text = format!(" {}\n", offer.to_text());
        let read = Offer::from_text(&text).unwrap();
        assert_eq!(read, offer);
        assert_eq!(
            (read.scope_uid(), read.parent()),
            (child.scope_uid(), Some(parent()))
        );
        assert_eq!(read.into_parts(), (child, seats));
    }

    #[test]
    fn what_no_anchor_accepted_or_no_parent_has_is_refused() {
        let (key, orphan) = child(None);
        let seats = orphan.accept_seats([&key]).unwrap();
        assert_eq!(Offer::new(orphan, seats), Err(BadOffer::NoChild));
        let (key, accepted) = child(Some(parent()));
        assert_eq!(
            Offer::new(accepted.clone(), Vec::new()),
            Err(BadOffer::Seats)
        );
        let other = Descriptor {
            salt: [8; 16],
            ..accepted.clone()
        };
        let seats = other.accept_seats([&key]).unwrap();
        assert_eq!(
            Offer::new(accepted.clone(), seats.clone()),
            Err(BadOffer::Seats)
        );
        let later = Descriptor {
            epoch: 1,
            ..accepted.clone()
        };
        assert_eq!(Offer::new(later, seats.clone()), Err(BadOffer::NoChild));
        // The same through its bytes: a forged offer does not even decode.
        let forged = Offer {
            child: accepted,
            seats,
        };
        let error = DecodeError::NotCanonical { what: "offer" };
        assert_eq!(
            Offer::from_text(&forged.to_text()),
            Err(BadText::Form(error))
        );
    }

    #[test]
    fn text_that_is_no_offer_says_so() {
        let (prefix, long) = (Offer::PREFIX, "A".repeat(OFFER_TEXT_BYTES_MAX + 1));
        for text in [
            "",
            "kedge-offer-1",
            "kedge-offer-1:*",
            "kedge-offer-2:AAAA",
            &format!("{prefix}{long}"),
        ] {
            let read = Offer::from_text(text);
            assert_eq!(read, Err(BadText::Text { prefix }), "{text:.40}");
        }
        let cut = Offer::from_text("kedge-offer-1:AAAA");
        assert!(matches!(cut, Err(BadText::Form(_))), "{cut:?}");
    }
}
