//! The labels of a name in wire form, walked from either end.

use std::cmp::Ordering;

use crate::base::limits::NAME_LABELS_MAX;

/// The labels of a name, leftmost first.
#[derive(Debug, Clone)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Labels<'a> {
    /// The labels of an uncompressed name.
    pub(super) fn new(wire: &'a [u8]) -> Self {
        Self { rest: wire }
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&length, tail) = self.rest.split_first()?;
        if length == 0 {
            return None;
        }
        let (label, rest) = tail.split_at_checked(usize::from(length))?;
        self.rest = rest;
        Some(label)
    }
}

/// The canonical order of RFC 4034 section 6.1: label by label from the root. Both names are
/// walked from the left, where walking is cheap; of the labels that differ the last one decides.
pub(super) fn canonical_order(a: &[u8], b: &[u8]) -> Ordering {
    let (more, less) = (Labels::new(a).count(), Labels::new(b).count());
    let common = more.min(less);
    let a = Labels::new(a).skip(more - common);
    let b = Labels::new(b).skip(less - common);
    a.zip(b)
        .fold(more.cmp(&less), |order, (a, b)| a.cmp(b).then(order))
}

/// The labels of a name, from the root side to the left.
#[derive(Debug, Clone)]
pub struct LabelsDown<'a> {
    wire: &'a [u8],
    /// Where each label's length byte stands, leftmost first.
    starts: [u8; NAME_LABELS_MAX],
    /// The labels from here on were given out from the root side.
    end: usize,
}

impl<'a> LabelsDown<'a> {
    /// The labels of an uncompressed name.
    pub(super) fn new(wire: &'a [u8]) -> Self {
        let mut starts = [0; NAME_LABELS_MAX];
        let mut end = 0;
        let mut at = 0_u8;
        for (label, start) in Labels::new(wire).zip(&mut starts) {
            *start = at;
            // A name is shorter than 256 bytes, so neither is ever cut.
            at = at.saturating_add(u8::try_from(label.len() + 1).unwrap_or(u8::MAX));
            end += 1;
        }
        Self { wire, starts, end }
    }
}

impl<'a> Iterator for LabelsDown<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.end = self.end.checked_sub(1)?;
        let start = usize::from(*self.starts.get(self.end)?);
        let (&length, tail) = self.wire.get(start..)?.split_first()?;
        tail.get(..usize::from(length))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end, Some(self.end))
    }
}
