//! Blocks of scopes that other nodes decide over: replayed by the same rules as what is sealed here,
//! in one transaction a batch.

use crate::base::keys::PublicKey;
use crate::base::time::Timestamp;
use crate::governance::certificate::Certified;
use crate::governance::descriptor::Descriptor;
use crate::index::lineage::{LinkError, found, replay};
use crate::index::refusal::Refusal;
use crate::index::replica::{Fork, Mirror};
use crate::index::state::{ScopeNo, ScopeState};
use crate::index::view::Link;
use crate::namespace::scope::ScopeUid;
use crate::service::ports::{Clock, Store};
use crate::service::resolver::error_chain;

use super::queue::{Answered, Done};
use super::restore::{NotTaken, edge};
use super::{
    ChangeError, Committed, Placement, Writer, Writing, committed, failure, number_of, refused,
};

/// Blocks that a peer gave.
#[derive(Debug)]
pub struct Follow {
    /// The scope.
    pub scope: ScopeUid,
    /// Where it is to be, and the descriptor to found it from; none where it is held.
    pub founding: Option<(Placement, Box<Descriptor>)>,
    /// The blocks, in order.
    pub links: Vec<Link>,
    /// Their bytes.
    pub byte_count: usize,
    /// That the scope is followed from now on, in the same transaction.
    pub mirror: Option<Mirror>,
}

/// What became of blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The last block that was added; none if none was.
    pub at: Option<Committed>,
    /// Why the next one does not follow.
    pub unfit: Option<String>,
}

/// A block that does not follow.
struct Unfit {
    /// How many before it do.
    good: usize,
    why: String,
}

impl<S: Store, C: Clock> Writer<S, C> {
    /// Adds blocks up to the first that does not follow. What it left is given up with its
    /// transaction, so those before it are replayed once more without it.
    pub(super) fn follow(&self, follow: &Follow) -> Answered {
        let mut count = follow.links.len();
        let mut unfit = None;
        loop {
            let mut stopped = Err(None);
            let result = self.store.write(|txn| {
                let links = follow.links.get(..count).unwrap_or_default();
                self.replay_all(txn, follow, links).map_err(|error| {
                    stopped = match error {
                        Stop::Unfit(unfit) => Ok(unfit),
                        Stop::Change(error) => Err(Some(error)),
                        Stop::Link(error) => return error,
                    };
                    // Gives the transaction up; what is answered is in `stopped`.
                    refused(0, Refusal::NoChange)
                })
            });
            let found = match (result, stopped) {
                (Ok(at), _) => {
                    return Ok(Done::Followed(Followed {
                        at: Some(at),
                        unfit,
                    }));
                }
                (Err(_), Ok(found)) => found,
                (Err(_), Err(Some(error))) => return Err(error),
                (Err(error), Err(None)) => return Err(failure(&error)),
            };
            unfit = Some(found.why);
            if found.good == 0 || found.good >= count {
                return Ok(Done::Followed(Followed { at: None, unfit }));
            }
            count = found.good;
        }
    }

    fn replay_all<T: Writing<S>>(
        &self,
        txn: &mut T,
        follow: &Follow,
        links: &[Link],
    ) -> Result<Committed, Stop<S::Error>> {
        if let Some(fork) = txn.fork(&follow.scope).map_err(LinkError::Store)? {
            return Err(Stop::Change(frozen(&fork).into()));
        }
        let (no, rest) = if let Some(founding) = &follow.founding {
            let no = begin::<S, T>(txn, &follow.scope, founding, links)?;
            (no, links.get(1..).unwrap_or_default())
        } else {
            (number_of(txn, &follow.scope)?, links)
        };
        let before = links.len() - rest.len();
        for (index, link) in rest.iter().enumerate() {
            if is_held::<S, T>(txn, no, link)? {
                continue;
            }
            replay(txn, no, link).map_err(|error| unfit(error, before + index))?;
            self.note_followed(txn, no, link)?;
        }
        if let Some(mirror) = &follow.mirror {
            txn.put_mirror(&follow.scope, Some(mirror))
                .map_err(LinkError::Store)?;
        }
        let last = links
            .last()
            .ok_or_else(|| Unfit::at(0, "there is no block"))?;
        // What its parent said may have waited for it.
        self.may_be_confirmed(follow.scope);
        Ok(committed(no, last))
    }

    /// What a block of another node's scope means here: a scope may be founded that this node
    /// offered to govern.
    fn note_followed<T: Writing<S>>(
        &self,
        txn: &mut T,
        no: ScopeNo,
        link: &Link,
    ) -> Result<(), LinkError<S::Error>> {
        self.note_recovered(txn, link).map_err(LinkError::Store)?;
        self.follow_up(txn, no, link, self.clock.now())
    }
}

/// Whether a block is there already: a pull and a sitting may bring the same one.
fn is_held<S: Store, T: Writing<S>>(
    txn: &T,
    no: ScopeNo,
    link: &Link,
) -> Result<bool, LinkError<S::Error>> {
    let held = txn.header(no, link.block.height);
    let held = held.map_err(LinkError::Store)?;
    Ok(held.is_some_and(|held| held.digest() == link.block.digest()))
}

/// Follows a scope that is held, or no longer.
pub(super) fn set_mirror<S: Store, T: Writing<S>>(
    txn: &mut T,
    scope: ScopeUid,
    mirror: Option<&Mirror>,
) -> Result<Done, LinkError<S::Error>> {
    let held = txn.scope_no(&scope).map_err(LinkError::Store)?;
    if held.is_none() {
        return Err(LinkError::UnknownScope(scope));
    }
    txn.put_mirror(&scope, mirror).map_err(LinkError::Store)?;
    Ok(Done::Noted)
}

/// Keeps a fork, if another block is held at the height of one that somebody has; nothing is added to
/// its scope from then on.
pub(super) fn freeze<S: Store, T: Writing<S>>(
    txn: &mut T,
    other: Certified,
    from: PublicKey,
    found: Timestamp,
) -> Result<Done, LinkError<S::Error>> {
    let no = number_of(txn, &other.block.scope)?;
    let held = txn.link(no, other.block.height).map_err(LinkError::Store)?;
    let Some(held) = held.filter(|held| held.block.digest() != other.block.digest()) else {
        return Ok(Done::Noted);
    };
    let fork = Fork {
        held: held.into_certified(),
        other,
        from,
        found,
    };
    txn.put_fork(&fork).map_err(LinkError::Store)?;
    let (held, other) = fork.blocks();
    let (scope, height) = (fork.scope(), fork.height());
    tracing::error!(%scope, height, %held, %other, "a scope forked and is frozen");
    Ok(Done::Noted)
}

/// Why blocks are not taken.
enum Stop<E: std::error::Error + 'static> {
    Unfit(Unfit),
    Change(ChangeError),
    Link(LinkError<E>),
}

impl Unfit {
    fn at<E: std::error::Error + 'static>(good: usize, why: impl Into<String>) -> Stop<E> {
        let why = why.into();
        Stop::Unfit(Self { good, why })
    }
}

impl<E: std::error::Error + 'static> From<LinkError<E>> for Stop<E> {
    fn from(error: LinkError<E>) -> Self {
        Self::Link(error)
    }
}

/// A failure of the store is no fault of the block's.
fn unfit<E: std::error::Error + 'static>(error: LinkError<E>, good: usize) -> Stop<E> {
    match error {
        LinkError::Store(_) => Stop::Link(error),
        other => Unfit::at(good, error_chain(&other)),
    }
}

/// Founds a scope at its place.
fn begin<S: Store, T: Writing<S>>(
    txn: &mut T,
    scope: &ScopeUid,
    (placement, genesis): &(Placement, Box<Descriptor>),
    links: &[Link],
) -> Result<ScopeNo, Stop<S::Error>> {
    let edge = edge(txn, placement, scope).map_err(|error| match error {
        NotTaken::Store(error) => Stop::Link(LinkError::Store(error)),
        NotTaken::Change(error) => Stop::Change(error),
    })?;
    let edge = match (&genesis.parent, edge) {
        (None, None) => None,
        (Some(parent), Some((edge, above))) if *parent == above => Some(edge),
        _ => return Err(Unfit::at(0, "the scope belongs elsewhere in the tree")),
    };
    let first = links
        .first()
        .ok_or_else(|| Unfit::at(0, "there is no block"))?;
    let no = found(txn, genesis, edge, first).map_err(|error| unfit(error, 0))?;
    if let Placement::Apex(name) = placement {
        txn.put_apex(name, scope).map_err(LinkError::Store)?;
    }
    Ok(no)
}

/// Why nothing is sealed in a scope on this node, whatever keys it has: who follows a scope does not
/// decide over it, and a forked one is nobody's to go on with.
pub(super) fn held_still<S: Store, T: Writing<S>>(
    txn: &T,
    state: &ScopeState,
    is_joint: bool,
) -> Result<Option<Refusal>, LinkError<S::Error>> {
    if let Some(fork) = txn.fork(&state.uid).map_err(LinkError::Store)? {
        return Ok(Some(frozen(&fork)));
    }
    let mirror = txn.mirror(&state.uid).map_err(LinkError::Store)?;
    // An anchor among others follows the scope, too.
    let mirror = mirror.filter(|_| !is_joint);
    Ok(mirror.map(|mirror| Refusal::Mirrored(mirror.scope)))
}

pub(super) fn frozen(fork: &Fork) -> Refusal {
    Refusal::Frozen {
        scope: fork.scope(),
        height: fork.height(),
    }
}
