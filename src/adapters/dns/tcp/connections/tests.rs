//! Who gets a place, and who has to leave for it.

use super::*;

const LIMITS: TcpLimits = TcpLimits {
    connections_max: 3,
    quic_max: 2,
    per_client_max: 2,
    questions_max: 3,
    questions_per_client_max: 2,
    idle_ms: 10_000,
    idle_least_ms: 1_000,
};

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn house() -> Arc<Connections> {
    Arc::new(Connections::new(LIMITS))
}

/// Lets a place go as soon as it is told to leave.
async fn goes_when_told(place: Place) {
    place.must_leave().await;
}

#[tokio::test]
async fn the_longest_idle_makes_room_and_who_is_busy_stays() {
    let house = house();
    let mut places = Vec::new();
    for client in 1..=3 {
        places.push(house.enter(address(client)).await.unwrap());
    }
    let third = places.pop().unwrap();
    let second = places.pop().unwrap();
    let first = places.pop().unwrap();
    assert!(first.is_busy(), "the oldest has something to do");
    let left = async {
        goes_when_told(second).await;
        "second"
    };
    let (fourth, left) = tokio::join!(house.enter(address(4)), left);
    assert_eq!(left, "second");
    first.is_idle();
    // The third has been idle the longest now.
    let (fifth, ()) = tokio::join!(house.enter(address(5)), goes_when_told(third));
    assert!(first.is_busy() && fourth.unwrap().is_busy() && fifth.unwrap().is_busy());
}

#[tokio::test]
async fn connections_of_quic_make_room_among_themselves() {
    let house = house();
    let oldest = house.enter(address(9)).await.unwrap();
    assert!(!house.is_crowded_for_quic());
    let first = house.enter_by_quic(address(1)).await.unwrap();
    let second = house.enter_by_quic(address(2)).await.unwrap();
    assert!(house.is_crowded_for_quic());
    let (third, ()) = tokio::join!(house.enter_by_quic(address(3)), goes_when_told(first));
    assert!(oldest.is_busy() && second.is_busy() && third.as_ref().unwrap().is_busy());
    let looking = tokio::time::timeout(Duration::ZERO, house.enter_by_quic(address(4)));
    assert!(looking.await.is_err(), "none of them is idle");
    drop((second, third));
    assert!(house.lock().quic.is_empty());
}

#[tokio::test]
async fn where_all_are_busy_the_next_waits_for_the_first_that_is_done() {
    let house = house();
    let mut places = Vec::new();
    for client in 1..=3 {
        let place = house.enter(address(client)).await.unwrap();
        assert!(place.is_busy());
        places.push(place);
    }
    let looking = tokio::time::timeout(Duration::ZERO, house.enter(address(4)));
    assert!(looking.await.is_err(), "nobody is idle");
    let done = places.pop().unwrap();
    let work = async {
        tokio::task::yield_now().await;
        done.is_idle();
        goes_when_told(done).await;
    };
    let (entered, ()) = tokio::join!(house.enter(address(4)), work);
    assert!(entered.is_some());
}

#[tokio::test]
async fn a_client_makes_room_for_itself_alone() {
    let house = house();
    let other = house.enter(address(9)).await.unwrap();
    let busy = house.enter(address(1)).await.unwrap();
    assert!(busy.is_busy());
    let idle = house.enter(address(1)).await.unwrap();
    let (third, ()) = tokio::join!(house.enter(address(1)), goes_when_told(idle));
    assert!(third.as_ref().unwrap().is_busy());
    assert!(house.enter(address(1)).await.is_none(), "both are at work");
    assert!(other.is_busy(), "the oldest of all, and nobody's business");
    drop((third, busy));
    assert!(house.enter(address(1)).await.is_some());
}

#[tokio::test]
async fn who_was_told_to_leave_takes_nothing_more_on() {
    let house = house();
    let place = house.enter(address(1)).await.unwrap();
    house.make_room();
    assert!(!place.is_busy());
    place.must_leave().await;
    drop(place);
    let next = house.enter(address(1)).await.unwrap();
    assert!(next.is_busy(), "a new connection in the same place");
}

#[tokio::test]
async fn questions_are_counted_for_each_client_and_for_all() {
    let house = house();
    let one = house.enter(address(1)).await.unwrap();
    let other = house.enter(address(2)).await.unwrap();
    let held = [one.question().unwrap(), one.question().unwrap()];
    assert!(one.question().is_none());
    let last = other.question().unwrap();
    assert!(other.question().is_none(), "as many as there may be in all");
    drop(one);
    let again = house.enter(address(1)).await.unwrap();
    assert!(
        again.question().is_none(),
        "another connection changes nothing"
    );
    drop(held);
    assert!(again.question().is_some());
    drop((again, other, last));
    assert!(house.lock().clients.is_empty());
    assert_eq!(house.lock().free.len(), LIMITS.connections_max);
}

#[tokio::test]
async fn the_fuller_the_house_the_shorter_the_patience() {
    let limits = TcpLimits {
        connections_max: 100,
        per_client_max: 100,
        ..LIMITS
    };
    let house = Arc::new(Connections::new(limits));
    let mut held = Vec::new();
    let mut seen = Vec::new();
    for _ in 0..100 {
        held.push(house.enter(address(1)).await.unwrap());
        seen.push(house.idle().as_millis());
    }
    assert!(seen[..50].iter().all(|idle| *idle == 10_000), "{seen:?}");
    assert!(seen.is_sorted_by(|before, after| before >= after));
    assert_eq!((seen[74], seen[99]), (5_000, 1_000));
    held.clear();
    assert_eq!(house.idle().as_millis(), 10_000);
}

#[test]
fn a_small_house_leaves_half_of_its_files_to_others() {
    let small = TcpLimits::within(240);
    assert_eq!((small.connections_max, small.per_client_max), (120, 15));
    let large = TcpLimits::within(1 << 20);
    assert_eq!((large.connections_max, large.per_client_max), (4_096, 128));
    assert_eq!((small.quic_max, large.quic_max), (30, 1_024));
    assert_eq!(TcpLimits::within(0).connections_max, 1);
}
