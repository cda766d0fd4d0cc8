//! What proofs of absence show, where the library does not look: it hashes, compares and believes
//! nothing about signatures, which are judged elsewhere.

use data_encoding::BASE32_DNSSEC;
use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, NSEC3};
use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::veil::covered;

/// Takes out proofs that prove nothing whoever signed them: NSEC records that lead out of their zone,
/// and for the absence of a DS record, NSEC3 records that do not show which part of the name exists.
/// `iterations_max`: with more, hashes are not computed here, and the library does not believe them.
pub(super) fn sift(message: &mut Message, query: &Query, iterations_max: u16) {
    let overreaching: Vec<Name> = overreaching(&message.authorities);
    message.authorities.retain(|row| {
        proof_kind(row) != Some(RecordType::NSEC) || !overreaching.contains(&row.name)
    });
    let lacks_encloser = query.query_type() == RecordType::DS
        && message.answers.is_empty()
        && message.response_code == ResponseCode::NoError
        && Spans::of(&message.authorities)
            .filter(|spans| spans.iterations() <= iterations_max)
            .is_some_and(|spans| {
                !spans.has(&query.name) && spans.next_closer(&query.name) != Some(Cover::OptOut)
            });
    if lacks_encloser {
        message
            .authorities
            .retain(|row| proof_kind(row) != Some(RecordType::NSEC3));
    }
}

/// Whether signed proofs leave it open if a name is below a delegation that is not signed: what is
/// said of such a name may be believed, but is not proven (RFC 5155 section 9.2). The library takes
/// an absence at such a name for bogus, but for that of DS records.
pub(super) fn leaves_open(message: &Message, query: &Query, iterations_max: u16) -> bool {
    message.answers.is_empty()
        && message.response_code == ResponseCode::NoError
        && query.query_type() != RecordType::DS
        && message
            .authorities
            .iter()
            .all(|row| row.record_type() != RecordType::NSEC3 || row.proof.is_secure())
        && Spans::of(&message.authorities)
            .filter(|spans| spans.iterations() <= iterations_max)
            .is_some_and(|spans| {
                !spans.has(&query.name) && spans.next_closer(&query.name) == Some(Cover::OptOut)
            })
}

/// The type of the proof that a record is or signs.
fn proof_kind(row: &Record) -> Option<RecordType> {
    let kind = covered(row).map_or_else(|| row.record_type(), |sig| sig.input().type_covered);
    matches!(kind, RecordType::NSEC | RecordType::NSEC3).then_some(kind)
}

/// The owners of NSEC records whose next name is in no zone that signs them. Only the zone's last
/// record leads back to its top, and none leads further (RFC 4034 section 4.1.1).
fn overreaching(rows: &[Record]) -> Vec<Name> {
    let leads_out = |row: &Record| {
        let RData::DNSSEC(DNSSECRData::NSEC(proof)) = &row.data else {
            return false;
        };
        let mut sigs = rows
            .iter()
            .filter(|sig| sig.name == row.name && proof_kind(sig) == Some(RecordType::NSEC))
            .filter_map(covered)
            .peekable();
        let is_within = |signer: &Name| signer.zone_of(proof.next_domain_name());
        sigs.peek().is_some() && !sigs.any(|sig| is_within(&sig.input().signer_name))
    };
    let owners = rows.iter().filter(|row| leads_out(row));
    owners.map(|row| row.name.clone()).collect()
}

/// How a span covers a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cover {
    /// No name is in between.
    Whole,
    /// No name is in between but for delegations that are not signed (RFC 5155 section 6).
    OptOut,
}

/// The NSEC3 records of one zone that hash in one way.
struct Spans<'m> {
    zone: Name,
    spans: Vec<Span<'m>>,
}

struct Span<'m> {
    from: Vec<u8>,
    proof: &'m NSEC3,
}

impl<'m> Spans<'m> {
    /// None if there is none, or if they are of several zones or hash in several ways.
    fn of(rows: &'m [Record]) -> Option<Self> {
        let mut zone: Option<Name> = None;
        let mut spans: Vec<Span<'m>> = Vec::new();
        for row in rows {
            let RData::DNSSEC(DNSSECRData::NSEC3(proof)) = &row.data else {
                continue;
            };
            let label = row.name.iter().next()?.to_ascii_lowercase();
            let from = BASE32_DNSSEC.decode(&label).ok()?;
            let base = row.name.base_name();
            let is_alike = spans.first().is_none_or(|first| {
                first.proof.hash_algorithm() == proof.hash_algorithm()
                    && first.proof.salt() == proof.salt()
                    && first.proof.iterations() == proof.iterations()
            });
            if !is_alike || zone.as_ref().is_some_and(|zone| *zone != base) {
                return None;
            }
            zone = Some(base);
            spans.push(Span { from, proof });
        }
        Some(Self { zone: zone?, spans })
    }

    fn iterations(&self) -> u16 {
        self.spans.first().map_or(0, |span| span.proof.iterations())
    }

    fn hash(&self, name: &Name) -> Option<Vec<u8>> {
        let how = self.spans.first()?.proof;
        let hash = how
            .hash_algorithm()
            .hash(how.salt(), name, how.iterations());
        Some(hash.ok()?.as_ref().to_vec())
    }

    fn at(&self, name: &Name) -> Option<&Span<'m>> {
        let hash = self.hash(name)?;
        self.spans.iter().find(|span| span.from == hash)
    }

    /// Whether a name has a record of its own, and so exists.
    fn has(&self, name: &Name) -> bool {
        self.zone.zone_of(name) && self.at(name).is_some()
    }

    /// The cover of the name one label below the longest part of `name` that is shown to exist, if
    /// both are shown (RFC 5155 section 8.3).
    fn next_closer(&self, name: &Name) -> Option<Cover> {
        if !self.zone.zone_of(name) {
            return None;
        }
        let mut next_closer = name.clone();
        while next_closer != self.zone {
            let parent = next_closer.base_name();
            let Some(encloser) = self.at(&parent) else {
                next_closer = parent;
                continue;
            };
            // What is below a zone cut the parent's records say nothing about (RFC 6840 section 4.1).
            if encloser.proof.is_ancestor_delegation() {
                return None;
            }
            let hash = self.hash(&next_closer)?;
            let span = self.spans.iter().find(|span| span.covers(&hash))?;
            return Some(if span.proof.opt_out() {
                Cover::OptOut
            } else {
                Cover::Whole
            });
        }
        None
    }
}

impl Span<'_> {
    fn covers(&self, hash: &[u8]) -> bool {
        let (from, to) = (&*self.from, self.proof.next_hashed_owner_name());
        if from < to {
            from < hash && hash < to
        } else {
            // The last record leads back to the first.
            from < hash || hash < to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::dnssec::rdata::{NSEC, RRSIG, SigInput};
    use hickory_resolver::proto::dnssec::{Algorithm, Nsec3HashAlgorithm, Proof};
    use hickory_resolver::proto::op::OpCode;
    use hickory_resolver::proto::rr::SerialNumber;

    const ITERATIONS_MAX: u16 = 5;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn message(authorities: Vec<Record>) -> Message {
        let mut message = Message::response(0, OpCode::Query);
        message.add_authorities(authorities);
        message
    }

    fn sig(owner: &str, signer: &str, type_covered: RecordType) -> Record {
        let input = SigInput {
            type_covered,
            algorithm: Algorithm::ECDSAP256SHA256,
            num_labels: 2,
            original_ttl: 60,
            sig_expiration: SerialNumber::new(2),
            sig_inception: SerialNumber::new(1),
            key_tag: 1,
            signer_name: name(signer),
        };
        let data = DNSSECRData::RRSIG(RRSIG::from_sig(input, vec![0; 64]));
        Record::from_rdata(name(owner), 60, RData::DNSSEC(data))
    }

    fn nsec(owner: &str, next: &str) -> Record {
        let data = DNSSECRData::NSEC(NSEC::new(name(next), [RecordType::A]));
        Record::from_rdata(name(owner), 60, RData::DNSSEC(data))
    }

    #[test]
    fn a_proof_that_leads_out_of_its_zone_is_none() {
        let query = Query::query(name("www.example."), RecordType::A);
        for (next, kept) in [("x.example.", 2), ("example.", 2), ("x.test.", 0)] {
            let rows = vec![
                nsec("a.example.", next),
                sig("a.example.", "example.", RecordType::NSEC),
            ];
            let mut message = message(rows);
            sift(&mut message, &query, ITERATIONS_MAX);
            assert_eq!(message.authorities.len(), kept, "{next}");
        }
    }

    fn hash(of: &str) -> Vec<u8> {
        let how = Nsec3HashAlgorithm::SHA1;
        how.hash(&[1], &name(of), 1).unwrap().as_ref().to_vec()
    }

    /// A record at `from`, or just before it, that ends behind `to`.
    fn span(from: &[u8], to: &[u8], opt_out: bool, types: &[RecordType]) -> Record {
        let how = Nsec3HashAlgorithm::SHA1;
        let types = types.iter().copied();
        let proof = NSEC3::new(how, opt_out, 1, vec![1], to.to_vec(), types);
        let owner = format!("{}.example.", BASE32_DNSSEC.encode(from));
        let mut row =
            Record::from_rdata(name(&owner), 60, RData::DNSSEC(DNSSECRData::NSEC3(proof)));
        row.proof = Proof::Secure;
        row
    }

    fn at(owner: &str, types: &[RecordType]) -> Record {
        let hash = hash(owner);
        span(&hash, &after(&hash), false, types)
    }

    fn around(of: &str, opt_out: bool) -> Record {
        let hash = hash(of);
        span(&before(&hash), &after(&hash), opt_out, &[])
    }

    fn after(hash: &[u8]) -> Vec<u8> {
        let mut next = hash.to_vec();
        let last = next.last_mut().unwrap();
        *last = last.checked_add(1).unwrap();
        next
    }

    fn before(hash: &[u8]) -> Vec<u8> {
        let mut previous = hash.to_vec();
        let last = previous.last_mut().unwrap();
        *last = last.checked_sub(1).unwrap();
        previous
    }

    #[test]
    fn an_unsigned_delegation_is_believed_with_its_closest_encloser_alone() {
        use RecordType as T;
        let apex = || at("example.", &[T::NS, T::SOA]);
        for (rows, is_kept) in [
            (vec![apex(), around("c.example.", true)], true),
            (vec![around("c.example.", true)], false),
            (vec![apex(), around("c.example.", false)], false),
            (vec![apex()], false),
            // The name's own record needs nothing beside it.
            (vec![at("c.example.", &[T::NS])], true),
            // What is below a zone cut the parent cannot deny.
            (
                vec![at("example.", &[T::NS]), around("c.example.", true)],
                false,
            ),
        ] {
            let query = Query::query(name("C.example."), RecordType::DS);
            let mut message = message(rows.clone());
            sift(&mut message, &query, ITERATIONS_MAX);
            assert_eq!(!message.authorities.is_empty(), is_kept, "{rows:?}");
            // Other types are the library's to judge, and so are hashes that take long.
            for (kind, iterations_max) in [(T::A, ITERATIONS_MAX), (T::DS, 0)] {
                let query = Query::query(name("c.example."), kind);
                let mut message = self::message(rows.clone());
                sift(&mut message, &query, iterations_max);
                assert_eq!(message.authorities, rows);
            }
        }
    }

    #[test]
    fn an_opt_out_span_leaves_open_what_is_below_it() {
        use RecordType as T;
        let apex = || at("example.", &[T::NS, T::SOA]);
        let query = Query::query(name("a.c.example."), T::MX);
        let says = |rows| leaves_open(&message(rows), &query, ITERATIONS_MAX);
        assert!(says(vec![apex(), around("c.example.", true)]));
        assert!(!says(vec![apex(), around("c.example.", false)]));
        assert!(!says(vec![around("c.example.", true)]));
        let mut unproven = around("c.example.", true);
        unproven.proof = Proof::Bogus;
        assert!(!says(vec![apex(), unproven]));
    }
}
