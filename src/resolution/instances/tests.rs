//! What is chosen of a service.

use super::*;
use proptest::prelude::*;

const LIFETIME: u64 = 30_000;
const NOW: Timestamp = Timestamp::from_millis(100_000_000);

/// One that is up and works.
pub(super) fn working(label: &str) -> Instance {
    instance(label, 10, Condition::Up, Health::Passing)
}

fn instance(label: &str, until: i64, condition: Condition, health: Health) -> Instance {
    let until = NOW.as_millis().checked_add_signed(until * 1_000).unwrap();
    Instance {
        label: label.parse().unwrap(),
        address: IpAddr::from([10, 0, 0, 1]),
        port: 80,
        weight: 1,
        region: "".into(),
        condition,
        check: Check::Tcp,
        key: PublicKey::NOBODY,
        sequence: 1,
        issued: NOW,
        since: Timestamp::from_millis(until.saturating_sub(LIFETIME)),
        until: Timestamp::from_millis(until),
        lifetime_millis: LIFETIME,
        health,
    }
}

fn service(instances: Vec<Instance>) -> Service {
    Service {
        uid: Uid::from_bytes([1; 16]),
        standing: Standing {
            scope: ScopeUid::new(crate::base::digest::Digest::ZERO),
            epoch: 0,
            path: NamePath::empty(),
        },
        instances: instances.into_iter().map(Arc::new).collect(),
    }
}

fn shown(service: &Service) -> (Vec<String>, Why) {
    let choice = service.choose(NOW, |_| true);
    let labels = choice.shown.iter().map(|one| one.label.to_string());
    (labels.collect(), choice.why)
}

#[test]
fn what_works_comes_first_by_weight_and_then_by_name() {
    use Condition::{Draining, Up};
    let heavy = Instance {
        weight: 9,
        ..instance("c", 10, Up, Health::AsBefore)
    };
    let service = service(vec![
        instance("a", 10, Up, Health::Passing),
        instance("b", 10, Up, Health::Passing),
        heavy,
        instance("d", 10, Up, Health::Failing),
        instance("e", 10, Draining, Health::Passing),
        instance("f", 10, Up, Health::New),
        instance("g", 0, Up, Health::Passing),
    ]);
    let labels = ["c", "a", "b"].map(str::to_owned).to_vec();
    assert_eq!(shown(&service), (labels, Why::Healthy));
}

#[test]
fn what_ran_out_together_is_remembered_for_an_hour() {
    use Condition::Up;
    let at = |secs: i64| NOW.as_millis().checked_add_signed(secs * 1_000).unwrap();
    let lapsed = |a, b| {
        service(vec![
            instance("a", a, Up, Health::Passing),
            instance("b", b, Up, Health::Passing),
        ])
    };
    let (labels, why) = shown(&lapsed(-30, 0));
    assert_eq!((labels.len(), why), (2, Why::Stale(NOW)));
    // What ended long before the last one was gone already when that one was still there.
    let (labels, _) = shown(&lapsed(-31, 0));
    assert_eq!(labels, ["b"]);
    let (labels, why) = shown(&lapsed(-3_610, -3_599));
    assert_eq!(labels.len(), 2);
    assert_eq!(why, Why::Stale(Timestamp::from_millis(at(-3_599))));
    let (labels, why) = shown(&lapsed(-3_601, -3_600));
    assert!(labels.is_empty());
    assert_eq!(why, Why::Lapsed(Timestamp::from_millis(at(-3_600))));
}

#[test]
fn the_last_to_go_decides_whether_it_was_meant() {
    use Condition::{Draining, Ended, Up};
    let crashed = instance("a", -60, Up, Health::Passing);
    let left = |condition, since: u64| Instance {
        since: Timestamp::from_millis(NOW.as_millis() - since * 1_000),
        ..instance("b", 10, condition, Health::Passing)
    };
    let (labels, why) = shown(&service(vec![crashed.clone(), left(Ended, 90)]));
    assert_eq!(labels, ["a"], "{why}");
    for condition in [Ended, Draining] {
        let (labels, why) = shown(&service(vec![crashed.clone(), left(condition, 30)]));
        assert!(labels.is_empty());
        assert!(matches!(why, Why::Emptied(_)), "{why}");
    }
}

#[test]
fn rights_that_ended_end_what_is_shown() {
    let service = service(vec![instance("a", 10, Condition::Up, Health::Passing)]);
    let choice = service.choose(NOW, |_| false);
    assert_eq!((choice.shown.len(), choice.why), (0, Why::Unknown));
}

fn any_instance(label: String) -> impl Strategy<Value = Instance> {
    let conditions = prop::sample::select(Condition::ALL.to_vec());
    let healths = [
        Health::Passing,
        Health::AsBefore,
        Health::New,
        Health::Failing,
    ];
    let healths = prop::sample::select(healths.to_vec());
    (-5_000i64..60, conditions, healths, 0u16..4).prop_map(
        move |(until, condition, health, weight)| Instance {
            weight,
            ..instance(&label, until, condition, health)
        },
    )
}

fn any_service() -> impl Strategy<Value = Service> {
    (0usize..8)
        .prop_flat_map(|count| {
            let labels = (0..count).map(|number| any_instance(format!("i{number}")));
            labels.collect::<Vec<_>>()
        })
        .prop_map(service)
}

proptest! {
    /// Neither a check nor a lapse empties a service.
    #[test]
    fn a_service_is_empty_only_by_purpose_or_after_an_hour(service in any_service()) {
        let choice = service.choose(NOW, |_| true);
        let up: Vec<&Instance> = service
            .instances
            .iter()
            .map(AsRef::as_ref)
            .filter(|one| one.is_up(NOW))
            .collect();
        prop_assert_eq!(choice.up, up.len());
        if !up.is_empty() {
            prop_assert!(!choice.shown.is_empty());
            prop_assert!(choice.shown.iter().all(|one| one.is_up(NOW)));
            let any_good = up.iter().any(|one| one.health.is_good());
            prop_assert!(!any_good || choice.shown.iter().all(|one| one.health.is_good()));
        }
        match choice.why {
            Why::Healthy | Why::AllFailing | Why::Stale(_) => {
                prop_assert!(!choice.shown.is_empty());
            }
            Why::Emptied(_) | Why::Lapsed(_) | Why::Unknown => {
                prop_assert!(choice.shown.is_empty());
            }
        }
        let weights: Vec<u16> = choice.shown.iter().map(|one| one.weight).collect();
        if choice.why == Why::Healthy {
            prop_assert!(weights.is_sorted_by(|a, b| a >= b));
        }
    }

    /// Instances leave one after the other by accepted leases: the last healthy one stays
    /// unless its lease says that it may go.
    #[test]
    fn nobody_empties_a_service_without_saying_so(
        service in any_service(),
        which in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!service.instances.is_empty());
        let one = which.get(&service.instances);
        let lease = Lease {
            scope: service.standing.scope,
            service: service.uid,
            instance: one.label.clone(),
            address: one.address,
            port: one.port,
            weight: one.weight,
            region: String::new(),
            condition: Condition::Ended,
            check: one.check.clone(),
            sequence: one.sequence + 1,
            issued: NOW,
            expires: NOW.plus_millis(LIFETIME),
            may_empty: false,
            key: one.key,
        };
        let before = service.choose(NOW, |_| true);
        let judged = service.judge_leaving(&lease, NOW);
        let mut rest = service.clone();
        rest.instances.retain(|other| other.label != one.label);
        let after = rest.choose(NOW, |_| true);
        if judged.is_ok() && one.is_up(NOW) {
            prop_assert!(after.up > 0);
            prop_assert!(before.good == 0 || after.good > 0);
        }
        let meant = Lease { may_empty: true, ..lease };
        prop_assert_eq!(service.judge_leaving(&meant, NOW), Ok(()));
    }
}
