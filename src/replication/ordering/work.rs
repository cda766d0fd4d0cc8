//! `Work`: what one step of a sitting gathers.

use std::collections::{BTreeMap, VecDeque};

use crate::base::time::Timestamp;
use crate::governance::anchor::AnchorId;

use super::engine::Input;
use super::journal::Row;
use super::terms::Action;
use super::timer::Timer;

/// What a step gathers.
pub(super) struct Work {
    pub(super) now: Timestamp,
    pub(super) entries: Vec<Row>,
    pub(super) guards: Vec<Row>,
    pub(super) timers: Vec<Row>,
    pub(super) then: Vec<Action>,
    /// For every seat but one, or for one alone.
    pub(super) queue: VecDeque<(For, Input)>,
    /// When timers run out that an earlier run started.
    pub(super) started: BTreeMap<(AnchorId, Timer), Timestamp>,
}

#[derive(Clone, Copy)]
pub(super) enum For {
    All,
    AllBut(u16),
    Only(u16),
}

impl For {
    pub(super) const fn is_for(self, seat: u16) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(other) => other != seat,
            Self::Only(one) => one == seat,
        }
    }
}

impl Work {
    pub(super) fn at(now: Timestamp) -> Self {
        Self {
            now,
            entries: Vec::new(),
            guards: Vec::new(),
            timers: Vec::new(),
            then: Vec::new(),
            queue: VecDeque::new(),
            started: BTreeMap::new(),
        }
    }
}
