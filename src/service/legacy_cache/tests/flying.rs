//! Questions that wait together.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_equal_questions_make_one_exchange() {
    let world = World::new(Ok(positive(60)));
    let held = Arc::clone(&world.upstream.held).acquire_owned().await;
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        spawn_ask(&world, &mut tasks);
    }
    while world.cache.stats().waiting < 100 {
        tokio::task::yield_now().await;
    }
    drop(held);
    let mut led = 0;
    for answer in tasks.join_all().await {
        let state = answer.unwrap().state;
        led += usize::from(state == CacheState::Miss);
        assert_ne!(state, CacheState::Stale);
    }
    assert_eq!((world.asked(), led), (1, 1));
    let stats = world.cache.stats();
    assert_eq!((stats.under_way, stats.waiting), (0, 0));
}

#[tokio::test]
async fn followers_outlive_their_leader() {
    let world = World::new(Ok(positive(60)));
    let held = Arc::clone(&world.upstream.held).acquire_owned().await;
    let mut leader = JoinSet::new();
    spawn_ask(&world, &mut leader);
    world.upstream.arrived.notified().await;
    let mut followers = JoinSet::new();
    for _ in 0..10 {
        spawn_ask(&world, &mut followers);
    }
    while world.cache.stats().waiting < 11 {
        tokio::task::yield_now().await;
    }
    leader.shutdown().await;
    world.upstream.arrived.notified().await;
    drop(held);
    for answer in followers.join_all().await {
        answer.unwrap();
    }
    assert_eq!(world.asked(), 2);
    assert_eq!(world.cache.stats().under_way, 0);
}

#[tokio::test]
async fn a_flight_without_passengers_leaves_nothing() {
    let world = World::new(Ok(positive(60)));
    let _held = Arc::clone(&world.upstream.held).acquire_owned().await;
    let mut leader = JoinSet::new();
    spawn_ask(&world, &mut leader);
    world.upstream.arrived.notified().await;
    leader.shutdown().await;
    let stats = world.cache.stats();
    assert_eq!((stats.under_way, stats.waiting), (0, 0));
}

#[tokio::test]
async fn silence_ends_at_the_deadline_for_all_who_wait() {
    let world = World::new(Ok(positive(60)));
    let _held = Arc::clone(&world.upstream.held).acquire_owned().await;
    let question = question("a.example A");
    let (one, two) = tokio::join!(
        world.cache.ask(&question, 10),
        world.cache.ask(&question, 10)
    );
    assert_eq!(
        (one, two),
        (
            Err(LegacyFailure::Timeout.into()),
            Err(LegacyFailure::Timeout.into())
        )
    );
    assert_eq!(world.asked(), 1);
    assert_eq!(
        world.cache.stats().entries,
        0,
        "ten milliseconds prove nothing"
    );
}

#[tokio::test]
async fn too_many_waiting_questions_are_turned_away() {
    let settings = LegacyCacheSettings {
        waiting_max: 1,
        ..LegacyCacheSettings::default()
    };
    let world = World::with(Ok(positive(60)), settings);
    assert_eq!(world.at(0, "b.example A").await, "Miss [60] [] []");
    let held = Arc::clone(&world.upstream.held).acquire_owned().await;
    world.clock.set_secs(30);
    let mut tasks = JoinSet::new();
    spawn_ask(&world, &mut tasks);
    while world.cache.stats().waiting < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        world.ask("c.example A").await,
        Err(LegacyFailure::Overloaded.into())
    );
    assert!(matches!(
        world.ask("b.example A").await.unwrap().state,
        CacheState::Hit { .. }
    ));
    assert_eq!(world.at(60, "b.example A").await, "Stale [30] [] []");
    drop(held);
    tasks.join_all().await.remove(0).unwrap();
    assert_eq!(world.at(60, "c.example A").await, "Miss [60] [] []");
    assert_eq!(world.cache.stats().overloads, 2);
}

#[tokio::test]
async fn a_flush_forgets_a_name_and_those_below_it_also_under_way() {
    let world = World::new(Ok(positive(60)));
    for text in ["example A", "a.example A", "b.a.example A", "notexample A"] {
        world.ask(text).await.unwrap();
    }
    assert_eq!(
        world.cache.flush(Some(&"example".parse().unwrap()), true),
        3
    );
    assert_eq!(world.cache.peek(&question("a.example A")), None);
    assert!(world.cache.peek(&question("notexample A")).is_some());
    let held = Arc::clone(&world.upstream.held).acquire_owned().await;
    let mut tasks = JoinSet::new();
    spawn_ask(&world, &mut tasks);
    while world.asked() < 5 {
        tokio::task::yield_now().await;
    }
    world.cache.flush(None, false);
    drop(held);
    tasks.join_all().await.remove(0).unwrap();
    assert_eq!(world.cache.stats().entries, 0);
}
