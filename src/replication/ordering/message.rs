//! `Message`: what anchors of a scope tell each other about one height; and what convicts a liar.

use crate::base::canonical::{Canonical, DecodeError, Decoder, Encoder, Form};
use crate::base::digest::Digest;
use crate::governance::certificate::{Certificate, Vote};
use crate::namespace::scope::ScopeUid;

use super::certificates::{PrevoteCertificate, RoundCertificate};
use super::statement::{Bid, BySeat, SeatSigned, Tender};

/// One thing about one height. Anybody may carry it; each is checked by whoever takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A block that a round decides on.
    Bid(SeatSigned<Bid>, Tender),
    /// A vote.
    Vote(SeatSigned<Vote>),
    /// A quorum of prevotes.
    Prevotes(PrevoteCertificate),
    /// The reason to enter a round.
    Round(RoundCertificate),
    /// The block and its certificate; nothing else about the height matters any more.
    Decided(Tender, Certificate),
}

impl Message {
    /// The height that it is about.
    pub fn height(&self) -> u64 {
        match self {
            Self::Bid(bid, _) => bid.object.height,
            Self::Vote(vote) => vote.object.height,
            Self::Prevotes(certificate) => certificate.height,
            Self::Round(certificate) => certificate.height,
            Self::Decided(_, certificate) => certificate.height,
        }
    }

    /// How many signatures have to be checked to know whether it is what it claims to be.
    pub fn signature_count(&self) -> usize {
        let count = match self {
            Self::Bid(..) | Self::Vote(_) => 1,
            Self::Prevotes(certificate) => certificate.signatures.len(),
            Self::Round(certificate) => certificate.votes.len(),
            Self::Decided(_, certificate) => certificate.signatures.len(),
        };
        count.max(1)
    }
}

impl Canonical for Message {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Bid(bid, tender) => {
                out.u8(0);
                bid.encode(out);
                tender.encode(out);
            }
            Self::Vote(vote) => {
                out.u8(1);
                vote.encode(out);
            }
            Self::Prevotes(certificate) => {
                out.u8(2);
                certificate.encode(out);
            }
            Self::Round(certificate) => {
                out.u8(3);
                certificate.encode(out);
            }
            Self::Decided(tender, certificate) => {
                out.u8(4);
                tender.encode(out);
                certificate.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let other = DecodeError::NotCanonical { what: "message" };
        match input.u8()? {
            0 => {
                let (bid, tender) = (SeatSigned::<Bid>::decode(input)?, Tender::decode(input)?);
                let same = bid.object.block == tender.digest();
                same.then_some(Self::Bid(bid, tender)).ok_or(other)
            }
            1 => SeatSigned::decode(input).map(Self::Vote),
            2 => PrevoteCertificate::decode(input).map(Self::Prevotes),
            3 => RoundCertificate::decode(input).map(Self::Round),
            4 => {
                let (tender, certificate) = (Tender::decode(input)?, Certificate::decode(input)?);
                let same = certificate.block == tender.digest();
                same.then_some(Self::Decided(tender, certificate))
                    .ok_or(other)
            }
            tag => Err(DecodeError::Tag {
                what: "message",
                tag,
            }),
        }
    }
}

impl Form for Message {
    const LABEL: &'static str = "kedge/ordering";
}

/// Two signatures that no honest anchor gives both. It holds by itself, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// Two votes of one step of one round.
    Votes(SeatSigned<Vote>, SeatSigned<Vote>),
    /// Two blocks of one round.
    Bids(SeatSigned<Bid>, SeatSigned<Bid>),
}

impl Evidence {
    /// Whether the two contradict each other; their signatures are checked by the electorate of
    /// their height.
    pub fn contradicts(&self) -> bool {
        fn same<T: BySeat + PartialEq>(one: &T, other: &T) -> bool {
            let of = |object: &T| (object.place(), object.round(), object.anchor());
            of(one) == of(other) && one != other
        }
        match self {
            Self::Votes(one, other) => {
                one.object.step == other.object.step && same(&one.object, &other.object)
            }
            Self::Bids(one, other) => same(&one.object, &other.object),
        }
    }

    /// The scope and height that it is about.
    pub fn place(&self) -> (ScopeUid, Digest, u64) {
        match self {
            Self::Votes(vote, _) => vote.object.place(),
            Self::Bids(bid, _) => bid.object.place(),
        }
    }
}

impl Canonical for Evidence {
    fn encode(&self, out: &mut Encoder) {
        match self {
            Self::Votes(one, other) => {
                out.u8(0);
                one.encode(out);
                other.encode(out);
            }
            Self::Bids(one, other) => {
                out.u8(1);
                one.encode(out);
                other.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let evidence = match input.u8()? {
            0 => Self::Votes(SeatSigned::decode(input)?, SeatSigned::decode(input)?),
            1 => Self::Bids(SeatSigned::decode(input)?, SeatSigned::decode(input)?),
            tag => {
                return Err(DecodeError::Tag {
                    what: "evidence",
                    tag,
                });
            }
        };
        let other = DecodeError::NotCanonical { what: "evidence" };
        evidence.contradicts().then_some(evidence).ok_or(other)
    }
}

impl Form for Evidence {
    const LABEL: &'static str = "kedge/evidence";
}
