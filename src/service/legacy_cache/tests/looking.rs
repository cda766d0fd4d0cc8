//! What is shown of what is held, and what is taken in.

use super::*;

impl World {
    /// Loads a reply that came so many seconds after the start.
    fn load(&self, secs: u64, reply: LegacyReply) -> Loaded {
        let answered = LegacyAnswered {
            reply,
            upstream: "elsewhere".to_owned(),
        };
        let stored = Timestamp::from_millis(START_MS + secs * 1_000);
        self.cache.load(&question("a.example A"), answered, stored)
    }
}

#[tokio::test]
async fn what_is_held_is_shown_with_what_is_left_of_it() {
    let world = World::new(Ok(positive(60)));
    world.ask("a.example A").await.unwrap();
    world.ask("b.example A").await.unwrap();
    world.clock.set_secs(25);
    let name = "a.example".parse().unwrap();
    assert_eq!(
        world.cache.questions(Some(&name)),
        [question("a.example A")]
    );
    assert_eq!(world.cache.questions(None).len(), 2);
    let held = world.cache.held(&question("a.example A")).unwrap();
    let reply = held.reply.unwrap();
    assert_eq!((reply.left_secs(), reply.age_secs), (35, Some(25)));
    assert_eq!((held.asked, reply.upstream.as_str()), (1, "upstream"));
    assert!(world.cache.held(&question("c.example A")).is_none());
    world.now_gives(Err(servfail()));
    world.at(60, "a.example A").await;
    let held = world.cache.held(&question("a.example A")).unwrap();
    assert_eq!(held.failure.unwrap().remembered.unwrap().left_secs, 5);
    assert_eq!(held.reply.unwrap().left_secs(), 0);
    assert_eq!(world.cache.stats().hits, 0, "looking is no asking");
}

#[tokio::test]
async fn what_is_loaded_has_the_time_that_it_had_left_and_was_never_validated() {
    let world = World::new(Err(servfail()));
    world.clock.set_secs(100);
    let validated = LegacyReply {
        authentic: true,
        ..positive(60)
    };
    assert_eq!(world.load(70, validated), Loaded::Kept);
    let answer = world.ask("a.example A").await.unwrap();
    assert_eq!(shown(&answer), "Hit { age_secs: 30 } [30] [] []");
    assert!(!answer.reply.authentic);
    assert_eq!(world.at(130, "a.example A").await, "Stale [30] [] []");
}

#[tokio::test]
async fn the_bounds_hold_for_what_is_loaded() {
    let world = World::new(Err(servfail()));
    world.cache.set_rules(LegacyCacheRules {
        ttl_secs_max: 10,
        ..LegacyCacheRules::default()
    });
    assert_eq!(world.load(0, positive(86_400)), Loaded::Kept);
    assert_eq!(
        world.at(4, "a.example A").await,
        "Hit { age_secs: 4 } [6] [] []"
    );
}

#[tokio::test]
async fn nothing_loaded_stands_in_for_something_newer() {
    let world = World::new(Ok(positive(60)));
    world.clock.set_secs(50);
    world.ask("a.example A").await.unwrap();
    // Fresh, whatever is loaded; past its time, unless what is loaded is newer.
    assert_eq!(world.load(50, positive(99)), Loaded::Older);
    world.clock.set_secs(200);
    assert_eq!(world.load(49, positive(99)), Loaded::Older);
    assert_eq!(world.load(190, positive(99)), Loaded::Kept);
    assert_eq!(
        world.at(200, "a.example A").await,
        "Hit { age_secs: 10 } [89] [] []"
    );
}

#[tokio::test]
async fn nothing_is_loaded_while_the_question_is_under_way() {
    let world = World::new(Ok(positive(60)));
    let held = Arc::clone(&world.upstream.held).acquire_owned().await;
    let mut tasks = JoinSet::new();
    spawn_ask(&world, &mut tasks);
    world.upstream.arrived.notified().await;
    assert_eq!(world.load(0, positive(99)), Loaded::Older);
    drop(held);
    tasks.join_all().await.remove(0).unwrap();
    assert_eq!(
        world.at(1, "a.example A").await,
        "Hit { age_secs: 1 } [59] [] []"
    );
}

#[tokio::test]
async fn what_no_cache_keeps_is_not_loaded() {
    let world = World::new(Err(servfail()));
    world.clock.set_secs(100_000);
    assert_eq!(world.load(0, positive(60)), Loaded::Over);
    let mut foreign = positive(60);
    foreign.answers[0].owner = "other.example".parse().unwrap();
    let unproven = reply(LegacyCode::NxDomain, Vec::new(), Vec::new());
    for (secs, reply) in [
        (100_001, positive(60)),
        (100_000, positive(0)),
        (100_000, foreign),
        (100_000, unproven),
    ] {
        assert!(
            matches!(world.load(secs, reply), Loaded::Unfit(_)),
            "{secs}"
        );
    }
    assert_eq!(world.cache.stats().entries, 0);
}

#[tokio::test]
async fn a_name_is_forgotten_alone_or_with_what_lies_below() {
    let world = World::new(Ok(positive(60)));
    for text in [
        "example A",
        "a.example A",
        "a.example AAAA",
        "b.a.example A",
    ] {
        world.ask(text).await.unwrap();
    }
    let name = "a.example".parse().unwrap();
    let before = world.cache.flushes();
    assert_eq!(world.cache.flush(Some(&name), false), 2);
    assert!(world.cache.flushes() > before, "listeners see it");
    assert_eq!(world.cache.flush(Some(&name), true), 1);
    assert_eq!(world.cache.questions(None), [question("example A")]);
}
