//! `Offer`: a child scope that one node is ready to govern, for another node's scope to delegate to.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::limits::{ANCHORS_MAX, OFFER_TEXT_BYTES_MAX};
use crate::namespace::scope::ScopeUid;

use super::anchor::SeatSignature;
use super::descriptor::Descriptor;

/// Before the encoded bytes, so that a person sees what it is.
const TEXT_PREFIX: &str = "kedge-offer-1:";

/// The genesis of a child scope, accepted by the anchors that will govern it. It names its parent,
/// so it is of no use anywhere else; it holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The genesis.
    child: Descriptor,
    /// The acceptance of a quorum of its seats.
    seats: Vec<SeatSignature>,
}

/// Text that is no offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOffer {
    /// Not the text of an offer.
    #[error("expected {TEXT_PREFIX} and base64url")]
    Text,
    /// The bytes are no offer.
    #[error("the offer does not decode: {0}")]
    Form(#[from] DecodeError),
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
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TEXT_PREFIX)?;
        f.write_str(&BASE64URL_NOPAD.encode(&self.to_bytes()))
    }
}

impl FromStr for Offer {
    type Err = BadOffer;

    fn from_str(text: &str) -> Result<Self, BadOffer> {
        let encoded = text.trim().strip_prefix(TEXT_PREFIX);
        let encoded = encoded.filter(|encoded| encoded.len() <= OFFER_TEXT_BYTES_MAX);
        let bytes = encoded.and_then(|encoded| BASE64URL_NOPAD.decode(encoded.as_bytes()).ok());
        Ok(Self::from_bytes(&bytes.ok_or(BadOffer::Text)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::base::keys::SecretKey;
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
        let seats = child.accept_seats([&key]);
        let offer = Offer::new(child.clone(), seats.clone()).unwrap();
        let text = format!(" {offer}\n");
        let read: Offer = text.parse().unwrap();
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
        let seats = orphan.accept_seats([&key]);
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
        let seats = other.accept_seats([&key]);
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
            forged.to_string().parse::<Offer>(),
            Err(BadOffer::Form(error))
        );
    }

    #[test]
    fn text_that_is_no_offer_says_so() {
        let long = format!("{TEXT_PREFIX}{}", "A".repeat(OFFER_TEXT_BYTES_MAX + 1));
        for text in [
            "",
            "kedge-offer-1",
            "kedge-offer-1:*",
            "kedge-offer-2:AAAA",
            &long,
        ] {
            assert_eq!(text.parse::<Offer>(), Err(BadOffer::Text), "{text:.40}");
        }
        let cut = "kedge-offer-1:AAAA".parse::<Offer>();
        assert!(matches!(cut, Err(BadOffer::Form(_))), "{cut:?}");
    }
}
