//! Histories: the versions of an entry, and the blocks that made them.

use crate::namespace::uid::Uid;

use super::entry::{Entry, Version};
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
