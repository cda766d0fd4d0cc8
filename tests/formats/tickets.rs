//! Invitations to seats.

use kedge::base::signed::Signed;
use kedge::base::time::Timestamp;
use kedge::governance::ticket::{Invitation, Terms, Ticket};

use crate::samples::{Sample, child, form, root};
use crate::world::key;

fn invitation() -> Invitation {
    let terms = Terms {
        apex: "mesh.internal.".parse().unwrap(),
        genesis: root().scope_uid(),
        name: "eu.mesh.internal.".parse().unwrap(),
        scope: child().scope_uid(),
        epoch: 0,
        host: key(51).public(),
        addresses: vec![
            "192.0.2.1:5400".parse().unwrap(),
            "[2001:db8::1]:5400".parse().unwrap(),
        ],
        guest: key(52).public(),
        vote_key: key(5).public(),
        weight: 2,
        region: "us".to_owned(),
        organisation: "Example".to_owned(),
        author: key(4).public(),
        nonce: 7,
        made: Timestamp::from_millis(1_700_000_000_000),
        not_after: Timestamp::from_millis(1_700_086_400_000),
        note: "second anchor".to_owned(),
    };
    let proposal = Signed::new(terms.proposal(&child()).unwrap(), &key(4)).unwrap();
    let consent = *proposal.signature();
    Invitation { terms, consent }
}

fn ticket() -> Ticket {
    Ticket::new(Signed::new(invitation(), &key(4)).unwrap())
}

pub(crate) fn samples() -> Vec<Sample> {
    vec![form("invitation", &invitation()), form("ticket", &ticket())]
}
