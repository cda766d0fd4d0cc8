//! What is found, for whom, and until when.

use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use proptest::prelude::*;

use super::*;
use crate::adapters::dns::decode::{Decoded, decode};
use crate::adapters::dns::kept::asked::{PlainQuestion, plain_question};

type Hasher = BuildHasherDefault<DefaultHasher>;

const KEPT_BYTES_MAX: usize = 1 << 20;
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const ACCOUNT: Account = Account::of(crate::telemetry::answers::Route::Zone, 0);
const TAIL: [u8; 4] = [0, 1, 0, 1];

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(1_795_783_065_000 + secs * 1_000)
}

fn query(id: u8, label: &[u8]) -> Vec<u8> {
    let length = u8::try_from(label.len()).unwrap();
    let header = [0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], &[length], label, &[0], &TAIL].concat()
}

/// The answer to a question: one address.
fn reply(query: &[u8], ttl: u32, address: u32) -> Vec<u8> {
    let mut reply = query.to_vec();
    reply[2] |= 0x80;
    reply[7] = 1;
    reply.extend([0xc0, 12, 0, 1, 0, 1]);
    reply.extend(ttl.to_be_bytes());
    reply.extend([0, 4]);
    reply.extend(address.to_be_bytes());
    reply
}

fn read(query: &[u8]) -> Asked {
    let mut asked = Asked::new(true);
    assert!(asked.read(query, &Hasher::default()), "{query:?}");
    asked
}

fn everyone() -> Reach {
    Reach::around(LOOPBACK)
}

fn whose(reach: Reach) -> Whose {
    Whose {
        reach,
        account: ACCOUNT,
        why: None,
    }
}

fn found(kept: &KeptAnswers, query: &[u8], secs: u64) -> Option<Vec<u8>> {
    let mut reply = Vec::new();
    let found = kept.find(&read(query), LOOPBACK, at(secs))?;
    found.write(query, None, &mut reply);
    Some(reply)
}

fn keep(kept: &mut KeptAnswers, query: &[u8], reply: &[u8], keeping: Keeping) {
    kept.keep(&read(query), reply, &keeping, whose(everyone()));
}

fn of_the_index() -> Keeping {
    let mut keeping = Keeping::NEW;
    keeping.reads_index();
    keeping
}

#[test]
fn an_answer_has_the_id_and_the_letters_of_its_question() {
    let mut kept = KeptAnswers::new(KEPT_BYTES_MAX);
    let (first, second) = (query(1, b"www"), query(2, b"wWw"));
    keep(&mut kept, &first, &reply(&first, 60, 7), of_the_index());
    assert_eq!(found(&kept, &second, 0), Some(reply(&second, 60, 7)));
    assert_eq!(found(&kept, &query(1, b"www2"), 0), None);
    let mut without_rd = query(1, b"www");
    without_rd[2] = 0;
    assert_eq!(found(&kept, &without_rd, 0), None);
}

#[test]
fn what_changed_is_found_no_longer() {
    let mut kept = KeptAnswers::new(KEPT_BYTES_MAX);
    let (indexed, zoned) = (query(1, b"indexed"), query(1, b"zoned"));
    let fill = |kept: &mut KeptAnswers| {
        keep(kept, &indexed, &reply(&indexed, 60, 1), of_the_index());
        keep(kept, &zoned, &reply(&zoned, 60, 2), Keeping::NEW);
    };
    let both = |kept: &KeptAnswers| [&indexed, &zoned].map(|of| found(kept, of, 0).is_some());
    fill(&mut kept);
    assert_eq!(both(&kept), [true, true]);
    let mut standing = Standing::default();
    standing.index += 1;
    kept.stand(standing);
    assert_eq!(both(&kept), [false, true]);
    fill(&mut kept);
    kept.stand(standing);
    assert_eq!(both(&kept), [true, true]);
    standing.setup += 1;
    kept.stand(standing);
    assert_eq!(both(&kept), [false, false]);
    fill(&mut kept);
    standing.forgotten += 1;
    kept.stand(standing);
    assert_eq!(both(&kept), [false, false]);
    assert_eq!(kept.count(), 2, "each in the place of the one before");
}

#[test]
fn an_answer_is_for_its_reach_alone() {
    let mut kept = KeptAnswers::new(KEPT_BYTES_MAX);
    let question = query(1, b"www");
    let asked = read(&question);
    let nets = ["10.0.0.0/8".parse().unwrap()];
    for (from, address) in [("10.1.1.1", 1), ("192.0.2.1", 2)] {
        let from: IpAddr = from.parse().unwrap();
        let reach = Reach::around(from).alike(from, &nets);
        kept.keep(
            &asked,
            &reply(&question, 60, address),
            &of_the_index(),
            whose(reach),
        );
    }
    for (from, address) in [
        ("10.200.0.1", Some(1)),
        ("192.0.2.9", Some(2)),
        ("9.0.0.1", None),
    ] {
        let found = kept.find(&asked, from.parse().unwrap(), at(0));
        let last = found.map(|found| u32::from(*found.kept.reply().last().unwrap()));
        assert_eq!(last, address, "{from}");
    }
}

#[test]
fn ttls_of_legacy_answers_count_down_until_they_are_over() {
    let mut kept = KeptAnswers::new(KEPT_BYTES_MAX);
    let question = query(1, b"www");
    let mut keeping = Keeping::NEW;
    keeping.ages(at(10));
    keep(&mut kept, &question, &reply(&question, 3, 7), keeping);
    for (secs, ttl) in [
        (10, Some(3)),
        (11, Some(2)),
        (12, Some(1)),
        (13, None),
        (9, None),
    ] {
        let expected = ttl.map(|ttl| reply(&question, ttl, 7));
        assert_eq!(found(&kept, &question, secs), expected, "after {secs} s");
    }
}

#[test]
fn what_may_not_be_kept_is_not() {
    let mut kept = KeptAnswers::new(KEPT_BYTES_MAX);
    let question = query(1, b"www");
    let mut never = of_the_index();
    never.never("for a test");
    keep(&mut kept, &question, &reply(&question, 60, 7), never);
    keep(
        &mut kept,
        &question,
        &reply(&question, 0, 7),
        of_the_index(),
    );
    let mut cut = reply(&question, 60, 7);
    cut.pop();
    keep(&mut kept, &question, &cut, of_the_index());
    let mut bare = Keeping::NEW;
    bare.ages(at(0));
    keep(&mut kept, &question, &question, bare);
    assert_eq!(kept.count(), 0);
}

#[test]
fn memory_is_bounded() {
    const BYTES_MAX: usize = 64 << 10;
    let mut kept = KeptAnswers::new(BYTES_MAX);
    for number in 0..5_000_u32 {
        let question = query(1, number.to_string().as_bytes());
        keep(
            &mut kept,
            &question,
            &reply(&question, 60, number),
            of_the_index(),
        );
        assert!(kept.bytes <= BYTES_MAX);
        let weights: usize = kept.answers.iter().map(Kept::weight).sum();
        assert_eq!(kept.bytes, weights);
        let is_first = found(&kept, &question, 0).is_none();
        if is_first {
            assert!(kept.is_full, "{number} was not kept though there was room");
            keep(
                &mut kept,
                &question,
                &reply(&question, 60, number),
                of_the_index(),
            );
        }
        assert_eq!(
            found(&kept, &question, 0),
            Some(reply(&question, 60, number))
        );
    }
    assert!(kept.count() > 200, "{}", kept.count());
    let mut there = 0;
    for number in 0..5_000_u32 {
        let question = query(1, number.to_string().as_bytes());
        if let Some(bytes) = found(&kept, &question, 0) {
            assert_eq!(bytes, reply(&question, 60, number));
            there += 1;
        }
    }
    assert_eq!(there, kept.count());
}

#[test]
fn who_goes_through_all_names_once_takes_nobodys_place() {
    let mut kept = KeptAnswers::new(64 << 10);
    let ask = |kept: &mut KeptAnswers, number: u32| {
        let question = query(1, number.to_string().as_bytes());
        let is_kept = found(kept, &question, 0).is_some();
        if !is_kept {
            let reply = reply(&question, 60, number);
            keep(kept, &question, &reply, of_the_index());
        }
        is_kept
    };
    let often = 0..200;
    for number in often.clone() {
        ask(&mut kept, number);
    }
    for number in 1_000..50_000 {
        ask(&mut kept, number);
    }
    assert!(kept.is_full);
    let still = often.clone().filter(|number| ask(&mut kept, *number));
    // Marks that meet by chance let one or the other in.
    assert!(still.count() > 190);
    // After a change each is kept anew at once, as it was kept before.
    let mut standing = Standing::default();
    standing.index += 1;
    kept.stand(standing);
    assert!(often.clone().all(|number| !ask(&mut kept, number)));
    let again = often.filter(|number| ask(&mut kept, *number)).count();
    assert!(again > 190, "{again}");
}

proptest! {
    /// Whatever is kept and given up in between, what is found is what was kept last.
    #[test]
    fn what_is_found_is_what_was_kept_last(
        steps in proptest::collection::vec((0..40_u8, any::<u32>(), 0..8_u8), 1..300),
    ) {
        let mut kept = KeptAnswers::new(3_000);
        let mut model = BTreeMap::new();
        let mut standing = Standing::default();
        for (name, address, what) in steps {
            let question = query(1, &[b'a', name]);
            let answer = reply(&question, 60, address);
            match what {
                0 => {
                    standing.index += 1;
                    kept.stand(standing);
                    model.clear();
                }
                1..4 => {
                    keep(&mut kept, &question, &answer, of_the_index());
                    model.insert(name, answer);
                }
                _ => {
                    if let Some(bytes) = found(&kept, &question, 0) {
                        prop_assert_eq!(Some(&bytes), model.get(&name));
                    }
                }
            }
        }
    }

    /// What is taken for a plain question is one, and means what the long way reads; bytes that
    /// were changed on the way do no harm.
    #[test]
    fn the_short_way_reads_what_the_long_way_reads(
        label in proptest::collection::vec(any::<u8>(), 1..30),
        kind in prop_oneof![Just(1u16), Just(41), 248..=255u16, any::<u16>()],
        tail in prop_oneof![
            Just(Vec::new()),
            Just(vec![0, 0, 41, 4, 208, 0, 0, 128, 0, 0, 0]),
            Just(vec![0, 0, 41, 1, 0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]),
            (8..=32_u8).prop_map(|server| {
                let head = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, server + 12, 0, 10, 0, server + 8];
                let cookie = (0..server + 8).collect::<Vec<u8>>();
                [&head[..], &cookie].concat()
            }),
        ],
        changed in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut bytes = query(1, &label);
        bytes[11] = u8::from(!tail.is_empty());
        let kind_at = bytes.len() - TAIL.len();
        bytes[kind_at..kind_at + 2].copy_from_slice(&kind.to_be_bytes());
        bytes.extend(tail);
        let is_whole = changed.is_empty();
        for (at, byte) in changed {
            *at.get_mut(&mut bytes) = byte;
        }
        let plain = plain_question(&bytes);
        let is_ordinary = !matches!(kind, 41 | 249..=254);
        prop_assert!(plain.is_some() || !is_whole || !is_ordinary);
        if let Some(PlainQuestion { name, kind, limit, cookie }) = plain {
            let Decoded::Request(request) = decode(&bytes) else {
                panic!("{bytes:?} is refused");
            };
            prop_assert_eq!(request.name.as_wire(), name);
            prop_assert_eq!(request.kind.code(), kind);
            prop_assert!(!request.is_signed);
            let wanted = request.edns.map_or(512, |edns| edns.payload_size.min(1_232));
            prop_assert_eq!(usize::from(wanted), limit);
            prop_assert_eq!(request.edns.and_then(|edns| edns.cookie), cookie);
        }
    }
}
