//! `Export`: the lineages of a scope, or of a whole tree, written from one snapshot.

use std::collections::BTreeMap;

use crate::base::canonical::{DecodeError, Form};
use crate::base::digest::{Digest, DigestStream};
use crate::index::state::ScopeNo;
use crate::index::view::{BlockAt, IndexView, Link};
use crate::namespace::scope::ScopeUid;

use super::{Frame, Header};

/// Whoever takes the bytes wants no more of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// Why an export is not whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError<E: std::error::Error + 'static> {
    /// The index could not be read.
    #[error("the index could not be read")]
    View(#[source] E),
    /// A row that must be there is not.
    #[error("the store lacks {what} of scope {}", .scope.0)]
    Missing {
        /// What.
        what: &'static str,
        /// The scope.
        scope: ScopeNo,
    },
    /// A link has no form that could be read again.
    #[error("a link cannot be written")]
    Link(#[source] DecodeError),
    /// Nobody takes the bytes any more.
    #[error("whoever took the export went away")]
    Stopped,
}

/// What an export will hold.
#[derive(Debug, Clone)]
pub struct Export {
    header: Header,
    root: ScopeNo,
    /// The place of each scope among those of the export. Local numbers rise in the order of
    /// founding, so they give the places.
    places: BTreeMap<ScopeNo, u32>,
}

/// Where the bytes go, and their digest so far.
struct Output<S> {
    sink: S,
    stream: DigestStream,
}

impl<S: FnMut(Vec<u8>) -> Result<(), Stopped>> Output<S> {
    fn put<E: std::error::Error>(&mut self, bytes: Vec<u8>) -> Result<(), ExportError<E>> {
        self.stream.push(&bytes);
        (self.sink)(bytes).map_err(|Stopped| ExportError::Stopped)
    }
}

impl Export {
    /// An export of one scope, or of the scope and all that are held below it.
    pub fn of<V: IndexView>(
        view: &V,
        root: ScopeNo,
        tree: bool,
    ) -> Result<Self, ExportError<V::Error>> {
        let mut places = BTreeMap::new();
        let (mut links, mut scopes) = (0u64, 0u32);
        let mut uid = None;
        let end = if tree {
            view.scope_count().map_err(ExportError::View)?
        } else {
            root.0.saturating_add(1)
        };
        for no in (root.0..end).map(ScopeNo) {
            let state = view.scope(no).map_err(ExportError::View)?;
            let state = state.ok_or(missing("the state", no))?;
            // A parent has a lower number than its children, so it was met before them.
            let above = state.edge.as_ref().map(|edge| edge.parent);
            if no == root {
                uid = Some(state.uid);
            } else if !above.is_some_and(|parent| places.contains_key(&parent)) {
                continue;
            }
            places.insert(no, scopes);
            scopes = scopes.saturating_add(1);
            links = links.saturating_add(state.height).saturating_add(1);
        }
        let scope: ScopeUid = uid.ok_or(missing("the state", root))?;
        let header = Header {
            scope,
            scopes,
            links,
        };
        Ok(Self {
            header,
            root,
            places,
        })
    }

    /// What it begins with.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Writes it in pieces of at most one link, and gives the digest that ends it. The view must be
    /// the one that it was made of.
    pub fn write<V: IndexView>(
        &self,
        view: &V,
        sink: impl FnMut(Vec<u8>) -> Result<(), Stopped>,
    ) -> Result<Digest, ExportError<V::Error>> {
        let mut output = Output {
            sink,
            stream: DigestStream::new(Header::LABEL),
        };
        output.put(self.header.to_bytes())?;
        if self.places.len() == 1 {
            for height in 0..self.header.links {
                self.link(view, self.root, height, &mut output)?;
            }
        } else {
            // Moves between the scopes replay in the order in which they were committed.
            let commits = view.commit_count().map_err(ExportError::View)?;
            for sequence in 0..commits {
                let at = view.committed(sequence).map_err(ExportError::View)?;
                let BlockAt { scope, height } = at.ok_or(missing("a commit", self.root))?;
                if self.places.contains_key(&scope) {
                    self.link(view, scope, height, &mut output)?;
                }
            }
        }
        let digest = output.stream.digest();
        output.put(digest.as_bytes().to_vec())?;
        Ok(digest)
    }

    fn link<V: IndexView, S: FnMut(Vec<u8>) -> Result<(), Stopped>>(
        &self,
        view: &V,
        scope: ScopeNo,
        height: u64,
        output: &mut Output<S>,
    ) -> Result<(), ExportError<V::Error>> {
        let link: Option<Link> = view.link(scope, height).map_err(ExportError::View)?;
        let link = link.ok_or(missing("a block", scope))?;
        let frame = if height == 0 {
            let genesis = view.genesis(scope).map_err(ExportError::View)?;
            Frame::Founded {
                genesis: Box::new(genesis.ok_or(missing("the genesis", scope))?),
                link,
            }
        } else {
            let place = self.places.get(&scope);
            Frame::Continued {
                scope: place.copied().ok_or(missing("the place", scope))?,
                link,
            }
        };
        for piece in frame.pieces().map_err(ExportError::Link)? {
            output.put(piece)?;
        }
        Ok(())
    }
}

fn missing<E: std::error::Error>(what: &'static str, scope: ScopeNo) -> ExportError<E> {
    ExportError::Missing { what, scope }
}
