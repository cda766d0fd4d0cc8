//! Bounds of leases, and their words.

use super::*;
use crate::base::digest::Digest;
use crate::base::keys::SecretKey;

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

fn lease() -> Lease {
    Lease {
        scope: ScopeUid::new(Digest::from_bytes([1; 32])),
        service: Uid::from_bytes([2; 16]),
        instance: "i1".parse().unwrap(),
        address: IpAddr::from([10, 0, 0, 1]),
        port: 80,
        weight: 1,
        region: String::new(),
        condition: Condition::Up,
        check: Check::None,
        sequence: 1,
        issued: NOW,
        expires: NOW.plus_millis(30_000),
        may_empty: false,
        key: SecretKey::from_seed(&[1; 32]).public(),
    }
}

#[test]
fn times_have_bounds_and_a_refusal_names_both() {
    assert_eq!(lease().judge(NOW, false), Ok(()));
    let ahead = NOW.plus_millis(CLOCK_AHEAD_MILLIS_MAX + 1);
    let early = Lease {
        issued: ahead,
        expires: ahead.plus_millis(30_000),
        ..lease()
    };
    let refused = early.judge(NOW, false).unwrap_err();
    assert!(refused.to_string().contains(&NOW.to_string()), "{refused}");
    assert!(
        refused.to_string().contains(&ahead.to_string()),
        "{refused}"
    );
    let late = lease().judge(NOW.plus_millis(30_000), false);
    assert!(matches!(late, Err(LeaseRefusal::Expired { .. })));
    for secs in [0, LEASE_SECS_MIN - 1, LEASE_SECS_MAX + 1] {
        let expires = NOW.plus_millis(secs * 1_000 + 1);
        let lease = Lease { expires, ..lease() };
        let refused = lease.judge(NOW, false);
        assert!(
            matches!(refused, Err(LeaseRefusal::Lifetime { .. })),
            "{secs}"
        );
    }
    let backwards = Lease {
        issued: NOW.plus_millis(60_000),
        ..lease()
    };
    assert!(backwards.judge(NOW, false).is_err());
}

#[test]
fn a_sequence_leaves_room_for_those_to_come() {
    let numbered = |sequence| Lease {
        sequence,
        ..lease()
    };
    let most = NOW.as_millis() + SEQUENCE_AHEAD_MAX;
    assert_eq!(numbered(most).judge(NOW, false), Ok(()));
    for said in [most + 1, u64::MAX] {
        let refused = numbered(said).judge(NOW, false);
        assert_eq!(refused, Err(LeaseRefusal::SequenceAhead { said, most }));
    }
    let soon = NOW.plus_millis(CLOCK_AHEAD_MILLIS_MAX);
    let early = Lease {
        issued: soon,
        expires: soon.plus_millis(30_000),
        ..numbered(most + 1)
    };
    assert!(early.judge(NOW, false).is_err(), "a clock ahead gives none");
}

#[test]
fn addresses_that_nobody_can_have_are_never_announced() {
    let judged = |text: &str, local| {
        let address = text.parse().unwrap();
        Lease { address, ..lease() }.judge(NOW, local).is_ok()
    };
    for text in [
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "ff02::1",
        "::ffff:10.0.0.1",
    ] {
        assert!(!judged(text, true), "{text}");
    }
    for text in ["127.0.0.1", "169.254.1.1", "::1", "fe80::1"] {
        assert!(judged(text, true) && !judged(text, false), "{text}");
    }
    for text in ["10.0.0.1", "192.0.2.1", "fd00::1", "2001:db8::1"] {
        assert!(judged(text, false), "{text}");
    }
    let port = Lease { port: 0, ..lease() };
    assert_eq!(port.judge(NOW, true), Err(LeaseRefusal::Port));
}

#[test]
fn a_check_is_one_word_and_comes_back() {
    for text in ["none", "tcp", "http:/", "http:/health?full=1"] {
        assert_eq!(text.parse::<Check>().unwrap().to_string(), text);
    }
    let long = format!("http:/{}", "a".repeat(CHECK_PATH_BYTES_MAX));
    for text in [
        "",
        "http",
        "http:",
        "http:x",
        "http:/a b",
        "http:/a\r\nb",
        "udp",
        "http:/ü",
        &long,
    ] {
        assert_eq!(text.parse::<Check>(), Err(BadCheck), "{text:?}");
    }
}
