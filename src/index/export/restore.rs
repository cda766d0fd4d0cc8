//! `Restore`: an export replayed link by link. What is held already is compared, not written.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::base::canonical::DecodeError;
use crate::base::digest::Digest;
use crate::governance::descriptor::Descriptor;
use crate::index::lineage::{LinkError, found, replay};
use crate::index::place::{edges_left_by, label_of};
use crate::index::state::{Edge, ScopeNo, ScopeState};
use crate::index::view::{IndexTxn, Link};
use crate::namespace::scope::ScopeUid;

use super::{ExportFault, Frame, Header};

/// Why an export is not taken. Nothing of it is kept then.
#[derive(Debug, thiserror::Error)]
pub enum RestoreRefusal {
    /// The file is not whole.
    #[error(transparent)]
    File(#[from] ExportFault),
    /// A link does not decode.
    #[error("link {link} of the export does not decode: {source}")]
    Frame {
        /// The link, counted from 1.
        link: u64,
        /// Why.
        source: DecodeError,
    },
    /// The scopes are not those that the header speaks of.
    #[error("link {link} of the export is of a scope that its header does not speak of")]
    Scope {
        /// The link.
        link: u64,
    },
    /// A link is out of its order.
    #[error(
        "link {link} of the export has height {found} of scope {}; expected {expected}",
        .scope.short()
    )]
    Order {
        /// The link.
        link: u64,
        /// The scope.
        scope: ScopeUid,
        /// The height that comes next in the file.
        expected: u64,
        /// The height found.
        found: u64,
    },
    /// Another block is held at the same height.
    #[error(
        "scope {} went another way at height {height}: block {held} is held here, the export has \
         {offered}",
        .scope.short()
    )]
    Fork {
        /// The scope.
        scope: ScopeUid,
        /// The height.
        height: u64,
        /// The block that is held.
        held: Digest,
        /// The block of the export.
        offered: Digest,
    },
    /// The scope belongs below another one than it is to be put, or at the top.
    #[error("scope {} {belongs}", .scope.short())]
    Misplaced {
        /// The scope.
        scope: ScopeUid,
        /// Where it belongs.
        belongs: String,
    },
    /// No scope that is held delegates to this one.
    #[error("scope {} is not delegated by its parent, as it is held here", .0.short())]
    NotDelegated(ScopeUid),
    /// A link does not follow by the rules.
    #[error("link {link} of the export does not follow: {source}")]
    Rules {
        /// The link.
        link: u64,
        /// Why.
        source: LinkError<Infallible>,
    },
}

/// An export that is refused, or a store that fails. Never mixed up.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError<E: std::error::Error + 'static> {
    /// Refused.
    #[error(transparent)]
    Refused(#[from] RestoreRefusal),
    /// The index could not be read or written.
    #[error("the index could not be read or written")]
    Store(#[source] E),
}

impl<E: std::error::Error + 'static> From<ExportFault> for RestoreError<E> {
    fn from(fault: ExportFault) -> Self {
        Self::Refused(fault.into())
    }
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The scope that was exported.
    pub scope: ScopeUid,
    /// Scopes in the export.
    pub scopes: u32,
    /// Links that were added.
    pub added: u64,
    /// Links that were there already.
    pub present: u64,
}

/// An import under way. After an error the transaction holds parts of it and must be given up.
#[derive(Debug)]
pub struct Restore {
    header: Header,
    /// Where the exported scope hangs; none for the root of an apex.
    edge: Option<(Edge, ScopeUid)>,
    /// The scopes in their order, with the height of the last link of each.
    scopes: Vec<(ScopeNo, u64)>,
    /// Scopes that were delegated by links of this export, with the label they hang at.
    edges: BTreeMap<ScopeUid, (ScopeNo, Vec<u8>)>,
    added: u64,
    present: u64,
}

type Outcome<T, R> = Result<R, RestoreError<<T as crate::index::view::IndexView>::Error>>;

impl Restore {
    /// An import of a scope that hangs at an edge of a parent, or of a root scope.
    pub fn new(header: Header, edge: Option<(Edge, ScopeUid)>) -> Self {
        Self {
            header,
            edge,
            scopes: Vec::new(),
            edges: BTreeMap::new(),
            added: 0,
            present: 0,
        }
    }

    /// Takes the next link.
    pub fn link<T: IndexTxn>(&mut self, txn: &mut T, bytes: Vec<u8>) -> Outcome<T, ()> {
        let number = self.added.saturating_add(self.present).saturating_add(1);
        let frame = Frame::read(&bytes).map_err(|source| RestoreRefusal::Frame {
            link: number,
            source,
        })?;
        // A large body need not be there twice while it is replayed.
        drop(bytes);
        let is_new = match frame {
            Frame::Founded { genesis, link } => self.found(txn, number, &genesis, &link)?,
            Frame::Continued { scope, link } => {
                let place = usize::try_from(scope).unwrap_or(usize::MAX);
                let seen = self.scopes.get_mut(place);
                let (no, last) = seen.ok_or(RestoreRefusal::Scope { link: number })?;
                let no = *no;
                *last += 1;
                let is_new = continued(txn, (number, *last), no, &link)?;
                let left = edges_left_by(txn, no, &link.body).map_err(RestoreError::Store)?;
                let left = left.into_iter().map(|(child, label)| (child, (no, label)));
                self.edges.extend(left);
                is_new
            }
        };
        self.added += u64::from(is_new);
        self.present += u64::from(!is_new);
        Ok(())
    }

    /// The scopes of the export that were seen so far.
    pub fn scopes(&self) -> impl Iterator<Item = ScopeNo> {
        self.scopes.iter().map(|(no, _)| *no)
    }

    /// Ends the import: all scopes of the header were there.
    pub fn finish(self) -> Result<Restored, RestoreRefusal> {
        if u32::try_from(self.scopes.len()) != Ok(self.header.scopes) {
            let link = self.header.links;
            return Err(RestoreRefusal::Scope { link });
        }
        Ok(Restored {
            scope: self.header.scope,
            scopes: self.header.scopes,
            added: self.added,
            present: self.present,
        })
    }

    fn found<T: IndexTxn>(
        &mut self,
        txn: &mut T,
        number: u64,
        genesis: &Descriptor,
        link: &Link,
    ) -> Outcome<T, bool> {
        let uid = genesis.scope_uid();
        let wanted = self.scopes.is_empty().then_some(self.header.scope);
        let count = u32::try_from(self.scopes.len()).unwrap_or(u32::MAX);
        if wanted.is_some_and(|wanted| wanted != uid) || count >= self.header.scopes {
            return Err(RestoreRefusal::Scope { link: number }.into());
        }
        if let Some(state) = state_of(txn, &uid)? {
            same(txn, &state, link)?;
            self.scopes.push((state.no, 0));
            return Ok(false);
        }
        let edge = match (&genesis.parent, &self.edge) {
            (None, None) => None,
            (Some(parent), Some((edge, above))) if wanted.is_some() && parent == above => {
                Some(edge.clone())
            }
            (Some(parent), _) if wanted.is_none() => Some(self.edge_below(txn, parent, &uid)?),
            (parent, _) => return Err(misplaced(uid, parent.as_ref()).into()),
        };
        let no = found(txn, genesis, edge, link).map_err(|error| rules(number, error))?;
        self.scopes.push((no, 0));
        Ok(true)
    }

    /// The edge at which a parent that is held delegates to a scope now.
    fn edge_below<T: IndexTxn>(
        &self,
        txn: &T,
        parent: &ScopeUid,
        uid: &ScopeUid,
    ) -> Outcome<T, Edge> {
        let above = state_of(txn, parent)?.ok_or_else(|| misplaced(*uid, Some(parent)))?;
        let seen = self.edges.get(uid).filter(|(no, _)| *no == above.no);
        let seen = seen.map(|(_, label)| label.as_slice());
        let label = label_of(txn, above.no, uid, seen).map_err(RestoreError::Store)?;
        let label = label.ok_or(RestoreRefusal::NotDelegated(*uid))?;
        Ok(above.child_edge(&label))
    }
}

/// Replays a link, or finds it held already. Every link of a scope has its turn in the file, also
/// where the scope is further already.
fn continued<T: IndexTxn>(
    txn: &mut T,
    (number, expected): (u64, u64),
    no: ScopeNo,
    link: &Link,
) -> Outcome<T, bool> {
    let state = txn.scope(no).map_err(RestoreError::Store)?;
    let state = state.ok_or(RestoreRefusal::Scope { link: number })?;
    let height = link.block.height;
    if height != expected {
        return Err(RestoreRefusal::Order {
            link: number,
            scope: state.uid,
            expected,
            found: height,
        }
        .into());
    }
    if height <= state.height {
        same(txn, &state, link)?;
        return Ok(false);
    }
    replay(txn, no, link).map_err(|error| rules(number, error))?;
    Ok(true)
}

fn state_of<T: IndexTxn>(txn: &T, uid: &ScopeUid) -> Outcome<T, Option<ScopeState>> {
    match txn.scope_no(uid).map_err(RestoreError::Store)? {
        Some(no) => txn.scope(no).map_err(RestoreError::Store),
        None => Ok(None),
    }
}

/// Whether the block that is held at the link's height is the link's.
fn same<T: IndexTxn>(txn: &T, state: &ScopeState, link: &Link) -> Outcome<T, ()> {
    let height = link.block.height;
    let held = txn.header(state.no, height).map_err(RestoreError::Store)?;
    let held = held.map_or(Digest::ZERO, |block| block.digest());
    let offered = link.block.digest();
    if held == offered {
        return Ok(());
    }
    Err(RestoreRefusal::Fork {
        scope: state.uid,
        height,
        held,
        offered,
    }
    .into())
}

fn misplaced(scope: ScopeUid, parent: Option<&ScopeUid>) -> RestoreRefusal {
    let belongs = match parent {
        None => "is the root of an apex and belongs below no other scope".to_owned(),
        Some(parent) => format!("belongs below scope {}", parent.short()),
    };
    RestoreRefusal::Misplaced { scope, belongs }
}

fn rules<E: std::error::Error + 'static>(link: u64, error: LinkError<E>) -> RestoreError<E> {
    let source = match error {
        LinkError::Store(error) => return RestoreError::Store(error),
        LinkError::UnknownScope(uid) => LinkError::UnknownScope(uid),
        LinkError::Header { height, field } => LinkError::Header { height, field },
        LinkError::Certificate { height, source } => LinkError::Certificate { height, source },
        LinkError::Warrant { height, source } => LinkError::Warrant { height, source },
        LinkError::Signer(error) => LinkError::Signer(error),
        LinkError::Signature { height } => LinkError::Signature { height },
        LinkError::Refused { height, refusal } => LinkError::Refused { height, refusal },
    };
    RestoreError::Refused(RestoreRefusal::Rules { link, source })
}
