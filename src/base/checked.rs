//! `Checked`: signatures that were seen to hold lately. The same proposal is read when it is laid, staged,
//! judged and added; checking its signature costs more than all of that.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex};

use super::digest::Digest;
use super::lock::locked;

/// Signatures of each generation; two of them are kept. What is decided together at a time, a few
/// times over, in 1 MiB.
const GENERATION_MAX: usize = 8_192;
/// Stirred into every digest, so that it is none of anything else.
const KEY: &[u8; 32] = b"kedge/checked v1; key, sig, text";

/// Signatures of this process that hold. Whether one does depends on nothing else, so that it may be
/// found out once; one that does not is never in it.
pub(super) static CHECKED: LazyLock<Checked> = LazyLock::new(Checked::default);

/// The digests of key, signature and message together, in the order of their generations.
#[derive(Debug, Default)]
pub(super) struct Checked(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: BTreeSet<Digest>,
    old: BTreeSet<Digest>,
}

impl Checked {
    /// Whether a signature holds: it did lately, or `verify` says so now.
    pub(super) fn holds(
        &self,
        (key, signature): (&[u8; 32], &[u8; 64]),
        message: &[u8],
        verify: impl FnOnce() -> bool,
    ) -> bool {
        let digest = digest(key, signature, message);
        if locked(&self.0).knows(&digest) {
            return true;
        }
        let holds = verify();
        if holds {
            locked(&self.0).add(digest);
        }
        holds
    }
}

impl Generations {
    /// What is asked for again stays.
    fn knows(&mut self, digest: &Digest) -> bool {
        if self.young.contains(digest) {
            return true;
        }
        let known = self.old.remove(digest);
        if known {
            self.add(*digest);
        }
        known
    }

    fn add(&mut self, digest: Digest) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest);
    }
}

/// Key and signature have one length each: no two triples give the same bytes.
fn digest(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> Digest {
    let mut bytes = Vec::with_capacity(key.len() + signature.len() + message.len());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(signature);
    bytes.extend_from_slice(message);
    Digest::keyed(KEY, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(checked: &Checked, (key, signature, message): (u8, u8, &[u8]), is_so: bool) -> bool {
        checked.holds((&[key; 32], &[signature; 64]), message, || is_so)
    }

    #[test]
    fn only_what_held_is_known_and_nothing_like_it() {
        let checked = Checked::default();
        assert!(!holds(&checked, (1, 2, b"m"), false));
        assert!(holds(&checked, (1, 2, b"m"), true));
        assert!(holds(&checked, (1, 2, b"m"), false), "it is known");
        for other in [(2, 2, &b"m"[..]), (1, 3, b"m"), (1, 2, b"n"), (1, 2, b"")] {
            assert!(!holds(&checked, other, false), "{other:?}");
        }
    }

    #[test]
    fn it_keeps_what_is_asked_for_and_no_more_than_its_bound() {
        let checked = Checked::default();
        let message = |number: usize| number.to_be_bytes();
        for number in 0..GENERATION_MAX * 3 {
            assert!(holds(&checked, (1, 2, &message(number)), true));
            assert!(holds(&checked, (1, 2, &message(0)), number == 0), "in use");
        }
        assert!(!holds(&checked, (1, 2, &message(1)), false), "long ago");
        let kept = locked(&checked.0);
        assert!(kept.young.len() <= GENERATION_MAX && kept.old.len() <= GENERATION_MAX);
    }
}
