//! How long a reply may be kept by whoever caches what comes over HTTP (RFC 8484 section 5.1).

use domain::base::iana::{OptRcode, Rtype};
use domain::base::message::Message;
use domain::rdata::Soa;

/// The seconds that a reply is good for: the least TTL of its answers; where there is none of what
/// was asked, also what its SOA record says of that (RFC 2308 section 5). None for a reply that nobody
/// should keep: an error, a referral, or a denial without that record.
pub(super) fn max_age(reply: &[u8]) -> Option<u32> {
    let message = Message::from_slice(reply).ok()?;
    if message.header().tc() {
        return None;
    }
    let kind = message.sole_question().ok()?.qtype();
    let rcode = message.opt_rcode();
    let (_, answers, authorities, _) = message.sections().ok()?;
    let (mut least, mut is_answered) = (None, false);
    for record in answers {
        let record = record.ok()?;
        let ttl = record.ttl().as_secs();
        least = Some(least.map_or(ttl, |least: u32| least.min(ttl)));
        // The chain of aliases may end without what was asked.
        is_answered |= record.rtype() == kind || kind == Rtype::ANY;
    }
    match rcode {
        OptRcode::NOERROR if is_answered => return least,
        OptRcode::NOERROR | OptRcode::NXDOMAIN => {}
        _ => return None,
    }
    for record in authorities {
        let record = record.ok()?;
        let Ok(Some(soa)) = record.to_record::<Soa<_>>() else {
            continue;
        };
        let denied = soa.ttl().as_secs().min(soa.data().minimum().as_secs());
        return Some(least.map_or(denied, |least| least.min(denied)));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use domain::base::iana::Rcode;
    use domain::base::message_builder::MessageBuilder;
    use domain::base::name::Name;
    use domain::base::{Serial, Ttl};
    use domain::rdata::{A, Cname};

    use super::*;

    type WireName = Name<Vec<u8>>;

    fn name(text: &str) -> WireName {
        WireName::from_str(text).unwrap()
    }

    /// A reply with addresses and aliases of these TTLs, and the TTL and minimum of an SOA record.
    fn reply(
        rcode: Rcode,
        addresses: &[u32],
        aliases: &[u32],
        denied: Option<(u32, u32)>,
    ) -> Vec<u8> {
        let mut question = MessageBuilder::new_vec().question();
        question.header_mut().set_rcode(rcode);
        question.push((name("a.test"), Rtype::A)).unwrap();
        let mut answer = question.answer();
        for ttl in aliases {
            let alias = (name("a.test"), *ttl, Cname::new(name("b.test")));
            answer.push(alias).unwrap();
        }
        for ttl in addresses {
            let address = (name("a.test"), *ttl, A::from_octets(192, 0, 2, 1));
            answer.push(address).unwrap();
        }
        let mut authority = answer.authority();
        if let Some((ttl, minimum)) = denied {
            let secs = Ttl::from_secs;
            let soa = Soa::new(
                name("ns.test"),
                name("ops.test"),
                Serial::from(1),
                secs(1),
                secs(1),
                secs(1),
                secs(minimum),
            );
            authority.push((name("test"), ttl, soa)).unwrap();
        }
        authority.finish()
    }

    #[test]
    fn a_reply_is_good_for_its_least_ttl_or_for_what_its_denial_is() {
        let (ok, absent) = (Rcode::NOERROR, Rcode::NXDOMAIN);
        for (reply, expected) in [
            (reply(ok, &[300, 60, 90], &[], None), Some(60)),
            (reply(ok, &[300], &[20], None), Some(20)),
            (reply(ok, &[0], &[], None), Some(0)),
            (reply(ok, &[], &[], Some((900, 30))), Some(30)),
            (reply(ok, &[], &[], Some((20, 30))), Some(20)),
            (reply(ok, &[], &[5], Some((900, 30))), Some(5)),
            (reply(ok, &[], &[5], None), None),
            (reply(ok, &[], &[], None), None),
            (reply(absent, &[], &[], Some((900, 40))), Some(40)),
            (reply(absent, &[], &[7], Some((900, 40))), Some(7)),
            (reply(absent, &[], &[], None), None),
            (reply(Rcode::SERVFAIL, &[], &[], Some((900, 40))), None),
            (reply(Rcode::REFUSED, &[300], &[], None), None),
            (vec![0; 5], None),
        ] {
            assert_eq!(max_age(&reply), expected, "{reply:?}");
        }
    }
}
