//! Whatever a datagram from an upstream holds, it is a reply to the question that was sent or it is
//! not, and what is read from it was in it.
#![no_main]

use kedge::adapters::legacy::asking::{Asked, Kinship, Said, Secret, kinship};
use kedge::adapters::legacy::reply;
use kedge::namespace::rtype::RecordType;
use kedge::resolution::legacy::LegacyQuestion;
use libfuzzer_sys::fuzz_target;

/// The response flag, in the third octet (RFC 1035 section 4.1.1).
const IS_RESPONSE: u8 = 0x80;

fuzz_target!(|input: &[u8]| {
    let Some((&[switches, high, low], rest)) = input.split_first_chunk() else {
        return;
    };
    let Some((random, came)) = rest.split_first_chunk::<{ Secret::BYTES }>() else {
        return;
    };
    let is_on = |bit: u8| switches >> bit & 1 == 1;
    let question = LegacyQuestion {
        name: "www.example.".parse().unwrap(),
        kind: RecordType::new(u16::from_be_bytes([high, low])),
        dnssec_ok: is_on(0),
        checking_disabled: is_on(1),
    };
    let asked = Asked {
        question: &question,
        trusts_ad: is_on(2),
    };
    let name_bytes = question.name.as_wire().len();
    let sent = asked.message(&Secret::new(*random), is_on(3).then_some(&random[..8]));
    let question_end = 12 + name_bytes + 4;
    // As it came, and behind the head of a reply to what was sent, which chance would hardly make.
    let mut like_a_reply = sent[..question_end].to_vec();
    like_a_reply[2] |= IS_RESPONSE;
    for (to, from) in (3..12).filter(|at| !(4..6).contains(at)).zip(came) {
        like_a_reply[to] = *from;
    }
    like_a_reply.extend(came.iter().skip(7));
    for came in [came, &like_a_reply] {
        if kinship(&sent, name_bytes, came) == Kinship::Reply {
            assert_eq!(came[..2], sent[..2]);
            assert_eq!(came[12..question_end], sent[12..question_end]);
        }
        if let Some(said) = Said::of(came) {
            said.objection();
        }
        if let Ok(read) = reply::read(came, &question, asked.trusts_ad) {
            assert!(asked.trusts_ad || !read.authentic);
            let sections = [&read.answers, &read.authorities, &read.additionals];
            let records: usize = sections.iter().map(|section| section.len()).sum();
            // The shortest record has a root name, ten octets and no data.
            assert!(records * 11 <= came.len());
        }
    }
});
