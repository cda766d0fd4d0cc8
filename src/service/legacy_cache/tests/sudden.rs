//! Absences that come suddenly where there were records.

use super::*;

fn guarded(empty_secs: u32) -> World {
    let world = World::new(Ok(positive(60)));
    world.cache.set_rules(LegacyCacheRules {
        empty_secs,
        ..LegacyCacheRules::default()
    });
    world
}

fn no_data() -> LegacyReply {
    reply(LegacyCode::NoError, Vec::new(), vec![soa(10, 10)])
}

#[tokio::test]
async fn an_absence_right_after_records_is_a_failure_for_a_while() {
    for nothing in [absent(soa(10, 10)), no_data()] {
        let world = guarded(100);
        world.ask("a.example A").await.unwrap();
        world.now_gives(Ok(nothing));
        for (secs, exchanges) in [(60, 2), (64, 2), (65, 3), (75, 4), (159, 5)] {
            let answer = world.at(secs, "a.example A").await;
            assert_eq!(answer, "Stale [30] [] []", "after {secs} s");
            assert_eq!(world.asked(), exchanges, "after {secs} s");
        }
        let because = world.ask("a.example A").await.unwrap().because.unwrap();
        assert!(because.to_string().contains("until just now"), "{because}");
        assert_eq!(world.cache.stats().sudden_empties, 4);
        // Long enough after the records ended it is believed.
        assert_eq!(world.at(190, "a.example A").await, "Miss [] [10] []");
        assert_eq!(
            world.at(191, "a.example A").await,
            "Hit { age_secs: 1 } [] [9] []"
        );
    }
}

#[tokio::test]
async fn without_the_guard_and_for_new_names_an_absence_is_one() {
    let world = guarded(0);
    world.ask("a.example A").await.unwrap();
    world.now_gives(Ok(absent(soa(10, 10))));
    assert_eq!(world.at(60, "a.example A").await, "Miss [] [10] []");
    let world = guarded(100);
    world.now_gives(Ok(no_data()));
    assert_eq!(world.at(0, "b.example A").await, "Miss [] [10] []");
    // An absence that follows an absence is none that came suddenly.
    assert_eq!(world.at(10, "b.example A").await, "Miss [] [10] []");
    assert_eq!(world.cache.stats().sudden_empties, 0);
}

#[tokio::test]
async fn records_that_come_back_end_it() {
    let world = guarded(100);
    world.ask("a.example A").await.unwrap();
    world.now_gives(Ok(absent(soa(10, 10))));
    assert_eq!(world.at(60, "a.example A").await, "Stale [30] [] []");
    world.now_gives(Ok(positive(60)));
    assert_eq!(world.at(65, "a.example A").await, "Miss [60] [] []");
}

proptest::proptest! {
    /// Whatever came before: an absence is kept from the asker exactly while records ended less than
    /// so many seconds ago.
    #[test]
    fn the_guard_lasts_as_long_as_it_says(
        life in 1_u32..100,
        empty_secs in 0_u32..100,
        after in 0_u64..300,
    ) {
        let question = question("a.example A");
        let answered = LegacyAnswered { reply: positive(life), upstream: "u".to_owned() };
        let begin = Timestamp::from_millis(START_MS);
        let rules = LegacyCacheRules::default();
        let entry = Received::new(&question, answered, begin, &rules).entry.unwrap();
        let now = begin.plus_millis(after * 1_000);
        let expected = after < u64::from(life) + u64::from(empty_secs);
        proptest::prop_assert_eq!(entry.had_records(&question, now, empty_secs), expected);
    }
}
