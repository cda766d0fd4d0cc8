//! Answers that are asked for again before they end.

use super::*;

impl World {
    /// Asks at a time as those do who do not wait; whether the answer is due.
    fn is_due_at(&self, secs: u64) -> bool {
        self.clock.set_secs(secs);
        let fresh = self.cache.fresh(&question("a.example A"));
        fresh.unwrap().answer.is_due
    }

    async fn renew(&self) {
        self.cache
            .renew(&question("a.example A"), PATIENCE_MS)
            .await;
    }
}

#[tokio::test]
async fn the_last_tenth_is_when_a_name_that_is_asked_for_again_falls_due_once() {
    let world = World::new(Ok(positive(60)));
    world.ask("a.example A").await.unwrap();
    for (secs, is_due) in [
        (0, false),
        (53, false),
        (54, true),
        (55, false),
        (59, false),
    ] {
        assert_eq!(world.is_due_at(secs), is_due, "after {secs} s");
    }
    world.renew().await;
    assert_eq!(world.asked(), 2);
    assert_eq!(
        world.at(60, "a.example A").await,
        "Hit { age_secs: 1 } [59] [] []"
    );
    let stats = world.cache.stats();
    assert_eq!((stats.prefetched, stats.prefetches_failed), (1, 0));
}

#[tokio::test]
async fn a_name_that_is_asked_for_once_is_left_to_end() {
    let world = World::new(Ok(positive(60)));
    world.ask("a.example A").await.unwrap();
    assert!(world.is_due_at(55), "twice");
    world.renew().await;
    // Once in the life of the new answer.
    assert!(!world.is_due_at(55 + 54));
    // Twice in it.
    assert!(world.is_due_at(55 + 55));
}

#[tokio::test]
async fn nothing_falls_due_where_that_is_off() {
    let world = World::new(Ok(positive(60)));
    let prefetch = false;
    world.cache.set_rules(LegacyCacheRules {
        prefetch,
        ..LegacyCacheRules::default()
    });
    world.ask("a.example A").await.unwrap();
    assert!(!world.is_due_at(30));
    assert!(!world.is_due_at(59));
    assert_eq!(
        world.cache.fresh(&question("a.example A")).unwrap().until,
        None
    );
}

#[tokio::test]
async fn a_failure_ahead_of_time_changes_nothing() {
    for outcome in [Err(servfail()), Err(LegacyFailure::Timeout)] {
        let world = World::new(Ok(positive(60)));
        world.ask("a.example A").await.unwrap();
        assert!(world.is_due_at(54));
        world.now_gives(outcome);
        world.renew().await;
        assert_eq!(
            world.at(59, "a.example A").await,
            "Hit { age_secs: 59 } [1] [] []"
        );
        assert_eq!(world.asked(), 2);
        // Nothing is remembered of it: the next one asks.
        world.now_gives(Ok(positive(60)));
        assert_eq!(world.at(60, "a.example A").await, "Miss [60] [] []");
        assert_eq!(world.cache.stats().prefetches_failed, 1);
    }
}

#[tokio::test]
async fn a_name_that_is_gone_is_gone_ahead_of_time_too_unless_that_is_sudden() {
    for (empty_secs, expected) in [
        (0, "Hit { age_secs: 1 } [] [9] []"),
        (9, "Hit { age_secs: 55 } [5] [] []"),
    ] {
        let world = World::new(Ok(positive(60)));
        world.cache.set_rules(LegacyCacheRules {
            empty_secs,
            ..LegacyCacheRules::default()
        });
        world.ask("a.example A").await.unwrap();
        assert!(world.is_due_at(54));
        world.now_gives(Ok(absent(soa(10, 10))));
        world.renew().await;
        assert_eq!(world.at(55, "a.example A").await, expected);
    }
}

#[tokio::test]
async fn what_there_was_no_room_for_falls_due_again() {
    let world = World::new(Ok(positive(60)));
    world.ask("a.example A").await.unwrap();
    assert!(world.is_due_at(54));
    world.cache.not_renewed(&question("a.example A"));
    assert!(world.is_due_at(55));
    assert_eq!(world.cache.stats().prefetches_dropped, 1);
}

#[tokio::test]
async fn kept_answers_are_given_up_where_the_last_tenth_begins() {
    let world = World::new(Ok(positive(60)));
    world.ask("a.example A").await.unwrap();
    let until = |secs| {
        world.clock.set_secs(secs);
        world.cache.fresh(&question("a.example A")).unwrap().until
    };
    let begin = Timestamp::from_millis(START_MS + 54_000);
    assert_eq!(until(0), Some(begin));
    assert_eq!(until(53), Some(begin));
    assert_eq!(until(54), None);
}
