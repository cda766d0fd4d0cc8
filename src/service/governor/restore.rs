//! An export taken in: replayed in one transaction, so that all of it is there or nothing.

use std::io::Read;
use std::sync::{Arc, OnceLock};

use crate::index::export::{ExportFault, Framing, Restore, RestoreError, RestoreRefusal, Restored};
use crate::index::lineage::LinkError;
use crate::index::refusal::Refusal;
use crate::index::replica::ReplicaView;
use crate::index::state::{Edge, ScopeNo};
use crate::index::view::{IndexTxn, IndexView};
use crate::namespace::name::Name;
use crate::namespace::path::NamePath;
use crate::namespace::scope::ScopeUid;
use crate::service::ports::{Clock, Store};

use super::follow::frozen;
use super::{Answered, ChangeError, Committed, Writer, failure, no_apex, passed};

/// Bytes of an export that are read at once.
const READ_BYTES: usize = 1 << 16;

/// Where an exported scope is to be.
#[derive(Debug, Clone)]
pub enum Placement {
    /// At the top of a tree of its own.
    Apex(Name),
    /// Below a scope that is held here, at a label that it delegates.
    Below {
        /// The scope.
        parent: ScopeNo,
        /// The label.
        label: Vec<u8>,
    },
}

/// An export to be taken in.
pub struct Takeover {
    /// Where its scope is to be.
    pub placement: Placement,
    /// The whole file.
    pub source: Box<dyn Read + Send>,
    /// What was done, once it is.
    pub done: Arc<OnceLock<Restored>>,
}

impl std::fmt::Debug for Takeover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Takeover")
            .field("placement", &self.placement)
            .finish_non_exhaustive()
    }
}

/// Why nothing was taken in.
pub(super) enum NotTaken<E: std::error::Error + 'static> {
    Store(E),
    Change(ChangeError),
}

impl<E: std::error::Error + 'static> From<ExportFault> for NotTaken<E> {
    fn from(fault: ExportFault) -> Self {
        RestoreRefusal::from(fault).into()
    }
}

impl<E: std::error::Error + 'static> From<RestoreRefusal> for NotTaken<E> {
    fn from(refusal: RestoreRefusal) -> Self {
        Self::Change(ChangeError::Restore(Arc::new(refusal)))
    }
}

impl<E: std::error::Error + 'static> From<RestoreError<E>> for NotTaken<E> {
    fn from(error: RestoreError<E>) -> Self {
        match error {
            RestoreError::Refused(refusal) => refusal.into(),
            RestoreError::Store(error) => Self::Store(error),
        }
    }
}

impl<S: Store, C: Clock> Writer<S, C> {
    /// Takes an export in, or leaves no trace of it.
    pub(super) fn take_over(&self, mut takeover: Takeover) -> Answered {
        let mut refused = None;
        let result = self.store.write(|txn| {
            take(txn, &mut takeover).map_err(|error| match error {
                NotTaken::Store(error) => LinkError::Store(error),
                NotTaken::Change(why) => {
                    refused = Some(why);
                    // Gives the transaction up; what is answered is `refused`.
                    LinkError::Signature { height: 0 }
                }
            })
        });
        match (result, refused) {
            (_, Some(why)) => Err(why),
            (Err(error), None) => Err(failure(&error)),
            (Ok((committed, restored)), None) => {
                takeover.done.get_or_init(|| restored);
                Ok(passed(committed))
            }
        }
    }
}

fn take<T: IndexTxn + ReplicaView<Failure = <T as IndexView>::Error>>(
    txn: &mut T,
    takeover: &mut Takeover,
) -> Result<(Committed, Restored), NotTaken<<T as IndexView>::Error>> {
    let mut framing = Framing::keeping();
    let mut restore: Option<Restore> = None;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = takeover.source.read(&mut buffer).map_err(|error| {
            let error = format!("the file that is imported cannot be read: {error}");
            NotTaken::Change(ChangeError::Store(error))
        })?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        framing.push(bytes, |header, link| {
            let under_way = match restore.take() {
                Some(restore) => restore,
                None => Restore::new(header, edge(txn, &takeover.placement, &header.scope)?),
            };
            let under_way = restore.insert(under_way);
            under_way.link(txn, link).map_err(NotTaken::from)
        })?;
    }
    framing.finish()?;
    let restore = restore.ok_or(ExportFault::Foreign)?;
    for no in restore.scopes() {
        let state = txn.scope(no).map_err(NotTaken::Store)?;
        let uid = state.ok_or(ExportFault::Foreign)?.uid;
        if let Some(fork) = txn.fork(&uid).map_err(NotTaken::Store)? {
            return Err(NotTaken::Change(frozen(&fork).into()));
        }
    }
    let restored = restore.finish()?;
    let uid = restored.scope;
    if let Placement::Apex(name) = &takeover.placement {
        txn.put_apex(name, &uid).map_err(NotTaken::Store)?;
    }
    let no = txn.scope_no(&uid).map_err(NotTaken::Store)?;
    let no = no.ok_or(ExportFault::Foreign)?;
    let state = txn.scope(no).map_err(NotTaken::Store)?;
    let state = state.ok_or(ExportFault::Foreign)?;
    let committed = Committed {
        scope: no,
        height: state.height,
        block: state.head,
        time: state.head_time,
    };
    Ok((committed, restored))
}

/// The edge at which a scope is to hang, and the parent's identity; none for an apex.
pub(super) fn edge<T: IndexTxn>(
    txn: &T,
    placement: &Placement,
    uid: &ScopeUid,
) -> Result<Option<(Edge, ScopeUid)>, NotTaken<<T as IndexView>::Error>> {
    match placement {
        Placement::Apex(name) => {
            let present = txn.apexes().map_err(NotTaken::Store)?;
            if present.iter().any(|apex| (&apex.0, &apex.1) == (name, uid)) {
                return Ok(None);
            }
            let held = txn.scope_no(uid).map_err(NotTaken::Store)?.is_some();
            let elsewhere = Some("the scope of the export is held here already, elsewhere");
            let reason = elsewhere.filter(|_| held).or(no_apex(name, &present));
            match reason {
                None => Ok(None),
                Some(reason) => {
                    let name = name.clone();
                    let refusal = Refusal::Apex { name, reason };
                    Err(NotTaken::Change(refusal.into()))
                }
            }
        }
        Placement::Below { parent, label } => {
            let path = NamePath::empty().child(label);
            let slot = txn.slot(*parent, &path).map_err(NotTaken::Store)?;
            let entry = slot.and_then(|slot| slot.entry);
            if entry != Some(crate::index::entry::Entry::Delegated(*uid)) {
                return Err(RestoreRefusal::NotDelegated(*uid).into());
            }
            let above = txn.scope(*parent).map_err(NotTaken::Store)?;
            let above = above.ok_or(RestoreRefusal::NotDelegated(*uid))?;
            Ok(Some((above.child_edge(label), above.uid)))
        }
    }
}
