//! `Pull`: brings one scope from where it stands here to where others have it. Decides what to ask
//! and what to believe; whoever drives it asks, replays and reads what is held.
//!
//! Nothing that a peer says is believed: a head is a hint, blocks count once they were replayed, and
//! a fork once both certificates hold. A peer that says something wrong is left and named.

use std::collections::VecDeque;

use crate::base::digest::Digest;
use crate::base::keys::PublicKey;
use crate::governance::descriptor::Descriptor;
use crate::index::view::Link;
use crate::namespace::scope::ScopeUid;

use super::wire::{Head, LINKS_PER_REPLY_MAX, Links};

/// Blocks that are asked for at once.
const LINKS_ASKED: u16 = 512;
/// Requests about blocks of one peer in one pull; what is left comes with the next one. Bounds how
/// long a peer that gives little at a time keeps others waiting.
const ROUNDS_MAX: u32 = 4_096;

/// The last block that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its height.
    pub height: u64,
    /// Its digest.
    pub block: Digest,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// Ask where the scope stands; give the head, and what is held at its height.
    Head {
        /// Whom.
        of: PublicKey,
    },
    /// Ask for blocks.
    Links {
        /// Whom.
        of: PublicKey,
        /// The height of the first one.
        from: u64,
        /// At most so many.
        count: u16,
    },
    /// Ask for one block that is held already; give it, and the digest of the one that is held.
    Compare {
        /// Whom.
        of: PublicKey,
        /// The height.
        height: u64,
    },
    /// Replay blocks.
    Replay {
        /// The descriptor to found the scope from, where it is not held.
        genesis: Option<Box<Descriptor>>,
        /// The blocks, at least one.
        links: Vec<Link>,
    },
    /// Say whether the anchors that decided the block held at this height decided this one, too.
    Judge {
        /// The other block.
        link: Box<Link>,
    },
    /// Nothing: the pull is over.
    Nothing(Ended),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Where the peer has the scope, if it has it, and the digest of the block that is held at that
    /// height.
    Head(Option<Head>, Option<Digest>),
    /// Blocks that were asked for.
    Links(Box<Links>),
    /// The one block that was asked for, if it came, and the digest of the one that is held.
    Compared(Option<Box<Link>>, Digest),
    /// All blocks are in force, or those before the first that does not follow.
    Replayed {
        /// The last block that is held now.
        at: Option<Position>,
        /// Why the next one does not follow.
        unfit: Option<String>,
    },
    /// Whether the other block's certificate holds.
    Judged {
        /// It does.
        certified: bool,
    },
    /// The peer did not answer, or turned the request down.
    Silent(String),
    /// The peer answered something else.
    Nonsense,
}

/// How a pull ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// What is held is what a peer has.
    Level {
        /// The peer.
        with: PublicKey,
    },
    /// What is held is more than any peer has that answered.
    Ahead,
    /// Two blocks of one height have certificates.
    Forked {
        /// The peer that has the other one.
        with: PublicKey,
        /// The other one.
        link: Box<Link>,
    },
    /// No peer was of use.
    GivenUp,
}

/// What is wrong with a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    /// It did not answer, or turned the request down.
    #[error("{0}")]
    Silent(String),
    /// It holds no such scope, or does not show it.
    #[error("it does not have the scope")]
    NotHeld,
    /// Its blocks are not those that were asked for.
    #[error("it sent {0}")]
    Unasked(&'static str),
    /// It has blocks by its own word and does not give them.
    #[error("it names height {height} and does not give the blocks up to it")]
    Withheld {
        /// The height that it names.
        height: u64,
    },
    /// A block does not follow by the rules.
    #[error("its blocks do not follow: {0}")]
    Unfit(String),
    /// It has another block than the one held, without a certificate.
    #[error("its block {height} is another one than is held, and no certificate holds for it")]
    Uncertified {
        /// The height.
        height: u64,
    },
    /// What it proves does not hold.
    #[error("its proof does not hold: {0}")]
    Unproven(String),
}

impl Complaint {
    /// Whether the peer said something that no honest one says.
    pub const fn is_lie(&self) -> bool {
        !matches!(self, Self::Silent(_) | Self::NotHeld)
    }
}

/// The step that is under way.
#[derive(Debug, Clone)]
enum Step {
    Head,
    Links {
        head: u64,
        asked: u16,
    },
    Replay {
        head: u64,
    },
    /// The first block that differs is above `low`, or there, and not above `high`, which differs.
    Compare {
        low: u64,
        high: u64,
        asked: u64,
        differs: Option<Box<Link>>,
    },
    Judge {
        link: Box<Link>,
    },
}

/// A pull under way.
#[derive(Debug)]
pub struct Pull {
    scope: ScopeUid,
    at: Option<Position>,
    left: VecDeque<PublicKey>,
    asked: Option<(PublicKey, Step)>,
    rounds: u32,
    is_ahead: bool,
    complaints: Vec<(PublicKey, Complaint)>,
}

impl Pull {
    /// A pull of a scope that stands here at a block, or is not held, from the first of these peers
    /// that is of use.
    pub fn new(
        scope: ScopeUid,
        at: Option<Position>,
        sources: impl IntoIterator<Item = PublicKey>,
    ) -> Self {
        Self {
            scope,
            at,
            left: sources.into_iter().collect(),
            asked: None,
            rounds: 0,
            is_ahead: false,
            complaints: Vec::new(),
        }
    }

    /// What was wrong with peers, in order.
    pub fn complaints(&self) -> &[(PublicKey, Complaint)] {
        &self.complaints
    }

    /// Where the scope stands now.
    pub const fn at(&self) -> Option<Position> {
        self.at
    }

    /// The first thing to be done.
    pub fn start(&mut self) -> Want {
        self.elsewhere()
    }

    /// What is to be done after what was done last. What does not answer that ends with the peer.
    pub fn step(&mut self, heard: Heard) -> Want {
        let Some((of, step)) = self.asked.take() else {
            return Want::Nothing(Ended::GivenUp);
        };
        match (step, heard) {
            (_, Heard::Silent(why)) => self.complain(of, Complaint::Silent(why)),
            (Step::Head, Heard::Head(head, held)) => self.head(of, head, held),
            (Step::Links { head, asked }, Heard::Links(links)) => {
                self.links(of, (head, asked), *links)
            }
            (Step::Replay { head }, Heard::Replayed { at, unfit }) => {
                self.replayed(of, head, at, unfit)
            }
            (
                Step::Compare {
                    low,
                    high,
                    asked,
                    differs,
                },
                Heard::Compared(link, held),
            ) => self.compared(of, (low, high, asked), differs, (link, held)),
            (Step::Judge { link }, Heard::Judged { certified }) => {
                if certified {
                    return Want::Nothing(Ended::Forked { with: of, link });
                }
                let height = link.block.height;
                self.complain(of, Complaint::Uncertified { height })
            }
            _ => self.complain(of, Complaint::Unasked("another reply than was asked for")),
        }
    }

    fn elsewhere(&mut self) -> Want {
        self.rounds = 0;
        match self.left.pop_front() {
            Some(of) => self.ask(of, Step::Head, Want::Head { of }),
            None if self.is_ahead => Want::Nothing(Ended::Ahead),
            None => Want::Nothing(Ended::GivenUp),
        }
    }

    fn ask(&mut self, of: PublicKey, step: Step, want: Want) -> Want {
        self.asked = Some((of, step));
        want
    }

    fn complain(&mut self, of: PublicKey, complaint: Complaint) -> Want {
        self.complaints.push((of, complaint));
        self.elsewhere()
    }

    fn head(&mut self, of: PublicKey, head: Option<Head>, held: Option<Digest>) -> Want {
        let Some(head) = head else {
            return self.complain(of, Complaint::NotHeld);
        };
        if head.scope != self.scope {
            return self.complain(of, Complaint::Unasked("the head of another scope"));
        }
        match (self.at, held) {
            (Some(at), Some(held)) if head.height <= at.height => {
                if held != head.block {
                    return self.compare(of, (0, head.height), None);
                }
                if head.height == at.height {
                    return Want::Nothing(Ended::Level { with: of });
                }
                // Another one may be further.
                self.is_ahead = true;
                self.elsewhere()
            }
            _ => self.more(of, head.height),
        }
    }

    /// Asks for what comes next, up to the head that the peer named.
    fn more(&mut self, of: PublicKey, head: u64) -> Want {
        let from = self.at.map_or(0, |at| at.height.saturating_add(1));
        if from > head {
            return Want::Nothing(Ended::Level { with: of });
        }
        self.rounds += 1;
        if self.rounds > ROUNDS_MAX {
            return self.elsewhere();
        }
        let count = LINKS_ASKED;
        let step = Step::Links { head, asked: count };
        self.ask(of, step, Want::Links { of, from, count })
    }

    fn links(&mut self, of: PublicKey, (head, asked): (u64, u16), came: Links) -> Want {
        let Links { genesis, links } = came;
        let from = self.at.map_or(0, |at| at.height.saturating_add(1));
        let Some(first) = links.first() else {
            return self.complain(of, Complaint::Withheld { height: head });
        };
        if links.len() > usize::from(asked).min(LINKS_PER_REPLY_MAX) {
            return self.complain(of, Complaint::Unasked("more blocks than were asked for"));
        }
        if let Some(fault) = unasked(&self.scope, from, genesis.as_ref(), &links) {
            return self.complain(of, Complaint::Unasked(fault));
        }
        if let Some(at) = self.at
            && first.block.prev != at.block
        {
            // It went another way at or below what is held.
            return self.compare(of, (0, at.height), None);
        }
        let genesis = genesis.map(Box::new);
        let want = Want::Replay { genesis, links };
        self.ask(of, Step::Replay { head }, want)
    }

    fn replayed(
        &mut self,
        of: PublicKey,
        head: u64,
        at: Option<Position>,
        unfit: Option<String>,
    ) -> Want {
        // What is held never becomes less, whatever is said.
        if at.map(|at| at.height) > self.at.map(|at| at.height) {
            self.at = at;
        } else if unfit.is_none() {
            let nothing = "blocks that change nothing";
            return self.complain(of, Complaint::Unasked(nothing));
        }
        match unfit {
            Some(why) => self.complain(of, Complaint::Unfit(why)),
            None => self.more(of, head),
        }
    }

    /// Looks for the first block that differs; the one at `high` does, by the peer's word.
    fn compare(
        &mut self,
        of: PublicKey,
        (low, high): (u64, u64),
        differs: Option<Box<Link>>,
    ) -> Want {
        let height = match differs {
            None => high,
            Some(_) => low + (high - low) / 2,
        };
        let step = Step::Compare {
            low,
            high,
            asked: height,
            differs,
        };
        self.ask(of, step, Want::Compare { of, height })
    }

    fn compared(
        &mut self,
        of: PublicKey,
        (low, high, asked): (u64, u64, u64),
        differs: Option<Box<Link>>,
        (link, held): (Option<Box<Link>>, Digest),
    ) -> Want {
        let Some(link) = link else {
            return self.complain(of, Complaint::Withheld { height: asked });
        };
        if (link.block.scope, link.block.height) != (self.scope, asked) {
            return self.complain(of, Complaint::Unasked("another block than was asked for"));
        }
        let (low, high, differs) = match (link.block.digest() == held, differs) {
            (false, _) => (low, asked, link),
            (true, Some(differs)) => (asked + 1, high, differs),
            (true, None) => {
                let fault = "a block that is not the one it named";
                return self.complain(of, Complaint::Unasked(fault));
            }
        };
        if low < high {
            return self.compare(of, (low, high), Some(differs));
        }
        let step = Step::Judge {
            link: differs.clone(),
        };
        self.ask(of, step, Want::Judge { link: differs })
    }
}

/// What is wrong with blocks before they are replayed.
fn unasked(
    scope: &ScopeUid,
    from: u64,
    genesis: Option<&Descriptor>,
    links: &[Link],
) -> Option<&'static str> {
    match (from, genesis) {
        (0, None) => return Some("a first block without its descriptor"),
        (0, Some(genesis)) if genesis.scope_uid() != *scope => {
            return Some("the descriptor of another scope");
        }
        (0, Some(_)) | (_, None) => {}
        (_, Some(_)) => return Some("a descriptor nobody asked for"),
    }
    let mut height = from;
    let mut prev = None;
    for link in links {
        if link.block.scope != *scope {
            return Some("a block of another scope");
        }
        if link.block.height != height || prev.is_some_and(|prev| prev != link.block.prev) {
            return Some("blocks that do not follow each other");
        }
        prev = Some(link.block.digest());
        height = height.saturating_add(1);
    }
    None
}
