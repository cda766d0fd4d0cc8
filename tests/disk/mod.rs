//! A disk in memory: it loses what was not synced, tears writes, dies or fills up when told to.

#![allow(
    clippy::allow_attributes,
    dead_code,
    unreachable_pub,
    reason = "each test crate that includes this file uses a part of it"
)]

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// Bytes that reach the disk together or not at all.
const SECTOR: usize = 512;

/// A disk; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What the program reads back.
    live: Vec<u8>,
    /// What a crash cannot take.
    durable: Vec<u8>,
    /// What happened since, in order.
    pending: Vec<Pending>,
    /// Writes, length changes and syncs so far.
    steps: u64,
    fault: Option<Fault>,
    is_dead: bool,
}

#[derive(Debug)]
enum Pending {
    Length(usize),
    Write(usize, Vec<u8>),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The machine stops at a step; the seed decides what of the unsynced reached the disk.
    Crash { at: u64, seed: u64 },
    /// Every growth beyond so many bytes fails.
    Full { bytes: u64 },
}

/// A generator of the same numbers for the same seed.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below a bound (splitmix64).
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = (mixed ^ (mixed >> 31)) % u64::try_from(bound.max(1)).unwrap();
        usize::try_from(mixed).unwrap()
    }
}

impl Disk {
    /// An empty disk that never fails.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk with these bytes on it.
    pub fn of(bytes: Vec<u8>) -> Self {
        let disk = Self::new();
        disk.state().live.clone_from(&bytes);
        disk.state().durable = bytes;
        disk
    }

    /// Sets what goes wrong from now on.
    pub fn fail(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// Repairs the disk, or restarts the machine: what was lost stays lost.
    pub fn restart(&self) {
        let mut state = self.state();
        state.fault = None;
        if state.is_dead {
            state.is_dead = false;
            let durable = state.durable.clone();
            state.live = durable;
            state.pending.clear();
        }
    }

    /// Writes, length changes and syncs so far.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Whether it has died.
    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// A copy of what is on it.
    pub fn bytes(&self) -> Vec<u8> {
        self.state().live.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        self.steps += 1;
        match self.fault {
            Some(Fault::Crash { at, seed }) if !self.is_dead && self.steps >= at => {
                self.crash(seed);
            }
            _ => {}
        }
        self.alive()
    }

    fn alive(&self) -> io::Result<()> {
        if self.is_dead {
            Err(io::Error::other("the machine is off"))
        } else {
            Ok(())
        }
    }

    /// Each unsynced write reaches the disk whole, in part, or not at all.
    fn crash(&mut self, seed: u64) {
        let mut chance = Chance::new(seed);
        self.is_dead = true;
        for pending in std::mem::take(&mut self.pending) {
            let fate = chance.below(3);
            match pending {
                Pending::Length(length) if fate > 0 => self.durable.resize(length, 0),
                Pending::Write(offset, bytes) if fate > 0 => {
                    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                        if fate == 1 || chance.below(2) == 0 {
                            put(&mut self.durable, offset + number * SECTOR, sector);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

fn put(target: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if target.len() < end {
        target.resize(end, 0);
    }
    target.get_mut(offset..end).unwrap().copy_from_slice(bytes);
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let state = self.state();
        state.alive()?;
        Ok(u64::try_from(state.live.len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        state.alive()?;
        let end = place(offset) + out.len();
        let bytes = state.live.get(place(offset)..end);
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        if let Some(Fault::Full { bytes }) = state.fault
            && len > bytes
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.live.resize(place(len), 0);
        state.pending.push(Pending::Length(place(len)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let State { live, durable, .. } = &mut *state;
        durable.clone_from(live);
        state.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        put(&mut state.live, place(offset), data);
        let pending = Pending::Write(place(offset), data.to_vec());
        state.pending.push(pending);
        Ok(())
    }
}
