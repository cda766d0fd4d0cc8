//! Tickets that open, and those that do not.

use proptest::prelude::*;

use super::*;
use crate::base::digest::Digest;
use crate::base::keys::SecretKey;
use crate::base::text_form::BadText;
use crate::governance::policy::Policy;

const MADE: u64 = 1_700_000_000_000;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn scope() -> Descriptor {
    let anchors = AnchorGroup::new(vec![Anchor::new(key(1).public(), "eu")]).unwrap();
    Descriptor::genesis(None, [7; 16], anchors, Policy::default())
}

fn terms() -> Terms {
    Terms {
        apex: "mesh.internal.".parse().unwrap(),
        genesis: ScopeUid::new(Digest::of_bytes("root", b"")),
        name: "eu.mesh.internal.".parse().unwrap(),
        scope: scope().scope_uid(),
        epoch: 0,
        host: key(2).public(),
        addresses: vec![
            "192.0.2.1:5400".parse().unwrap(),
            "[2001:db8::1]:5400".parse().unwrap(),
        ],
        guest: key(3).public(),
        vote_key: key(4).public(),
        weight: 2,
        region: "us".to_owned(),
        organisation: "Example".to_owned(),
        author: key(1).public(),
        nonce: 5,
        made: Timestamp::from_millis(MADE),
        not_after: Timestamp::from_millis(MADE + 1_000),
        note: String::new(),
    }
}

fn invitation(terms: Terms) -> Invitation {
    let proposal = terms.proposal(&scope()).unwrap();
    let consent = *Signed::new(proposal, &key(1)).unwrap().signature();
    Invitation { terms, consent }
}

fn ticket() -> Ticket {
    Ticket::new(Signed::new(invitation(terms()), &key(1)).unwrap())
}

#[test]
fn a_ticket_comes_back_from_its_text_and_gives_the_seat_that_it_offers() {
    let text = format!(" {}\n", ticket().to_text());
    let read = Ticket::from_text(&text).unwrap();
    assert_eq!(read, ticket());
    let now = Timestamp::from_millis(MADE + 1_000);
    let opened = read.open(&key(3).public(), now).unwrap();
    assert_eq!(opened.terms, terms());
    let proposal = opened.proposal(&scope()).unwrap();
    let Some(Op::Reconfigure { next }) = proposal.object().ops.first() else {
        panic!("{proposal:?}");
    };
    let (_, seat) = next.anchors.seat_of(&key(4).public()).unwrap();
    assert_eq!((seat.weight, seat.region.as_str()), (2, "us"));
    assert_eq!(seat.nodes, [key(3).public()]);
}

#[test]
fn another_node_is_refused() {
    let (now, here) = (Timestamp::from_millis(MADE), key(9).public());
    let guest = key(3).public();
    let refused = ticket().open(&here, now);
    assert_eq!(refused, Err(TicketRefusal::OtherNode { guest, here }));
}

#[test]
fn a_ticket_is_refused_after_its_end() {
    let guest = key(3).public();
    let (now, not_after) = (
        Timestamp::from_millis(MADE + 1_001),
        Timestamp::from_millis(MADE + 1_000),
    );
    let refused = ticket().open(&guest, now);
    assert_eq!(refused, Err(TicketRefusal::Expired { not_after, now }));
}

#[test]
fn what_somebody_else_signed_is_forged() {
    let (now, author) = (Timestamp::from_millis(MADE), key(1).public());
    let forged = Ticket::new(Signed::new(invitation(terms()), &key(8)).unwrap());
    let refused = forged.open(&key(3).public(), now);
    assert_eq!(refused, Err(TicketRefusal::Forged(author)));
    // More weight than the anchor consented to, under a signature that holds.
    let heavier = Invitation {
        terms: Terms {
            weight: 9,
            ..terms()
        },
        ..invitation(terms())
    };
    let refused = heavier.proposal(&scope());
    assert!(
        matches!(refused, Err(TicketRefusal::Forged(_))),
        "{refused:?}"
    );
}

#[test]
fn a_scope_that_went_on_gives_no_seat() {
    let invitation = invitation(terms());
    let later = Descriptor {
        scope: Some(scope().scope_uid()),
        epoch: 1,
        ..scope()
    };
    let refused = invitation.proposal(&later).unwrap_err();
    assert_eq!(refused, TicketRefusal::Outdated { said: 0, is: 1 });
    let strangers = AnchorGroup::new(vec![Anchor::new(key(8).public(), "")]).unwrap();
    let other = Descriptor {
        anchors: strangers,
        ..scope()
    };
    let refused = invitation.proposal(&other).unwrap_err();
    assert_eq!(refused, TicketRefusal::Stranger(key(1).public()));
    let seated = AnchorGroup::new(vec![
        Anchor::new(key(1).public(), ""),
        Anchor::new(key(4).public(), ""),
    ]);
    let used = Descriptor {
        anchors: seated.unwrap(),
        ..later
    };
    let refused = invitation.proposal(&used).unwrap_err();
    assert_eq!(refused, TicketRefusal::Used(key(4).public()));
}

#[test]
fn text_that_is_no_ticket_says_so() {
    let prefix = Ticket::PREFIX;
    let long = format!("{prefix}{}", "A".repeat(TICKET_TEXT_BYTES_MAX + 1));
    for text in [
        "",
        "kedge-ticket-1",
        "kedge-ticket-1:*",
        "kedge-ticket-2:AAAA",
        &long,
    ] {
        let read = Ticket::from_text(text);
        assert_eq!(read, Err(BadText::Text { prefix }), "{text:.40}");
    }
    let mut future = ticket().to_bytes();
    // The byte after the label is the version.
    future[1 + Ticket::LABEL.len()] = 2;
    let read = Ticket::from_bytes(&future);
    assert!(
        matches!(read, Err(DecodeError::Version { found: 2, .. })),
        "{read:?}"
    );
    let outside = Terms {
        name: "elsewhere.example.".parse().unwrap(),
        ..terms()
    };
    assert!(Signed::new(invitation(outside), &key(1)).is_err());
}

#[test]
fn the_largest_ticket_fits_its_text() {
    let label = "a".repeat(63);
    let name: Name = format!("{label}.{label}.{label}.{}.", "a".repeat(61))
        .parse()
        .unwrap();
    let largest = Terms {
        apex: name.clone(),
        name,
        addresses: vec!["[2001:db8::1]:5400".parse().unwrap(); PEER_ADDRESSES_MAX],
        region: "r".repeat(REGION_BYTES_MAX),
        organisation: "o".repeat(REGION_BYTES_MAX),
        note: "n".repeat(NOTE_BYTES_MAX),
        ..terms()
    };
    let ticket = Ticket::new(Signed::new(invitation(largest), &key(1)).unwrap());
    assert_eq!(Ticket::from_text(&ticket.to_text()), Ok(ticket));
}

proptest! {
    #[test]
    fn a_ticket_with_a_changed_bit_or_cut_short_opens_for_nobody(
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let whole = ticket().to_bytes();
        let at = at.index(whole.len());
        prop_assert!(Ticket::from_bytes(&whole[..at]).is_err());
        let mut changed = whole;
        changed[at] ^= 1 << bit;
        if let Ok(read) = Ticket::from_bytes(&changed) {
            let now = Timestamp::from_millis(MADE);
            let opened = read.open(&key(3).public(), now);
            prop_assert!(opened.is_err(), "{:?}", opened);
        }
    }

    #[test]
    fn every_ticket_comes_back_from_its_text(
        weight: u32, nonce: u64, epoch: u64, region in "[a-z]{0,20}", note in "\\PC{0,100}",
        addresses in prop::collection::vec(any::<(IpAddr, u16)>(), 0..=PEER_ADDRESSES_MAX),
    ) {
        let addresses = addresses.into_iter().map(SocketAddr::from).collect();
        let terms = Terms { epoch, addresses, weight, region, nonce, note, ..terms() };
        let invitation = Invitation { terms, consent: Signature::from_bytes([9; 64]) };
        let ticket = Ticket::new(Signed::new(invitation, &key(1)).unwrap());
        prop_assert_eq!(Ticket::from_text(&ticket.to_text()), Ok(ticket));
    }
}
