//! Chains under lost, late, copied and repeated messages.

use std::collections::BTreeSet;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::base::limits::{
    CHALLENGE_SECS, CHALLENGES_MAX, CHALLENGES_PER_NETWORK_MAX, PRESENCES_MAX,
    PRESENCES_PER_DEVICE_MAX,
};
use crate::base::time::Timestamp;
use crate::namespace::scope::ScopeUid;

fn scope(byte: u8) -> ScopeUid {
    ScopeUid::new(Digest::from_bytes([byte; 32]))
}

fn secrets(byte: u8) -> (Secret, Secret) {
    (Secret::new([byte; 32]), Secret::new([byte + 1; 32]))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A node with one device, without the parts that wait.
struct Node {
    record: DeviceRecord,
    challenges: Challenges,
    presences: Presences,
    now: Timestamp,
    nonces: u64,
}

const DEVICE: DeviceId = DeviceId::from_bytes([9; 16]);
const PRESENCE_MILLIS: u64 = 900_000;

impl Node {
    fn new() -> (Self, DeviceFile) {
        let (mark, value) = secrets(1);
        let now = Timestamp::from_millis(1_000_000);
        let record = DeviceRecord::new("phone".into(), (mark.clone(), value.clone()), now);
        let node = Self {
            record,
            challenges: Challenges::default(),
            presences: Presences::default(),
            now,
            nonces: 0,
        };
        let file = DeviceFile {
            scope: scope(1),
            mark,
            value,
            servers: Vec::new(),
        };
        (node, file)
    }

    fn nonce(&mut self) -> Nonce {
        self.nonces += 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.nonces.to_be_bytes());
        Nonce::new(bytes)
    }

    /// What a device sends after it asked for a challenge.
    fn asked(&mut self, file: &DeviceFile, from: IpAddr) -> DeviceProof {
        let asked = Asked {
            scope: file.scope,
            handle: file.handle(),
            address: from,
        };
        let nonce = self.nonce();
        let challenge = self.challenges.give(asked, nonce, self.now).unwrap();
        let entropy = self.nonce();
        file.prove(challenge.nonce, entropy, from)
    }

    fn judge(&mut self, proof: &DeviceProof, from: IpAddr) -> Option<Digest> {
        self.challenges.take(proof, from, self.now).ok()?;
        if proof.statement.scope != scope(1) {
            return None;
        }
        match self.record.judge(proof, self.now) {
            Finding::Foreign | Finding::Dead(_) => None,
            Finding::Copied(record) => {
                self.record = *record;
                self.presences = self.presences.without(&scope(1), &DEVICE);
                None
            }
            Finding::Proved { next, shown } => {
                self.record = *next;
                let present = Present {
                    scope: scope(1),
                    device: DEVICE,
                    until: self.now.plus_millis(PRESENCE_MILLIS),
                };
                self.presences = self.presences.with(from, present, self.now);
                Some(proof.statement.seal(&shown))
            }
        }
    }

    /// One step that nothing disturbs.
    fn step(&mut self, file: &mut DeviceFile, from: IpAddr) -> bool {
        let proof = self.asked(file, from);
        let Some(seal) = self.judge(&proof, from) else {
            return false;
        };
        *file = file.after(&proof, &seal).expect("the node's own seal");
        true
    }

    fn crash(&mut self) {
        self.challenges = Challenges::default();
        self.presences = Presences::default();
    }

    fn is_broken(&self) -> bool {
        let why = Death::Broken;
        matches!(self.record.state, DeviceState::Dead { why: is, .. } if is == why)
    }

    fn is_present(&self, from: IpAddr) -> bool {
        self.presences.holds(from, &scope(1), self.now)
    }
}

/// What happens to a device and its node.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A step that nothing disturbs.
    Step,
    /// The proof never arrives.
    RequestLost,
    /// The proof arrives some time later, if at all.
    RequestLate,
    /// The answer never arrives, or the device stops before it has written it down.
    AnswerLost,
    /// A proof that is under way arrives.
    Arrives(usize),
    /// A proof that arrived before arrives again, from wherever.
    Replayed(usize, bool),
    /// The node stops and starts again.
    NodeCrash,
    /// Somebody who saw the present handle asks for a challenge for it.
    Meddles,
    /// Somebody changes a byte of a proof on its way.
    Tampered(usize, u8),
    Passes(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Step),
        2 => Just(Event::RequestLost),
        3 => Just(Event::RequestLate),
        3 => Just(Event::AnswerLost),
        3 => (0usize..8).prop_map(Event::Arrives),
        3 => (0usize..64, any::<bool>()).prop_map(|(which, near)| Event::Replayed(which, near)),
        1 => Just(Event::NodeCrash),
        2 => Just(Event::Meddles),
        2 => (0usize..300, 1u8..).prop_map(|(at, bits)| Event::Tampered(at, bits)),
        2 => (0u64..90_000).prop_map(Event::Passes),
    ]
}

/// One honest device among all that can go wrong.
struct Honest {
    node: Node,
    file: DeviceFile,
    under_way: Vec<DeviceProof>,
    arrived: Vec<DeviceProof>,
    /// Handles whose proof was answered: over for ever.
    over: BTreeSet<Handle>,
}

impl Honest {
    fn proof(&mut self) -> DeviceProof {
        // A busy minute would reach the limit of one network; that is tried elsewhere.
        self.node.now = self.node.now.plus_millis(2_000);
        assert!(
            !self.over.contains(&self.file.handle()),
            "a handle came back"
        );
        self.node.asked(&self.file, address("10.0.0.1"))
    }

    fn answered(&mut self, proof: &DeviceProof, seal: &Digest) {
        self.over.insert(self.file.handle());
        self.file = self.file.after(proof, seal).expect("the node's own seal");
    }

    fn happens(&mut self, event: Event) {
        let home = address("10.0.0.1");
        match event {
            Event::Step => {
                let proof = self.proof();
                let seal = self.node.judge(&proof, home).expect("an honest device");
                self.answered(&proof, &seal);
                self.arrived.push(proof);
                assert!(self.node.is_present(home));
            }
            Event::RequestLost => drop(self.proof()),
            Event::RequestLate => {
                let proof = self.proof();
                self.under_way.push(proof);
            }
            Event::AnswerLost => {
                let proof = self.proof();
                self.node.judge(&proof, home).expect("an honest device");
                self.arrived.push(proof);
            }
            Event::Arrives(which) if which < self.under_way.len() => {
                let proof = self.under_way.swap_remove(which);
                // Nobody waits for the answer any more.
                let _ = self.node.judge(&proof, home);
                self.arrived.push(proof);
            }
            Event::Replayed(which, near) if which < self.arrived.len() => {
                let proof = self.arrived[which].clone();
                let from = if near { home } else { address("192.0.2.7") };
                let before = self.node.presences.clone();
                assert_eq!(self.node.judge(&proof, from), None, "a replay");
                assert_eq!(self.node.presences, before);
            }
            Event::NodeCrash => self.node.crash(),
            Event::Meddles => {
                self.node.now = self.node.now.plus_millis(2_000);
                let other = address("192.0.2.7");
                let _ = self.node.asked(&self.file, other);
            }
            Event::Tampered(at, bits) => {
                let proof = self.proof();
                let mut bytes = crate::base::canonical::Form::to_bytes(&proof);
                let at = at % bytes.len();
                bytes[at] ^= bits;
                if let Ok(proof) = crate::base::canonical::Form::from_bytes(&bytes) {
                    assert_eq!(self.node.judge(&proof, home), None, "a forged proof");
                }
            }
            Event::Passes(millis) => self.node.now = self.node.now.plus_millis(millis),
            Event::Arrives(_) | Event::Replayed(..) => {}
        }
        assert!(
            !self.node.is_broken(),
            "an honest device was taken for copied"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn an_honest_device_is_never_locked_out(
        events in proptest::collection::vec(event(), 0..80),
    ) {
        let (node, file) = Node::new();
        let mut honest = Honest {
            node,
            file,
            under_way: Vec::new(),
            arrived: Vec::new(),
            over: BTreeSet::new(),
        };
        for event in events {
            honest.happens(event);
        }
        honest.happens(Event::Step);
    }

    /// Whatever was lost before: once both copies got through, the chain is broken.
    #[test]
    fn a_copy_is_found_out_once_both_are_used(
        before in 0usize..6,
        lossy in proptest::collection::vec((any::<bool>(), 0u8..3), 0..30),
        last in any::<bool>(),
    ) {
        let (mut node, mut file) = Node::new();
        let home = address("10.0.0.1");
        for _ in 0..before {
            prop_assert!(node.step(&mut file, home));
        }
        let mut files = [file.clone(), file];
        let sources = [home, address("192.0.2.7")];
        let mut answered = [false; 2];
        for (which, fate) in lossy {
            node.now = node.now.plus_millis(2_000);
            let at = usize::from(which);
            let proof = node.asked(&files[at], sources[at]);
            if fate == 0 {
                continue;
            }
            let seal = node.judge(&proof, sources[at]);
            if let (Some(seal), 2) = (seal, fate) {
                files[at] = files[at].after(&proof, &seal).unwrap();
                answered[at] = true;
            }
            if node.is_broken() {
                break;
            }
        }
        let (first, second) = (usize::from(last), usize::from(!last));
        // Each gets through once more, and the first again.
        for at in [first, first, second, first] {
            node.now = node.now.plus_millis(2_000);
            node.step(&mut files[at], sources[at]);
        }
        prop_assert!(node.is_broken(), "answered before: {answered:?}");
        prop_assert!(!node.is_present(sources[0]) && !node.is_present(sources[1]));
        prop_assert!(!node.step(&mut files[0], home) && !node.step(&mut files[1], home));
    }

    /// A whole command of a device is two steps: what lay on the disk before it is dead after it.
    #[test]
    fn a_copy_of_what_a_device_kept_before_its_last_command_is_found_out_at_once(
        before in 0usize..6,
        since in 1usize..4,
    ) {
        let (mut node, mut file) = Node::new();
        let home = address("10.0.0.1");
        for _ in 0..before {
            node.step(&mut file, home);
        }
        let mut copy = file.clone();
        for _ in 0..2 * since {
            node.now = node.now.plus_millis(2_000);
            prop_assert!(node.step(&mut file, home));
        }
        prop_assert!(!node.step(&mut copy, address("192.0.2.7")));
        prop_assert!(node.is_broken() && !node.is_present(home));
        prop_assert!(!node.is_present(address("192.0.2.7")));
    }
}

#[test]
fn a_challenge_holds_once_soon_and_for_what_it_was_asked_for() {
    let home = address("10.0.0.1");
    let (mut node, file) = Node::new();
    let proof = node.asked(&file, home);
    assert_eq!(node.judge(&proof, address("192.0.2.7")), None, "elsewhere");
    assert_eq!(node.judge(&proof, home), None, "used up by that");

    let proof = node.asked(&file, home);
    node.now = node.now.plus_millis(CHALLENGE_SECS * 1_000 + 1);
    let late = node.challenges.take(&proof, home, node.now);
    assert_eq!(late, Err(NoChallenge::Unknown));

    let elsewhere = DeviceFile {
        scope: scope(2),
        ..file.clone()
    };
    let other = node.asked(&elsewhere, home);
    let nonce = other.statement.nonce;
    let proof = file.prove(nonce, node.nonce(), home);
    let taken = node.challenges.take(&proof, home, node.now);
    assert_eq!(taken, Err(NoChallenge::Other), "of another scope");

    let first = node.asked(&file, home);
    let second = node.asked(&file, home);
    assert_eq!(node.judge(&first, home), None, "a later one took its place");
    assert!(node.judge(&second, home).is_some());
    assert_eq!(node.challenges.count(), 3);
    node.now = Timestamp::from_millis(0);
    assert_eq!(
        node.challenges.take(&second, home, node.now),
        Err(NoChallenge::Unknown)
    );
    assert_eq!(node.challenges.count(), 0, "the clock was set back");
}

#[test]
fn challenges_are_bounded_for_one_network_and_for_all() {
    let (mut node, file) = Node::new();
    let ask = |node: &mut Node, from: IpAddr| {
        let asked = Asked {
            scope: file.scope,
            handle: file.handle(),
            address: from,
        };
        let nonce = node.nonce();
        node.challenges.give(asked, nonce, node.now)
    };
    for host in 0..u16::try_from(CHALLENGES_PER_NETWORK_MAX).unwrap() {
        let from = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, host]);
        assert!(ask(&mut node, from).is_ok());
    }
    let same = ask(&mut node, address("2001:db8::ffff"));
    assert_eq!(same, Err(NoChallenge::TooMany));
    assert!(ask(&mut node, address("2001:db8:0:1::1")).is_ok());
    for number in 0..u32::try_from(2 * CHALLENGES_MAX).unwrap() {
        let from = IpAddr::from(std::net::Ipv4Addr::from(number));
        assert!(ask(&mut node, from).is_ok());
    }
    assert_eq!(node.challenges.count(), CHALLENGES_MAX);
    node.now = node.now.plus_millis(CHALLENGE_SECS * 1_000 + 1);
    assert!(ask(&mut node, address("2001:db8::ffff")).is_ok());
    assert_eq!(node.challenges.count(), 1);
}

#[test]
fn presences_end_and_are_bounded() {
    let now = Timestamp::from_millis(0);
    let at = |number: usize| IpAddr::from(std::net::Ipv4Addr::from(u32::try_from(number).unwrap()));
    let present = |device: usize, until: usize| Present {
        scope: scope(1),
        device: DeviceId::from_bytes(u128::try_from(device).unwrap().to_be_bytes()),
        until: Timestamp::from_millis(u64::try_from(until).unwrap()),
    };
    let mut presences = Presences::default();
    for place in 0..20 {
        presences = presences.with(at(place), present(1, 100 + place), now);
    }
    assert_eq!(presences.count(), PRESENCES_PER_DEVICE_MAX);
    assert!(presences.holds(at(19), &scope(1), now) && !presences.holds(at(0), &scope(1), now));
    assert!(!presences.holds(at(19), &scope(2), now));
    let mapped = address("::ffff:0.0.0.19");
    assert!(presences.holds(mapped, &scope(1), Timestamp::from_millis(119)));
    assert!(!presences.holds(at(19), &scope(1), Timestamp::from_millis(120)));
    for device in 0..PRESENCES_MAX {
        presences = presences.with(at(device), present(device + 2, 1_000 + device), now);
    }
    assert_eq!(presences.count(), PRESENCES_MAX);
    let gone = presences.without(&scope(1), &present(PRESENCES_MAX + 1, 0).device);
    assert_eq!(gone.count(), PRESENCES_MAX - 1);
    let later = Timestamp::from_millis(10_000);
    assert_eq!(gone.with(at(1), present(1, 20_000), later).count(), 1);
}

#[test]
fn a_server_that_does_not_have_the_chain_cannot_make_a_device_go_on() {
    let (mut node, file) = Node::new();
    let home = address("10.0.0.1");
    let proof = node.asked(&file, home);
    let seal = node.judge(&proof, home).unwrap();
    let (_, guess) = secrets(7);
    assert_eq!(file.after(&proof, &proof.statement.seal(&guess)), None);
    let other = node.asked(&file, home);
    assert_eq!(file.after(&other, &seal), None, "of another proof");
    assert!(file.after(&proof, &seal).is_some());
}

#[test]
fn a_renewed_device_goes_on_and_its_old_file_is_a_strangers() {
    let (mut node, mut file) = Node::new();
    let home = address("10.0.0.1");
    assert!(node.step(&mut file, home));
    let (mark, value) = secrets(5);
    node.record = node.record.renewed((mark.clone(), value.clone()), node.now);
    assert!(!node.step(&mut file, home));
    assert!(!node.is_broken(), "the old file is nobody's");
    let mut fresh = DeviceFile {
        mark,
        value,
        ..file
    };
    assert!(node.step(&mut fresh, home));
    node.record = node.record.dead(Death::Revoked, node.now);
    assert!(!node.step(&mut fresh, home));
}
