//! What a lying anchor makes of what it should say.

use kedge::base::canonical::Form;
use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::governance::block::Block;
use kedge::replication::ordering::{Message, SeatSigned, Tender};

use crate::chance::Chance;

/// What one peer is told instead; nothing at all sometimes.
pub(crate) fn twist(
    message: &Message,
    key: &SecretKey,
    blocks: &[Digest],
    chance: &mut Chance,
) -> Option<Message> {
    match message {
        Message::Vote(vote) if chance.percent(50) => {
            let mut object = vote.object.clone();
            object.block = if blocks.is_empty() || chance.percent(40) {
                None
            } else {
                Some(*chance.pick(blocks))
            };
            let signature = key.sign(&object.to_bytes());
            Some(Message::Vote(SeatSigned { object, signature }))
        }
        Message::Bid(bid, tender) if chance.percent(50) => {
            let block = twist_block(tender.block(), chance);
            let tender = Tender::new(block, tender.body().clone())?;
            let mut object = bid.object.clone();
            object.block = tender.digest();
            let signature = key.sign(&object.to_bytes());
            Some(Message::Bid(SeatSigned { object, signature }, tender))
        }
        // Whoever decides may keep it to itself.
        Message::Decided(..) => None,
        _ if chance.percent(20) => None,
        other => Some(other.clone()),
    }
}

/// Another time, which is as good a block; or a state that does not follow.
fn twist_block(block: &Block, chance: &mut Chance) -> Block {
    let mut block = block.clone();
    if chance.percent(60) {
        block.time = block.time.plus_millis(1 + chance.next() % 3);
    } else {
        block.state_root = Digest::of_bytes("lie", &chance.next().to_be_bytes());
    }
    block
}
