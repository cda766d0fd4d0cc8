//! Rules of the book.

use std::net::IpAddr;

use super::*;
use crate::base::digest::Digest;
use crate::base::keys::SecretKey;
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_millis(100_000_000);

fn service() -> Uid {
    Uid::from_bytes([7; 16])
}

fn standing() -> Standing {
    Standing {
        scope: ScopeUid::new(Digest::from_bytes([1; 32])),
        epoch: 0,
        path: NamePath::empty().child(b"api"),
    }
}

fn key() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

fn other_key() -> SecretKey {
    SecretKey::from_seed(&[2; 32])
}

fn lease(instance: &str, sequence: u64, issued: Timestamp, secs: u64) -> Lease {
    Lease {
        scope: standing().scope,
        service: service(),
        instance: instance.parse().unwrap(),
        address: IpAddr::from([10, 0, 0, 1]),
        port: 80,
        weight: 1,
        region: String::new(),
        condition: Condition::Up,
        check: Check::None,
        sequence,
        issued,
        expires: issued.plus_millis(secs * 1_000),
        may_empty: false,
        key: key().public(),
    }
}

/// Takes a lease and puts it in force; gives what is written down.
fn take(
    book: &mut Book,
    lease: &Lease,
    now: Timestamp,
) -> Result<(Taken, Vec<LeaseChange>), LeaseRefusal> {
    lease.judge(now, false)?;
    let signer = [key(), other_key()];
    let signer = signer.iter().find(|key| key.public() == lease.key);
    let verified = Verified::sign(lease.clone(), signer.unwrap()).unwrap();
    let mut draft = Draft::default();
    let taken = book.take(
        &mut draft,
        &verified,
        &standing(),
        Coming::by_announcer(now),
    )?;
    let changes = std::mem::take(&mut draft.changes);
    drop(book.commit(draft));
    Ok((taken, changes))
}

fn held(book: &Book, instance: &str) -> Option<Arc<Instance>> {
    let keeping = book.services.get(&service())?;
    let row = keeping.rows.get(&instance.parse().unwrap())?;
    Some(Arc::clone(&row.instance))
}

fn tick(book: &mut Book, now: Timestamp) -> Vec<LeaseChange> {
    let mut draft = Draft::default();
    book.tick(&mut draft, now);
    let changes = std::mem::take(&mut draft.changes);
    drop(book.commit(draft));
    changes
}

#[test]
fn an_older_lease_never_replaces_a_newer_one_whatever_became_of_it() {
    let mut book = Book::default();
    let first = lease("a", 1, START, 3_600);
    take(&mut book, &first, START).unwrap();
    let second = lease("a", 2, START, 10);
    assert!(take(&mut book, &second, START).is_ok());
    let ended = Lease {
        condition: Condition::Ended,
        may_empty: true,
        ..lease("a", 3, START, 10)
    };
    take(&mut book, &ended, START).unwrap();
    // For as long as the first one would still be in time, its replay is refused.
    for secs in [1, 60, 3_599] {
        let now = START.plus_millis(secs * 1_000);
        drop(tick(&mut book, now));
        let replayed = take(&mut book, &first, now);
        assert!(
            matches!(replayed, Err(LeaseRefusal::Sequence { said: 1, held: 3 })),
            "{secs}"
        );
    }
    let later = START.plus_millis(MEMORY_MILLIS);
    let changes = tick(&mut book, later);
    assert!(
        matches!(changes[..], [LeaseChange::Remove(_)]),
        "{changes:?}"
    );
    assert!(book.services.is_empty() && book.by_key.is_empty() && book.count == 0);
    let replayed = take(&mut book, &first, later);
    assert!(matches!(replayed, Err(LeaseRefusal::Expired { .. })));
}

#[test]
fn the_same_lease_again_is_no_fault_and_another_with_its_number_is() {
    let mut book = Book::default();
    let first = lease("a", 5, START, 30);
    take(&mut book, &first, START).unwrap();
    let (again, changes) = take(&mut book, &first, START).unwrap();
    assert!(again.renewed && changes.is_empty());
    let other = Lease {
        port: 81,
        ..first.clone()
    };
    assert!(matches!(
        take(&mut book, &other, START),
        Err(LeaseRefusal::Sequence { said: 5, held: 5 })
    ));
    let (renewed, changes) = take(&mut book, &lease("a", 6, START, 30), START).unwrap();
    assert!(renewed.renewed && changes.len() == 1);
    let heavier = Lease {
        weight: 2,
        ..lease("a", 7, START, 30)
    };
    assert!(!take(&mut book, &heavier, START).unwrap().0.renewed);
}

#[test]
fn a_clock_that_is_ahead_gives_no_longer_lease() {
    let mut book = Book::default();
    let ahead = START.plus_millis(CLOCK_AHEAD_MILLIS_MAX);
    take(&mut book, &lease("a", 1, ahead, 30), START).unwrap();
    let until = held(&book, "a").unwrap().until;
    assert_eq!(until, START.plus_millis(30_000));
}

#[test]
fn a_service_and_a_key_have_bounds() {
    let mut book = Book::default();
    let mut draft = Draft::default();
    let mut take = |number: usize, condition| {
        let lease = Lease {
            condition,
            may_empty: true,
            ..lease(&format!("i{number}"), 1, START, 30)
        };
        let verified = Verified::sign(lease, &key()).unwrap();
        book.take(
            &mut draft,
            &verified,
            &standing(),
            Coming::by_announcer(START),
        )
    };
    for number in 0..INSTANCES_PER_SERVICE_MAX {
        take(number, Condition::Up).unwrap();
    }
    let full = take(INSTANCES_PER_SERVICE_MAX, Condition::Up);
    assert!(matches!(full, Err(LeaseRefusal::Full { .. })));
    drop(book.commit(draft));
    assert_eq!(book.count, INSTANCES_PER_SERVICE_MAX);
}

#[test]
fn what_ended_while_the_node_was_down_counts_on_and_what_it_saw_end_does_not() {
    let kept = |instance: &str, lapsed| {
        let lease = Verified::sign(lease(instance, 1, START, 30), &key()).unwrap();
        KeptLease {
            held: HeldLease {
                lease: lease.signed().clone(),
                received: START,
                since: START,
            },
            lapsed,
        }
    };
    let now = START.plus_millis(600_000);
    let mut book = Book::open(vec![kept("seen", true), kept("unseen", false)], now);
    assert!(!held(&book, "seen").unwrap().is_live(now));
    assert!(held(&book, "unseen").unwrap().is_live(now));
    let after = now.plus_millis(30_000);
    let changes = tick(&mut book, after);
    assert!(
        matches!(changes[..], [LeaseChange::Lapsed(_)]),
        "{changes:?}"
    );
    assert!(!held(&book, "unseen").unwrap().is_live(after));
}

#[test]
fn rights_that_end_take_the_leases_along() {
    let mut book = Book::default();
    take(&mut book, &lease("a", 1, START, 30), START).unwrap();
    let mut draft = Draft::default();
    book.stand(&mut draft, service(), Some(&standing()), |_| true);
    assert!(draft.services.is_empty(), "nothing changed");
    book.stand(&mut draft, service(), Some(&standing()), |_| false);
    assert!(matches!(draft.changes[..], [LeaseChange::Remove(_)]));
    let changed = book.commit(draft);
    assert!(matches!(changed[..], [(_, None)]));
    assert!(book.by_key.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Announce(u8, u64, u64, Condition),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let conditions = prop::sample::select(Condition::ALL.to_vec());
    prop_oneof![
        3 => (0u8..3, 1u64..20, 2u64..100, conditions)
            .prop_map(|(which, sequence, secs, condition)| {
                Step::Announce(which, sequence, secs, condition)
            }),
        1 => (1u64..60).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever is announced in whatever order: sequences rise, nothing lives longer than its
    /// lease, the counts are those of the rows, and what is written down opens to the same.
    #[test]
    fn a_book_holds_its_rules(steps in prop::collection::vec(step(), 1..40)) {
        let mut book = Book::default();
        let mut now = START;
        let mut rows: BTreeMap<LeaseKey, HeldLease> = BTreeMap::new();
        for step in steps {
            let changes = match step {
                Step::Wait(secs) => {
                    now = now.plus_millis(secs * 1_000);
                    tick(&mut book, now)
                }
                Step::Announce(which, sequence, secs, condition) => {
                    let label = format!("i{which}");
                    let before = held(&book, &label).map(|held| held.sequence);
                    let lease = Lease {
                        condition,
                        may_empty: true,
                        ..lease(&label, sequence, now, secs)
                    };
                    match take(&mut book, &lease, now) {
                        Ok((taken, changes)) => {
                            prop_assert!(before.is_none_or(|before| before <= sequence));
                            prop_assert!(taken.instance.until <= lease.expires);
                            changes
                        }
                        Err(_) => Vec::new(),
                    }
                }
            };
            for change in changes {
                match change {
                    LeaseChange::Put(key, held) => drop(rows.insert(key, held)),
                    LeaseChange::Remove(key) => drop(rows.remove(&key)),
                    LeaseChange::Lapsed(_) => {}
                }
            }
            let count: usize = book.services.values().map(|one| one.rows.len()).sum();
            prop_assert_eq!(book.count, count);
            prop_assert_eq!(book.by_key.values().sum::<usize>(), count);
            prop_assert_eq!(rows.len(), count);
            prop_assert_eq!(book.due.len(), book.services.len());
        }
        let kept = rows.into_values();
        let kept = kept.map(|held| KeptLease { held, lapsed: true });
        let opened = Book::open(kept.collect(), now);
        let sequences = |book: &Book| -> Vec<(InstanceLabel, u64, Timestamp)> {
            let rows = book.services.values().flat_map(|one| one.rows.values());
            rows.map(|row| {
                let one = &row.instance;
                (one.label.clone(), one.sequence, one.until)
            })
            .collect()
        };
        prop_assert_eq!(sequences(&book), sequences(&opened));
    }
}

#[test]
fn nothing_that_is_shown_is_emptied_unless_that_is_meant() {
    let leaving = |condition, instance: &str, sequence, now| Lease {
        condition,
        ..lease(instance, sequence, now, 60)
    };
    let empties = |result: Result<_, _>| matches!(result, Err(LeaseRefusal::WouldBeEmpty { .. }));

    // The last known good of a service whose leases all ran out.
    let mut book = Book::default();
    for instance in ["a", "b", "c"] {
        take(&mut book, &lease(instance, 1, START, 10), START).unwrap();
    }
    let later = START.plus_millis(60_000);
    drop(tick(&mut book, later));
    let shown = |book: &Book, now| {
        let service = book.services[&service()].service(service());
        service.choose(now, |_| true).shown.len()
    };
    assert_eq!(shown(&book, later), 3);
    for condition in [Condition::Draining, Condition::Ended] {
        let one = leaving(condition, "a", 2, later);
        assert!(empties(take(&mut book, &one, later)), "{condition:?}");
    }
    let stranger = leaving(Condition::Draining, "d", 1, later);
    assert!(empties(take(&mut book, &stranger, later)));
    assert_eq!(shown(&book, later), 3);
    let meant = Lease {
        may_empty: true,
        ..leaving(Condition::Ended, "a", 2, later)
    };
    take(&mut book, &meant, later).unwrap();

    // The records of the entry itself, before it had any instance.
    let mut book = Book::default();
    let first = leaving(Condition::Draining, "a", 1, START);
    assert!(empties(take(&mut book, &first, START)));

    // A family of addresses.
    take(&mut book, &lease("a", 1, START, 60), START).unwrap();
    let elsewhere = Lease {
        address: "fd00::1".parse().unwrap(),
        ..lease("a", 2, START, 60)
    };
    assert!(empties(take(&mut book, &elsewhere, START)));
}

#[test]
fn another_key_takes_an_instance_out_but_not_elsewhere() {
    let mut book = Book::default();
    for instance in ["a", "b"] {
        take(&mut book, &lease(instance, 1, START, 60), START).unwrap();
    }
    let theirs = |sequence| Lease {
        key: other_key().public(),
        ..lease("a", sequence, START, 60)
    };
    let moved = Lease {
        port: 81,
        ..theirs(2)
    };
    let refused = take(&mut book, &moved, START);
    assert!(matches!(refused, Err(LeaseRefusal::Held { .. })));
    let drained = Lease {
        condition: Condition::Draining,
        ..theirs(2)
    };
    take(&mut book, &drained, START).unwrap();
    // Once its lease is over the name is free.
    let later = START.plus_millis(61_000);
    let taken = Lease {
        port: 81,
        key: other_key().public(),
        ..lease("a", 3, later, 60)
    };
    take(&mut book, &taken, later).unwrap();
}

#[test]
fn an_instance_works_if_one_of_those_that_check_it_says_so() {
    let mut book = Book::default();
    let checked = Lease {
        check: Check::Tcp,
        ..lease("a", 1, START, 60)
    };
    take(&mut book, &checked, START).unwrap();
    let (one, two) = (key().public(), other_key().public());
    for (peer, works, health) in [
        (one, None, Health::AsBefore),
        (one, Some(false), Health::Failing),
        (two, Some(true), Health::Passing),
        (two, Some(false), Health::Failing),
        (one, Some(true), Health::Passing),
        (one, None, Health::Failing),
    ] {
        let mut draft = Draft::default();
        book.note_word(&mut draft, &checked, (peer, works));
        drop(book.commit(draft));
        assert_eq!(held(&book, "a").unwrap().health, health, "{works:?}");
    }
    // That this node does not check it changes nothing of what others say.
    let finding = Finding {
        service: service(),
        instance: "a".parse().unwrap(),
        address: checked.address,
        port: checked.port,
        health: Health::AsBefore,
    };
    let mut draft = Draft::default();
    assert!(!book.note_health(&mut draft, &finding));
    // Elsewhere it is another instance, of which nobody said anything.
    let moved = Lease {
        port: 81,
        sequence: 2,
        ..checked
    };
    take(&mut book, &moved, START).unwrap();
    let mut draft = Draft::default();
    book.note_word(&mut draft, &moved, (one, None));
    drop(book.commit(draft));
    assert_eq!(held(&book, "a").unwrap().health, Health::AsBefore);
}

#[test]
fn what_another_node_took_may_leave_a_service_empty() {
    let mut book = Book::default();
    take(&mut book, &lease("a", 1, START, 60), START).unwrap();
    let drained = Lease {
        condition: Condition::Draining,
        ..lease("a", 2, START, 60)
    };
    let refused = take(&mut book, &drained, START);
    assert!(matches!(refused, Err(LeaseRefusal::WouldBeEmpty { .. })));
    let verified = Verified::sign(drained, &key()).unwrap();
    let mut draft = Draft::default();
    let coming = Coming::by_peer(START);
    let taken = book.take(&mut draft, &verified, &standing(), coming);
    assert!(taken.unwrap().is_new);
    let again = book.take(&mut draft, &verified, &standing(), coming);
    assert!(!again.unwrap().is_new);
}

#[test]
fn words_of_nodes_that_cannot_be_reached_are_forgotten() {
    let mut book = Book::default();
    let checked = Lease {
        check: Check::Tcp,
        ..lease("a", 1, START, 60)
    };
    take(&mut book, &checked, START).unwrap();
    let (one, two) = (key().public(), other_key().public());
    let mut draft = Draft::default();
    book.note_word(&mut draft, &checked, (one, Some(true)));
    book.note_word(&mut draft, &checked, (two, Some(false)));
    drop(book.commit(draft));
    for (reached, health) in [
        (BTreeSet::from([one, two]), Health::Passing),
        (BTreeSet::from([two]), Health::Failing),
        (BTreeSet::new(), Health::AsBefore),
    ] {
        let mut draft = Draft::default();
        book.forget_words(&mut draft, &reached);
        drop(book.commit(draft));
        assert_eq!(held(&book, "a").unwrap().health, health);
    }
}

#[test]
fn an_end_that_another_node_took_keeps_an_older_lease_away() {
    let mut book = Book::default();
    let ended = Lease {
        condition: Condition::Ended,
        ..lease("a", 2, START, 60)
    };
    let here = take(&mut book, &ended, START);
    assert!(matches!(here, Err(LeaseRefusal::NoInstance(_))));
    let verified = Verified::sign(ended, &key()).unwrap();
    let mut draft = Draft::default();
    let coming = Coming::by_peer(START);
    book.take(&mut draft, &verified, &standing(), coming)
        .unwrap();
    drop(book.commit(draft));
    let older = take(&mut book, &lease("a", 1, START, 60), START);
    assert!(matches!(
        older,
        Err(LeaseRefusal::Sequence { said: 1, held: 2 })
    ));
}
