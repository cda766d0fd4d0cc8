//! An entry that goes from one scope of this node to another: reserved, transferred and adopted in one
//! commit.

use crate::base::canonical::Form as _;
use crate::base::time::Timestamp;
use crate::governance::op::{Op, Precondition};
use crate::index::entry::Entry;
use crate::index::lineage::LinkError;
use crate::index::passage::{NoPassage, Passage};
use crate::index::proof::NoProof;
use crate::index::refusal::Refusal;
use crate::index::state::ScopeNo;
use crate::service::keyring::{Draft, KeyringError};
use crate::service::ports::{Clock, Store};

use super::queue::{Done, Move};
use super::{Writer, Writing, refused};

impl<S: Store, C: Clock> Writer<S, C> {
    pub(super) fn relocate<T: Writing<S>>(
        &self,
        txn: &mut T,
        plan: &Move,
        now: Timestamp,
    ) -> Result<Done, LinkError<S::Error>> {
        let store = LinkError::Store;
        let slot = txn
            .slot(plan.from, &plan.from_path)
            .map_err(store)?
            .unwrap_or_default();
        let Some(Entry::Bound(head)) = slot.entry else {
            return Err(refused(0, Refusal::NoEntry(plan.from_path.clone())));
        };
        let gone = || LinkError::UnknownScope(head.scope);
        let source = txn.scope(plan.from).map_err(store)?.ok_or_else(gone)?.uid;
        let target = txn.scope(plan.to).map_err(store)?.ok_or_else(gone)?.uid;
        let path = plan.to_path.clone();
        let reserve = Op::Reserve {
            path: path.clone(),
            uid: head.uid,
            from: source,
        };
        let absent = Precondition::Absent(path.clone());
        self.prepared(txn, plan.to, plan, (reserve, absent), now)?;
        let op = Op::Transfer {
            path: plan.from_path.clone(),
            to: target,
            to_path: path.clone(),
        };
        let same = Precondition::VersionIs(head.uid, head.number);
        self.prepared(txn, plan.from, plan, (op, same), now)?;
        let passage =
            Passage::make(txn, plan.from, &plan.from_path).map_err(|error| match error {
                NoPassage::View(error) | NoPassage::Proof(NoProof::View(error)) => store(error),
                error => refused(0, Refusal::NoPassage(error.to_string())),
            })?;
        let adopt = Op::Adopt {
            path: path.clone(),
            uid: head.uid,
            number: head.number,
            from: source,
            passage: passage.to_bytes(),
        };
        self.prepared(txn, plan.to, plan, (adopt, Precondition::Absent(path)), now)
    }

    fn prepared<T: Writing<S>>(
        &self,
        txn: &mut T,
        no: ScopeNo,
        plan: &Move,
        (op, precondition): (Op, Precondition),
        now: Timestamp,
    ) -> Result<Done, LinkError<S::Error>> {
        let state = txn.scope(no).map_err(LinkError::Store)?;
        let state = state.ok_or_else(|| refused(0, Refusal::NoChange))?;
        let draft = Draft {
            ops: vec![op],
            preconditions: vec![precondition],
            note: plan.note.clone(),
            nonce: plan.nonce,
        };
        let candidate = self
            .keyring
            .author(&state, draft, now)
            .map_err(|error| match error {
                KeyringError::Refused(refusal) => refused(0, refusal),
                KeyringError::Signer(error) => error.into(),
            })?;
        self.one(txn, no, candidate, now)
    }
}
