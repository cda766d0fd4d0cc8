//! One of four anchors lies: with the key of its seat and the key of its node it tells each of the
//! others something else. The others decide what is proposed, all the same and only once.

use std::sync::Arc;

use noq::{Connection, RecvStream, SendStream};
use tokio_util::task::TaskTracker;

use kedge::base::canonical::Form as _;
use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::governance::anchor::{AnchorId, SeatSignature};
use kedge::governance::certificate::{Certificate, Step, Vote};
use kedge::namespace::scope::ScopeUid;
use kedge::replication::ordering::{Bid, Message, SeatSigned, Tender};
use kedge::replication::wire::{REQUEST_BYTES_MAX, Reply, Request, Turned, frame};

use super::council::{ANCHOR, Council, NODES};
use super::peers::{FakePeer, until};

/// What a liar knows and whom it lies to.
struct Liar {
    key: SecretKey,
    anchor: AnchorId,
    victims: Vec<Connection>,
}

fn secret(file: &std::path::Path) -> SecretKey {
    let text = std::fs::read_to_string(file).unwrap();
    SecretKey::from_seed_text(text.trim()).unwrap()
}

impl Liar {
    fn signed<T: kedge::base::canonical::Form>(&self, object: T) -> SeatSigned<T> {
        let signature = self.key.sign(&object.to_bytes());
        SeatSigned { object, signature }
    }

    fn vote(&self, like: &Vote, block: Option<Digest>) -> Message {
        Message::Vote(self.signed(Vote {
            block,
            anchor: self.anchor,
            ..like.clone()
        }))
    }

    /// What each victim is told about a vote that somebody else gave: the same block, nothing, and
    /// a block that is none. One of them hears two things.
    fn votes(&self, like: &Vote) -> Vec<(usize, Message)> {
        let none = Digest::of_bytes("lie", &like.round.to_be_bytes());
        vec![
            (1, self.vote(like, None)),
            (1, self.vote(like, Some(none))),
            (2, self.vote(like, Some(none))),
            (0, self.vote(like, like.block)),
        ]
    }

    /// A block of its own in a round of somebody else's, with a state that does not follow; and the
    /// block of that round with a certificate that it signed alone.
    fn blocks(&self, like: &Bid, tender: &Tender) -> Vec<(usize, Message)> {
        let mut block = tender.block().clone();
        block.state_root = Digest::of_bytes("lie", &like.height.to_be_bytes());
        let own = Tender::new(block, tender.body().clone()).unwrap();
        let bid = self.signed(Bid {
            block: own.digest(),
            anchor: self.anchor,
            ..like.clone()
        });
        let alone = Vote {
            scope: like.scope,
            descriptor: like.descriptor,
            height: like.height,
            round: like.round,
            step: Step::Precommit,
            block: Some(like.block),
            anchor: self.anchor,
        };
        let signature = self.key.sign(&alone.to_bytes());
        let signatures = (0..4).map(|seat| SeatSignature { seat, signature });
        let signatures = signatures.collect();
        let certificate = Certificate::of((like.height, like.round), like.block, signatures);
        vec![
            (0, Message::Bid(bid.clone(), own.clone())),
            (2, Message::Decided(tender.clone(), certificate)),
            (2, Message::Bid(bid, own)),
        ]
    }

    async fn lie(&self, scope: ScopeUid, heard: &Message) {
        let lies = match heard {
            Message::Vote(vote) => self.votes(&vote.object),
            Message::Bid(bid, tender) => self.blocks(&bid.object, tender),
            _ => Vec::new(),
        };
        for (victim, message) in lies {
            let message = Box::new(message);
            let order = frame(&Request::Order { scope, message });
            tell(&self.victims[victim], &order).await;
        }
    }
}

async fn tell(connection: &Connection, bytes: &[u8]) -> Option<()> {
    let (mut sending, mut receiving) = connection.open_bi().await.ok()?;
    sending.write_all(bytes).await.ok()?;
    sending.finish().ok()?;
    receiving.read_to_end(REQUEST_BYTES_MAX).await.ok()?;
    Some(())
}

/// Hears what one victim says, and lies about it to all of them at once: a height is soon decided.
async fn hear(liar: Arc<Liar>, from: Connection, lies: TaskTracker) {
    while let Ok((sending, receiving)) = from.accept_bi().await {
        let liar = Arc::clone(&liar);
        lies.spawn(async move {
            if let Some((scope, message)) = take(sending, receiving).await {
                liar.lie(scope, &message).await;
            }
        });
    }
}

/// Reads a request and says that it was heard; gives what it says of a height.
async fn take(mut sending: SendStream, mut receiving: RecvStream) -> Option<(ScopeUid, Message)> {
    let bytes = receiving.read_to_end(REQUEST_BYTES_MAX).await.ok()?;
    let request = Request::from_bytes(bytes.get(4..)?).ok()?;
    let reply = match &request {
        Request::Heads(_) => Reply::Heads(Vec::new()),
        Request::Links { .. }
        | Request::Hello(_)
        | Request::Prove { .. }
        | Request::Locate(_)
        | Request::Leases(_)
        | Request::Instances(_)
        | Request::Beacons(_)
        | Request::Plea(_) => Reply::Turned(Turned::NotHeld),
        Request::Announce(_)
        | Request::Lay(_)
        | Request::Order { .. }
        | Request::Leased(_)
        | Request::Recall(_) => Reply::Heard,
    };
    sending.write_all(&frame(&reply)).await.ok()?;
    sending.finish().ok()?;
    match request {
        Request::Order { scope, message } => Some((scope, *message)),
        _ => None,
    }
}

#[test]
fn an_anchor_that_lies_is_convicted_and_changes_nothing() {
    let mut council = Council::new();
    let last = NODES - 1;
    council.kill(last);
    let home = &council.homes[last];
    let fake = FakePeer::with_key(&secret(&home.path("data/node.key")).to_seed());
    let key = secret(&home.path(ANCHOR));
    let victims: Vec<Connection> = (0..last)
        .map(|at| {
            let (id, address) = council.reached_at(at);
            // Its former connection has to be seen to be gone.
            until("a connection of the liar's", || {
                let connection = fake.dial(&id, address)?;
                matches!(fake.greet(&connection), Some(Reply::Hello(_))).then_some(connection)
            })
        })
        .collect();
    let liar = Arc::new(Liar {
        anchor: AnchorId::of_first_key(&key.public()),
        key,
        victims: victims.clone(),
    });
    let lies = TaskTracker::new();
    for victim in victims {
        fake.runtime
            .spawn(hear(Arc::clone(&liar), victim, lies.clone()));
    }
    for round in 0..8 {
        let at = round % last;
        let (name, address) = (format!("l{round}"), format!("10.5.0.{round}"));
        let done = council.put(at, &name, &address);
        assert!(done.good().starts_with("committed"), "{round}: {done:?}");
        (0..last).for_each(|other| council.answers(other, &name, &address));
    }
    // The one that heard two things keeps both.
    let witness = council.nodes[1].as_mut().unwrap();
    witness.wait_for("an anchor contradicted itself; the evidence is kept");
    drop(fake);
    // Its node comes back without what it said meanwhile, and follows the others.
    council.start(last);
    council.end();
}
