//! Histories: the versions of an entry, and the blocks that made them.

use crate::governance::descriptor::Descriptor;
use crate::governance::op::Op;
use crate::namespace::uid::Uid;

use super::entry::{Entry, Version};
use super::state::ScopeState;
use super::view::{IndexView, Link};

/// Every version of an entry that is known here, newest first, at most `count`.
pub fn versions<V: IndexView>(view: &V, uid: &Uid, count: usize) -> Result<Vec<Version>, V::Error> {
    let mut found = Vec::new();
    let mut number = if let Some(head) = head(view, uid)? {
        let number = head.number;
        found.push(head);
        number
    } else {
        // No head: the last archived version is the newest. Numbers have no gaps.
        let mut next = 1;
        while view.archived(uid, next)?.is_some() {
            next += 1;
        }
        next
    };
    while found.len() < count && number > 1 {
        number -= 1;
        match view.archived(uid, number)? {
            Some(version) => found.push(version),
            None => break,
        }
    }
    Ok(found)
}

/// One version of an entry, the head or an older one.
pub fn version<V: IndexView>(
    view: &V,
    uid: &Uid,
    number: u64,
) -> Result<Option<Version>, V::Error> {
    match view.archived(uid, number)? {
        Some(version) => Ok(Some(version)),
        None => Ok(head(view, uid)?.filter(|head| head.number == number)),
    }
}

/// The version that answers now.
pub fn head<V: IndexView>(view: &V, uid: &Uid) -> Result<Option<Version>, V::Error> {
    let Some(location) = view.locate(uid)? else {
        return Ok(None);
    };
    let slot = view
        .slot(location.scope, &location.path)?
        .unwrap_or_default();
    Ok(match slot.entry {
        Some(Entry::Bound(version)) if version.uid == *uid => Some(version),
        _ => None,
    })
}

/// The block that made a version; none if its scope is not held here. Within a lineage time only
/// rises, and a version bears the time of its block.
pub fn link_of<V: IndexView>(view: &V, version: &Version) -> Result<Option<Link>, V::Error> {
    let Some(no) = view.scope_no(&version.scope)? else {
        return Ok(None);
    };
    let Some(state) = view.scope(no)? else {
        return Ok(None);
    };
    let (mut low, mut high) = (0, state.height);
    while low < high {
        let middle = low + (high - low) / 2;
        match view.header(no, middle)? {
            Some(header) if header.time < version.time => low = middle + 1,
            Some(_) => high = middle,
            None => return Ok(None),
        }
    }
    let link = view.link(no, low)?;
    Ok(link.filter(|link| link.block.time == version.time))
}

/// The last block of an epoch, which ended it. Epochs only rise with the height.
pub fn last_of<V: IndexView>(
    view: &V,
    state: &ScopeState,
    epoch: u64,
) -> Result<Option<Link>, V::Error> {
    let (mut low, mut high) = (0, state.height);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match view.header(state.no, middle)? {
            Some(header) if header.epoch <= epoch => low = middle,
            Some(_) => high = middle - 1,
            None => return Ok(None),
        }
    }
    view.link(state.no, low)
}

/// The descriptor that a block puts in force; none if it leaves it as it is.
pub fn next_descriptor(link: &Link) -> Option<Descriptor> {
    if let Some(recovered) = &link.body.recovered {
        return Some((**recovered).clone());
    }
    let proposals = link.body.decided.iter();
    let mut ops = proposals.flat_map(|decided| &decided.proposal.unverified().ops);
    ops.find_map(|op| match op {
        Op::Reconfigure { next, .. } if next.digest() == link.block.next_descriptor => {
            Some((**next).clone())
        }
        _ => None,
    })
}

/// The descriptor that elects the voters of a block that is held.
pub fn voters_of<V: IndexView>(
    view: &V,
    state: &ScopeState,
    height: u64,
) -> Result<Option<Descriptor>, V::Error> {
    let Some(header) = view.header(state.no, height)? else {
        return Ok(None);
    };
    if header.descriptor == state.descriptor_digest {
        return Ok(Some(state.descriptor.clone()));
    }
    match header.epoch.checked_sub(1) {
        None => view.genesis(state.no),
        Some(before) => {
            let link = last_of(view, state, before)?;
            Ok(link.as_ref().and_then(next_descriptor))
        }
    }
}
