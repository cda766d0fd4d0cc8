//! `Challenges`: nonces that wait for their proof; each is used once, soon, by who asked for it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::base::limits::{CHALLENGE_SECS, CHALLENGES_MAX, CHALLENGES_PER_NETWORK_MAX};
use crate::base::subscriber::subscriber_of;
use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

use super::{DeviceProof, Handle, Nonce};

/// What a challenge is asked for. Whether there is such a scope or device is not looked at: the
/// answer would tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The private scope.
    pub scope: ScopeUid,
    /// What the device presents.
    pub handle: Handle,
    /// Where it is.
    pub address: IpAddr,
}

/// A nonce with its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// The nonce.
    pub nonce: Nonce,
    /// The last moment at which a proof may use it.
    pub until: Timestamp,
}

/// Why there is no challenge, or none for a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoChallenge {
    /// One network asked for too many.
    #[error(
        "more than {CHALLENGES_PER_NETWORK_MAX} challenges in {CHALLENGE_SECS} seconds for one network"
    )]
    TooMany,
    /// The nonce was never given, was used, or its time is over; or a later one took its place.
    #[error("the proof is for no challenge that is open")]
    Unknown,
    /// It was given for another scope, handle or address.
    #[error("the proof is for a challenge of another scope, handle or address")]
    Other,
}

/// One challenge that was given; kept for its time also when it is used, as it counts for its
/// network.
#[derive(Debug, Clone, Copy)]
struct Given {
    asked: Asked,
    nonce: Nonce,
    time: Timestamp,
    open: bool,
}

/// The challenges of the last minute.
#[derive(Debug, Default)]
pub struct Challenges {
    given: BTreeMap<u64, Given>,
    by_nonce: BTreeMap<Nonce, u64>,
    /// The open challenge of each handle. There is one at most: a proof for an older one would
    /// come after a later proof, and look like that of a copy.
    by_handle: BTreeMap<(ScopeUid, Handle), u64>,
    by_network: BTreeMap<IpAddr, usize>,
    last: u64,
}

impl Challenges {
    /// Gives a challenge with a nonce that nobody could foresee. The oldest goes when there is no
    /// room: its device asks again.
    pub fn give(
        &mut self,
        asked: Asked,
        nonce: Nonce,
        now: Timestamp,
    ) -> Result<Challenge, NoChallenge> {
        self.expire(now);
        let network = subscriber_of(asked.address);
        if self
            .by_network
            .get(&network)
            .is_some_and(|count| *count >= CHALLENGES_PER_NETWORK_MAX)
        {
            return Err(NoChallenge::TooMany);
        }
        if self.given.len() >= CHALLENGES_MAX
            && let Some(oldest) = self.given.keys().next().copied()
        {
            self.forget(oldest);
        }
        self.last += 1;
        let number = self.last;
        let handle = (asked.scope, asked.handle);
        if let Some(before) = self.by_handle.insert(handle, number)
            && let Some(given) = self.given.get_mut(&before)
        {
            given.open = false;
        }
        *self.by_network.entry(network).or_default() += 1;
        self.by_nonce.insert(nonce, number);
        let time = now;
        let open = true;
        self.given.insert(
            number,
            Given {
                asked,
                nonce,
                time,
                open,
            },
        );
        let until = now.plus_millis(CHALLENGE_SECS * 1_000);
        Ok(Challenge { nonce, until })
    }

    /// Uses up the challenge of a proof that came from an address.
    pub fn take(
        &mut self,
        proof: &DeviceProof,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<(), NoChallenge> {
        self.expire(now);
        let statement = &proof.statement;
        let number = self.by_nonce.get(&statement.nonce).copied();
        let given = number.and_then(|number| self.given.get_mut(&number));
        let given = given
            .filter(|given| given.open)
            .ok_or(NoChallenge::Unknown)?;
        // Used up even if it does not fit: nobody tries twice.
        given.open = false;
        let asked = given.asked;
        self.by_handle.remove(&(asked.scope, asked.handle));
        let said = Asked {
            scope: statement.scope,
            handle: statement.handle,
            address: statement.address.to_canonical(),
        };
        let came_from = from.to_canonical() == asked.address.to_canonical();
        let as_asked = Asked {
            address: asked.address.to_canonical(),
            ..asked
        };
        if said == as_asked && came_from {
            Ok(())
        } else {
            Err(NoChallenge::Other)
        }
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.given.len()
    }

    /// Forgets what is over; also what is of a time to come, as the clock was set back then.
    fn expire(&mut self, now: Timestamp) {
        let over = |given: &Given| {
            let until = given.time.plus_millis(CHALLENGE_SECS * 1_000);
            now < given.time || until < now
        };
        while let Some((number, given)) = self.given.first_key_value()
            && over(given)
        {
            self.forget(*number);
        }
    }

    fn forget(&mut self, number: u64) {
        let Some(given) = self.given.remove(&number) else {
            return;
        };
        self.by_nonce.remove(&given.nonce);
        let handle = (given.asked.scope, given.asked.handle);
        if self.by_handle.get(&handle) == Some(&number) {
            self.by_handle.remove(&handle);
        }
        let network = subscriber_of(given.asked.address);
        if let Some(count) = self.by_network.get_mut(&network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
    }
}
