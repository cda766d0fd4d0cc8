//! What is kept, for how long, and within which memory.

use super::*;

#[tokio::test]
async fn ttls_count_down_and_end() {
    let mut whole = positive(300);
    whole.authorities.push(record(RecordType::NS, 400, b"\0"));
    whole.additionals.push(address(100));
    let world = World::new(Ok(whole));
    assert_eq!(world.at(0, "a.example A").await, "Miss [300] [400] [100]");
    assert_eq!(
        world.at(99, "a.example A").await,
        "Hit { age_secs: 99 } [201] [301] [1]"
    );
    assert_eq!(
        world.at(299, "a.example A").await,
        "Hit { age_secs: 299 } [1] [101] []"
    );
    assert_eq!(world.at(300, "a.example A").await, "Miss [300] [400] [100]");
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn absences_live_as_long_as_their_soa_says() {
    for code in [LegacyCode::NxDomain, LegacyCode::NoError] {
        let absence = reply(code, Vec::new(), vec![soa(3600, 60)]);
        let world = World::new(Ok(absence));
        assert_eq!(world.at(0, "a.example A").await, "Miss [] [60] []");
        let later = world.at(59, "a.example A").await;
        assert_eq!(later, "Hit { age_secs: 59 } [] [1] []");
        assert_eq!(world.at(60, "a.example A").await, "Miss [] [60] []");
    }
}

#[tokio::test]
async fn an_absence_without_soa_is_not_kept() {
    let alias = record(RecordType::CNAME, 60, b"\x01b\x07example\0");
    for (code, answers) in [
        (LegacyCode::NxDomain, vec![]),
        (LegacyCode::NoError, vec![]),
        (LegacyCode::NxDomain, vec![alias]),
    ] {
        let world = World::new(Ok(reply(code, answers, Vec::new())));
        for exchanges in 1..3 {
            world.ask("a.example A").await.unwrap();
            assert_eq!(world.asked(), exchanges);
        }
    }
}

#[tokio::test]
async fn an_alias_alone_is_kept_and_one_to_nothing_is_an_absence() {
    let alias = record(RecordType::CNAME, 50_000, b"\x01b\x07example\0");
    for (authorities, expected) in [
        (vec![], "Miss [50000] [] []"),
        (vec![soa(20_000, 20_000)], "Miss [10800] [10800] []"),
    ] {
        let world = World::new(Ok(reply(
            LegacyCode::NoError,
            vec![alias.clone()],
            authorities,
        )));
        assert_eq!(world.at(0, "a.example A").await, expected);
        assert_eq!(
            world.at(0, "a.example A").await,
            expected.replace("Miss", "Hit { age_secs: 0 }")
        );
    }
}

#[tokio::test]
async fn ttls_are_kept_within_bounds() {
    let ruled = |rules: LegacyCacheRules| LegacyCacheSettings {
        rules,
        ..LegacyCacheSettings::default()
    };
    let raised = ruled(LegacyCacheRules {
        ttl_secs_min: 30,
        ..LegacyCacheRules::default()
    });
    let lowered = ruled(LegacyCacheRules {
        ttl_secs_max: 7,
        negative_ttl_secs_max: 3,
        ..LegacyCacheRules::default()
    });
    for (outcome, settings, expected) in [
        (
            Ok(positive(1_000_000)),
            LegacyCacheSettings::default(),
            "Miss [86400] [] []",
        ),
        (
            Ok(absent(soa(90_000, 90_000))),
            LegacyCacheSettings::default(),
            "Miss [] [10800] []",
        ),
        (Ok(positive(5)), raised, "Miss [30] [] []"),
        (Ok(absent(soa(5, 5))), raised, "Miss [] [5] []"),
        (Ok(positive(60)), lowered, "Miss [7] [] []"),
        (Ok(absent(soa(60, 60))), lowered, "Miss [] [3] []"),
    ] {
        let world = World::with(outcome, settings);
        assert_eq!(world.at(0, "a.example A").await, expected);
    }
    let world = World::new(Ok(positive(0)));
    assert_eq!(world.at(0, "a.example A").await, "Miss [0] [] []");
    assert_eq!(world.at(0, "a.example A").await, "Miss [0] [] []");
}

#[tokio::test]
async fn failures_are_remembered_for_longer_each_time() {
    for failure in [
        servfail(),
        LegacyFailure::Timeout,
        LegacyFailure::Unreachable("upstream".to_owned()),
    ] {
        let world = World::new(Err(failure.clone()));
        for (secs, exchanges) in [
            (0, 1),
            (4, 1),
            (5, 2),
            (14, 2),
            (15, 3),
            (35, 4),
            (64, 4),
            (65, 5),
        ] {
            assert_eq!(world.at(secs, "a.example A").await, failure.to_string());
            assert_eq!(world.asked(), exchanges, "{failure} after {secs} s");
        }
    }
    let world = World::new(Err(LegacyFailure::NoUpstream));
    world.ask("a.example A").await.unwrap_err();
    world.ask("a.example A").await.unwrap_err();
    assert_eq!((world.asked(), world.cache.stats().failure_hits), (2, 0));
}

#[tokio::test]
async fn a_remembered_failure_says_when_it_was_and_one_long_ago_does_not_count() {
    let rules = LegacyCacheRules {
        failure_secs: 2,
        failure_secs_max: 8,
        ..LegacyCacheRules::default()
    };
    let world = World::new(Err(servfail()));
    world.cache.set_rules(rules);
    assert_eq!(world.ask("a.example A").await.unwrap_err().remembered, None);
    world.clock.set_secs(1);
    let remembered = world.ask("a.example A").await.unwrap_err().remembered;
    let (age_secs, left_secs) = (1, 1);
    let expected = Remembered {
        age_secs,
        left_secs,
    };
    assert_eq!(remembered, Some(expected));
    // Twice as long each time, up to the most; after a long pause as at first.
    for (secs, exchanges) in [
        (2, 2),
        (5, 2),
        (6, 3),
        (13, 3),
        (14, 4),
        (21, 4),
        (22, 5),
        (1_000, 6),
        (1_001, 6),
        (1_002, 7),
    ] {
        world.at(secs, "a.example A").await;
        assert_eq!(world.asked(), exchanges, "after {secs} s");
    }
}

#[tokio::test]
async fn a_stale_answer_is_served_while_upstreams_fail() {
    let world = World::new(Ok(positive(60)));
    world.ask("a.example A").await.unwrap();
    world.now_gives(Err(servfail()));
    assert_eq!(world.at(60, "a.example A").await, "Stale [30] [] []");
    assert_eq!(world.at(64, "a.example A").await, "Stale [30] [] []");
    assert_eq!(world.asked(), 2, "a remembered failure asks nobody");
    world.now_gives(Err(LegacyFailure::Timeout));
    let last = 60 + 86_399;
    assert_eq!(world.at(last, "a.example A").await, "Stale [30] [] []");
    let over = world.at(last + 1, "a.example A").await;
    assert_eq!(over, LegacyFailure::Timeout.to_string());
    assert_eq!(world.cache.stats().stale, 3);
}

#[tokio::test]
async fn nothing_stale_outlives_a_newer_answer() {
    let unproven = Ok(reply(LegacyCode::NxDomain, Vec::new(), Vec::new()));
    for (newer, later) in [
        (Ok(absent(soa(10, 10))), "Stale [] [30] []".to_owned()),
        (unproven, servfail().to_string()),
        (Ok(positive(0)), servfail().to_string()),
    ] {
        let world = World::new(Ok(positive(60)));
        world.ask("a.example A").await.unwrap();
        world.now_gives(newer);
        assert!(world.at(60, "a.example A").await.starts_with("Miss"));
        world.now_gives(Err(servfail()));
        assert_eq!(world.at(80, "a.example A").await, later);
    }
}

#[tokio::test]
async fn nothing_stale_stands_in_for_an_answer_that_was_found_wrong() {
    let world = World::new(Ok(positive(60)));
    world.at(0, "a.example A").await;
    let bogus = LegacyFailure::Bogus {
        flaw: Flaw::Expired,
        text: "expired".to_owned(),
    };
    world.now_gives(Err(bogus));
    assert_eq!(world.at(100, "a.example A").await, "expired");
    // Remembered as other failures are.
    assert_eq!(world.at(102, "a.example A").await, "expired");
    assert_eq!(world.asked(), 2);
    world.now_gives(Ok(positive(60)));
    assert_eq!(world.at(110, "a.example A").await, "Miss [60] [] []");
}

#[tokio::test]
async fn names_without_upstream_get_nothing_stale() {
    let world = World::new(Ok(positive(60)));
    world.ask("a.example A").await.unwrap();
    world.now_gives(Err(LegacyFailure::NoUpstream));
    let answer = world.at(60, "a.example A").await;
    assert_eq!(answer, LegacyFailure::NoUpstream.to_string());
}

#[tokio::test]
async fn a_clock_that_goes_back_makes_nothing_immortal() {
    let world = World::new(Ok(positive(60)));
    world.clock.set_secs(1_000_000);
    world.ask("a.example A").await.unwrap();
    assert_eq!(world.at(999_999, "a.example A").await, "Miss [60] [] []");
    assert_eq!(
        world.at(1_000_058, "a.example A").await,
        "Hit { age_secs: 59 } [1] [] []"
    );
    world.now_gives(Err(servfail()));
    world.at(2_000_000, "b.example A").await;
    world.now_gives(Ok(positive(60)));
    assert_eq!(world.at(1_500_000, "b.example A").await, "Miss [60] [] []");
}

#[tokio::test]
async fn do_and_cd_have_entries_of_their_own() {
    let world = World::new(Ok(positive(60)));
    for round in 1..3 {
        for (dnssec_ok, checking_disabled) in
            [(false, false), (true, false), (false, true), (true, true)]
        {
            let question = LegacyQuestion {
                dnssec_ok,
                checking_disabled,
                ..question("a.example A")
            };
            world.cache.ask(&question, PATIENCE_MS).await.unwrap();
        }
        world.ask("a.example AAAA").await.unwrap();
        assert_eq!(world.asked(), 5, "round {round}");
    }
}

#[tokio::test]
async fn peeking_asks_and_counts_nothing() {
    let world = World::new(Ok(positive(60)));
    assert_eq!(world.cache.peek(&question("a.example A")), None);
    world.ask("a.example A").await.unwrap();
    let peeked = |secs| {
        world.clock.set_secs(secs);
        world
            .cache
            .peek(&question("a.example A"))
            .map(|answer| shown(&answer))
    };
    assert_eq!(peeked(1).unwrap(), "Hit { age_secs: 1 } [59] [] []");
    assert_eq!(peeked(60).unwrap(), "Stale [30] [] []");
    let stats = world.cache.stats();
    assert_eq!((stats.hits, stats.stale, stats.exchanges), (0, 0, 1));
}

#[tokio::test]
async fn a_million_names_stay_within_the_bytes() {
    let settings = LegacyCacheSettings {
        bytes_max: 1 << 20,
        ..LegacyCacheSettings::default()
    };
    let world = World::with(Ok(positive(60)), settings);
    let now = world.clock.now();
    for number in 0..1_000_000 {
        let question = question(&format!("n{number}.example A"));
        let answered = LegacyAnswered {
            reply: positive(60),
            upstream: "upstream".to_owned(),
        };
        let received = Received::new(&question, answered, now, &settings.rules);
        world.cache.keep(&question, received.entry, 0);
    }
    let stats = world.cache.stats();
    assert!(stats.bytes <= settings.bytes_max + 64, "{stats:?}");
    assert!((1_000..4_000).contains(&stats.entries), "{stats:?}");
    // What is too large for the whole cache is not kept, and does not empty it.
    let large = vec![record(RecordType::TXT, 60, &vec![0; 60_000]); 20];
    world.now_gives(Ok(reply(LegacyCode::NoError, large, Vec::new())));
    world.ask("large.example TXT").await.unwrap();
    assert_eq!(world.cache.stats().entries, stats.entries);
}
