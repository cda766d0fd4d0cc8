//! Pulls against scripted peers: honest, behind, silent, slow, lying, withholding, replaying, forked.

use std::collections::BTreeMap;

use kedge::base::digest::Digest;
use kedge::base::keys::PublicKey;
use kedge::base::time::Timestamp;
use kedge::governance::certificate::Certificate;
use kedge::index::history::voters_of;
use kedge::index::lineage::{found, replay};
use kedge::index::memory::MemoryIndex;
use kedge::index::state::ScopeNo;
use kedge::index::view::{IndexView, Link};
use kedge::namespace::scope::ScopeUid;
use kedge::replication::pull::{Complaint, Ended, Heard, Position, Pull, Want};
use kedge::replication::wire::{Head, Links};

use crate::world::{World, key, register};

/// Steps of one pull, which none comes near.
const STEPS_MAX: usize = 10_000;

/// A peer with an index, and what it does with it.
struct Peer {
    index: MemoryIndex,
    habit: Habit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Habit {
    Honest,
    /// Gives one block at a time.
    Slow,
    /// Does not answer.
    Silent,
    /// Names a head and gives no blocks.
    Withholds,
    /// Gives the same first blocks again and again.
    Replays,
    /// Gives blocks beside the ones that were asked for.
    Skips,
    /// Changes what blocks decide.
    Forges,
    /// Names another block as its head than it has.
    Names(Digest),
}

/// A node that pulls, and the peers that it asks.
struct Net {
    world: World,
    mine: MemoryIndex,
    peers: BTreeMap<PublicKey, Peer>,
    scope: ScopeUid,
}

const NO: ScopeNo = ScopeNo(0);

fn peer_key(seed: u8) -> PublicKey {
    key(100 + seed).public()
}

fn grow(world: &mut World, index: &mut MemoryIndex, names: &[&str]) {
    for name in names {
        let op = register(name, &["A 60 10.0.0.1"]);
        world.seal(index, NO, vec![op]).unwrap();
    }
}

impl Net {
    /// A node that holds the first `held` of six blocks, if any, and peers that hold all of them.
    fn new(held: Option<usize>, habits: &[Habit]) -> Self {
        let mut world = World::new();
        let mut index = MemoryIndex::new();
        world.root(&mut index, "mesh.internal.", &[key(1), key(2)]);
        let names = ["a", "b", "c", "d", "e"];
        let mut mine = MemoryIndex::new();
        if let Some(held) = held {
            grow(&mut world, &mut index, names.get(..held).unwrap());
            mine = index.clone();
            grow(&mut world, &mut index, names.get(held..).unwrap());
        } else {
            grow(&mut world, &mut index, &names);
        }
        let scope = index.scope(NO).unwrap().unwrap().uid;
        let peers = habits.iter().zip(1..).map(|(habit, seed)| {
            let (index, habit) = (index.clone(), *habit);
            (peer_key(seed), Peer { index, habit })
        });
        Self {
            world,
            mine,
            peers: peers.collect(),
            scope,
        }
    }

    fn at(&self) -> Option<Position> {
        let state = self.mine.scope(NO).unwrap()?;
        Some(Position {
            height: state.height,
            block: state.head,
        })
    }

    /// Pulls from the peers in the order of their seeds.
    fn pull(&mut self) -> (Ended, Vec<Complaint>) {
        let count = u8::try_from(self.peers.len()).unwrap();
        let mut pull = Pull::new(self.scope, self.at(), (1..=count).map(peer_key));
        let mut want = pull.start();
        for _ in 0..STEPS_MAX {
            let heard = match want {
                Want::Nothing(ended) => {
                    let complaints = pull.complaints().iter();
                    return (
                        ended,
                        complaints.map(|(_, complaint)| complaint.clone()).collect(),
                    );
                }
                Want::Head { of } => self.head(of),
                Want::Links { of, from, count } => match self.peer(of).links(from, count) {
                    Some(links) => Heard::Links(Box::new(links)),
                    None => Heard::Silent("it waits".to_owned()),
                },
                Want::Compare { of, height } => {
                    let links = self.peer(of).links(height, 1).unwrap().links;
                    let held = self.mine.header(NO, height).unwrap().unwrap().digest();
                    Heard::Compared(links.into_iter().next().map(Box::new), held)
                }
                Want::Replay { genesis, links } => self.replay(genesis.as_deref(), &links),
                Want::Judge { link } => {
                    let state = self.mine.scope(NO).unwrap().unwrap();
                    let voters = voters_of(&self.mine, &state, link.block.height);
                    let voters = voters.unwrap().unwrap();
                    let certified = link.certificate.verify(&link.block, &voters).is_ok();
                    Heard::Judged { certified }
                }
            };
            want = pull.step(heard);
        }
        panic!("the pull does not end");
    }

    fn peer(&self, of: PublicKey) -> &Peer {
        self.peers.get(&of).unwrap()
    }

    fn head(&self, of: PublicKey) -> Heard {
        let peer = self.peer(of);
        if peer.habit == Habit::Silent {
            return Heard::Silent("it says nothing".to_owned());
        }
        let Some(state) = peer.index.scope(NO).unwrap() else {
            return Heard::Head(None, None);
        };
        let held = self.mine.header(NO, state.height).unwrap();
        let block = match peer.habit {
            Habit::Names(block) => block,
            _ => state.head,
        };
        let head = Head {
            scope: state.uid,
            height: state.height,
            block,
        };
        Heard::Head(Some(head), held.map(|block| block.digest()))
    }

    /// As the writer does: what does not follow leaves no trace.
    fn replay(
        &mut self,
        genesis: Option<&kedge::governance::descriptor::Descriptor>,
        links: &[Link],
    ) -> Heard {
        let mut unfit = None;
        for link in links {
            let mut next = self.mine.clone();
            let replayed = match genesis {
                Some(genesis) if link.block.height == 0 => {
                    found(&mut next, genesis, None, link).map(drop)
                }
                _ => replay(&mut next, NO, link),
            };
            match replayed {
                Ok(()) => self.mine = next,
                Err(error) => {
                    unfit = Some(error.to_string());
                    break;
                }
            }
        }
        let at = self.at();
        Heard::Replayed { at, unfit }
    }

    /// Both of two anchors sign something that the others do not have.
    fn fork(&mut self, seed: u8, names: &[&str]) {
        let peer = self.peers.get_mut(&peer_key(seed)).unwrap();
        peer.index = self.mine.clone();
        grow(&mut self.world, &mut peer.index, names);
    }
}

impl Peer {
    fn links(&self, from: u64, count: u16) -> Option<Links> {
        let from = match self.habit {
            Habit::Silent => return None,
            Habit::Replays => 1,
            Habit::Skips => from + 1,
            _ => from,
        };
        let count = match self.habit {
            Habit::Withholds => 0,
            Habit::Slow => 1,
            _ => u64::from(count),
        };
        let links = (from..from + count).map_while(|height| self.index.link(NO, height).unwrap());
        let mut links: Vec<Link> = links.collect();
        if self.habit == Habit::Forges {
            for link in &mut links {
                link.body.decided.clear();
            }
        }
        let genesis = match from {
            0 => self.index.genesis(NO).unwrap(),
            _ => None,
        };
        Some(Links { genesis, links })
    }
}

fn level(seed: u8) -> Ended {
    Ended::Level {
        with: peer_key(seed),
    }
}

#[test]
fn a_scope_is_founded_and_brought_level() {
    for held in [None, Some(0), Some(2), Some(5)] {
        for habit in [Habit::Honest, Habit::Slow] {
            let mut net = Net::new(held, &[habit]);
            assert_eq!(net.pull(), (level(1), Vec::new()));
            assert_eq!(net.at().unwrap().height, 5);
        }
    }
}

#[test]
fn a_peer_that_is_of_no_use_is_left_for_the_next() {
    for (habit, is_lie) in [
        (Habit::Silent, false),
        (Habit::Withholds, true),
        (Habit::Replays, true),
        (Habit::Skips, true),
        (Habit::Forges, true),
    ] {
        let mut net = Net::new(Some(2), &[habit, Habit::Honest]);
        let (ended, complaints) = net.pull();
        assert_eq!(ended, level(2));
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert_eq!(complaints[0].is_lie(), is_lie, "{complaints:?}");
        assert_eq!(net.at().unwrap().height, 5);
    }
}

#[test]
fn without_a_peer_of_use_nothing_changes_and_the_reasons_are_there() {
    for held in [None, Some(2)] {
        let habits = [Habit::Silent, Habit::Withholds, Habit::Skips, Habit::Forges];
        let mut net = Net::new(held, &habits);
        let before = net.at();
        let (ended, complaints) = net.pull();
        assert_eq!(ended, Ended::GivenUp);
        assert_eq!(complaints.len(), 4);
        // A first block holds nothing that could be forged away.
        let founded = held.is_none().then_some(0);
        assert_eq!(
            net.at().map(|at| at.height),
            before.map(|at| at.height).or(founded)
        );
    }
}

#[test]
fn a_peer_that_is_behind_takes_nothing_away() {
    let mut net = Net::new(Some(5), &[Habit::Honest]);
    let behind = Net::new(Some(2), &[]).mine;
    net.peers.get_mut(&peer_key(1)).unwrap().index = behind;
    assert_eq!(net.pull(), (Ended::Ahead, Vec::new()));
    assert_eq!(net.at().unwrap().height, 5);
}

#[test]
fn a_peer_that_lacks_the_scope_is_no_liar() {
    let mut net = Net::new(Some(2), &[Habit::Honest, Habit::Honest]);
    net.peers.get_mut(&peer_key(1)).unwrap().index = MemoryIndex::new();
    assert_eq!(net.pull(), (level(2), vec![Complaint::NotHeld]));
}

#[test]
fn two_certificates_of_one_height_are_found_where_they_are() {
    // Both went on from block 2; the peer is as far, further, or less far.
    for (mine, theirs) in [(1, 1), (1, 9), (9, 1), (9, 9), (5, 6)] {
        let mut net = Net::new(Some(2), &[Habit::Honest]);
        let names: Vec<String> = (0..9).map(|n| format!("theirs{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        net.fork(1, &names[..theirs]);
        let names: Vec<String> = (0..9).map(|n| format!("mine{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut index = net.mine.clone();
        grow(&mut net.world, &mut index, &names[..mine]);
        net.mine = index;
        let before = net.at();
        let (ended, complaints) = net.pull();
        let Ended::Forked { with, link } = ended else {
            panic!("{ended:?} {complaints:?}");
        };
        assert_eq!((with, link.block.height), (peer_key(1), 3));
        assert_eq!(net.at(), before);
    }
}

#[test]
fn a_fork_without_certificates_is_a_lie_and_no_fork() {
    let mut net = Net::new(Some(5), &[Habit::Honest, Habit::Honest]);
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    world.root(&mut index, "mesh.internal.", &[key(1), key(2)]);
    grow(&mut world, &mut index, &["x", "y", "z", "v", "w"]);
    // Somebody else signs in the anchors' place.
    let mut forged = MemoryIndex::new();
    let genesis = index.genesis(NO).unwrap().unwrap();
    found(
        &mut forged,
        &genesis,
        None,
        &index.link(NO, 0).unwrap().unwrap(),
    )
    .unwrap();
    let links = (1..=5).map(|height| {
        let mut link = index.link(NO, height).unwrap().unwrap();
        link.block.time = Timestamp::from_millis(link.block.time.as_millis() + 7);
        let signed = Certificate::sign(&link.block, &genesis, &[key(77)]);
        link.certificate = signed.unwrap();
        link
    });
    let links: Vec<Link> = links.collect();
    for link in &links {
        kedge::index::view::IndexTxn::append(&mut forged, NO, link).unwrap();
    }
    let mut state = forged.scope(NO).unwrap().unwrap();
    (state.height, state.head) = (5, links[4].block.digest());
    let mut changes = kedge::index::changeset::ChangeSet::default();
    changes.scopes.insert(NO, state);
    kedge::index::view::IndexTxn::apply(&mut forged, &changes).unwrap();
    net.peers.get_mut(&peer_key(1)).unwrap().index = forged;
    let (ended, complaints) = net.pull();
    assert_eq!(ended, level(2));
    assert_eq!(complaints, [Complaint::Uncertified { height: 1 }]);
}

#[test]
fn a_head_that_names_another_block_than_there_is_is_a_lie() {
    let habit = Habit::Names(Digest::from_bytes([9; 32]));
    let mut net = Net::new(Some(5), &[habit, Habit::Honest]);
    let (ended, complaints) = net.pull();
    assert_eq!(ended, level(2));
    assert!(complaints[0].is_lie(), "{complaints:?}");
}
