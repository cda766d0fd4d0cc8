//! What validation found: whether an answer holds, and if not, why.

use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::runtime::{RuntimeProvider, Time, TokioRuntimeProvider};
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS};
use hickory_resolver::proto::op::{DnsRequestOptions, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::CNAME;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType, SerialNumber};
use hickory_resolver::proto::serialize::binary::BinDecodable;

use crate::resolution::legacy::Flaw;

use super::denial::leaves_open;
use super::names::NSEC3_ITERATIONS_INSECURE;
use super::veil::{covered, is_proof};

/// Zones whose keys are looked at for where an answer became bogus.
const ZONES_MAX: usize = 8;

/// How an answer stands (RFC 4035 section 4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Every record is proven.
    Secure,
    /// Proven to be beyond what is signed.
    Insecure,
    /// Ought to be proven and is not.
    Bogus,
}

/// Asks for a name, and judges what comes.
pub(super) async fn judge<H: DnsHandle>(
    validator: &DnssecDnsHandle<H>,
    query: &Query,
) -> Result<(Message, Standing), NetError> {
    let mut options = DnsRequestOptions::default();
    options.use_edns = true;
    options.edns_set_dnssec_ok = true;
    let answer = validator.lookup(query.clone(), options).first_answer();
    match answer.await {
        Ok(response) => {
            let message = response.into_message();
            let found = standing(&message, query);
            Ok((message, found))
        }
        Err(NetError::Dns(DnsError::Nsec {
            response, proof, ..
        })) => {
            let message = response.into_message();
            let found = match proof {
                Proof::Insecure => Standing::Insecure,
                _ if wildcard_holds(&message, query) => Standing::Secure,
                _ if leaves_open(&message, query, NSEC3_ITERATIONS_INSECURE) => Standing::Insecure,
                _ => Standing::Bogus,
            };
            Ok((message, found))
        }
        Err(error) => Err(error),
    }
}

/// Judges the records that an answer is made of: its answer section, or the proofs of absence.
fn standing(message: &Message, query: &Query) -> Standing {
    let rows: Vec<&Record> = if message.answers.is_empty() {
        let authorities = message.authorities.iter();
        let counts = |row: &&Record| row.record_type().is_soa() || is_proof(row);
        authorities.filter(counts).collect()
    } else {
        let answers = message.answers.iter();
        answers
            .filter(|row| !is_made_from_dname(row, message, query))
            .collect()
    };
    let mut proofs = rows
        .iter()
        .filter(|row| covered(row).is_none())
        .map(|row| row.proof)
        .peekable();
    let is_empty = proofs.peek().is_none();
    let proofs: Vec<Proof> = proofs.collect();
    if proofs.contains(&Proof::Bogus) {
        Standing::Bogus
    } else if rests_on_opt_out(message, query) {
        Standing::Insecure
    } else if !is_empty && proofs.iter().all(|proof| *proof == Proof::Secure) {
        Standing::Secure
    } else {
        Standing::Insecure
    }
}

/// Whether an answer holds only if there is no unsigned delegation that the proof leaves out; such
/// an answer is not authentic (RFC 5155 section 9.2). The library takes no notice.
fn rests_on_opt_out(message: &Message, query: &Query) -> bool {
    let authorities = message.authorities.iter();
    let opted: Vec<bool> = authorities
        .filter_map(|row| match &row.data {
            RData::DNSSEC(DNSSECRData::NSEC3(proof)) => Some(proof.opt_out()),
            _ => None,
        })
        .collect();
    // Absence of data at a name with a proof of its own does not rest on what is left out. That is
    // one record; at a wildcard it takes more (RFC 5155 section 8.7).
    let has_cover = message.response_code == ResponseCode::NXDomain
        || !message.answers.is_empty()
        || query.query_type() == RecordType::DS
        || opted.len() > 1;
    has_cover && opted.contains(&true)
}

/// Whether an answer made from a wildcard holds (RFC 4035 section 5.3.4): its records are proven,
/// and so is that no name between the wildcard and the one asked for exists. The library fails
/// those whose proof is the wildcard's own NSEC record, as it is for most names.
fn wildcard_holds(message: &Message, query: &Query) -> bool {
    let mut answers = message.answers.iter();
    let is_proven = |row: &Record| row.proof == Proof::Secure;
    if !answers.all(|row| covered(row).is_some() || is_proven(row)) {
        return false;
    }
    let asked = &query.name;
    let sigs = message.answers.iter().filter(|row| is_proven(row));
    let sig = sigs
        .filter_map(covered)
        .map(|sig| sig.input())
        .find(|sig| sig.num_labels < asked.num_labels());
    let Some(sig) = sig else {
        return false;
    };
    let mut authorities = message.authorities.iter();
    authorities.any(|row| {
        let RData::DNSSEC(DNSSECRData::NSEC(proof)) = &row.data else {
            return false;
        };
        let (owner, next) = (&row.name, proof.next_domain_name());
        let is_between = if owner < next {
            owner < asked && asked < next
        } else {
            // The last record of the zone leads back to its top.
            owner < asked || asked < next
        };
        // The longest part of the name that exists is where the wildcard is.
        let encloser = labels_shared(asked, owner).max(labels_shared(asked, next));
        is_proven(row)
            && sig.signer_name.zone_of(owner)
            && !proof.is_ancestor_delegation()
            && is_between
            && encloser == sig.num_labels
    })
}

/// How many labels two names end with in common.
fn labels_shared(one: &Name, other: &Name) -> u8 {
    let most = one.num_labels().min(other.num_labels());
    let ends_alike = |count: &u8| {
        let count = usize::from(*count);
        one.trim_to(count) == other.trim_to(count)
    };
    (0..=most).rev().find(ends_alike).unwrap_or(0)
}

/// Whether a record is the CNAME that a DNAME of the same answer makes; it is never signed and
/// stands as the DNAME does (RFC 6672 section 5.3.1).
fn is_made_from_dname(row: &Record, message: &Message, query: &Query) -> bool {
    let RData::CNAME(CNAME(target)) = &row.data else {
        return false;
    };
    let mut answers = message.answers.iter();
    answers.any(|dname| {
        let RData::Unknown {
            code: RecordType::DNAME,
            rdata,
        } = &dname.data
        else {
            return false;
        };
        let Ok(to) = Name::from_bytes(&rdata.anything) else {
            return false;
        };
        let kept = usize::from(
            query
                .name
                .num_labels()
                .saturating_sub(dname.name.num_labels()),
        );
        let labels = query.name.iter().take(kept).chain(to.iter());
        dname.name.zone_of(&query.name)
            && Name::from_labels(labels).is_ok_and(|made| made == *target)
    })
}

/// Finds what is wrong with a bogus answer, as far as its records and the zone's keys tell. The
/// library says no more than that it is bogus.
pub(super) async fn flaw<H: DnsHandle>(
    validator: &DnssecDnsHandle<H>,
    message: &Message,
) -> (Flaw, String) {
    let (rows, bogus) = culprit(message);
    let Some(bogus) = bogus else {
        return if rows.iter().any(|row| is_proof(row)) {
            (Flaw::Wrong, "the proof of absence does not hold".to_owned())
        } else {
            (Flaw::NoProof, "there is no proof of absence".to_owned())
        };
    };
    // The case of its letters is random.
    let (name, kind) = (bogus.name.to_lowercase(), bogus.record_type());
    match by_signatures(&rows, &name, kind) {
        Judged::Flawed(found) => found,
        Judged::InTime(signer) => by_keys(validator, &signer, (&name, kind)).await,
    }
}

/// All records of a message, and the first that is bogus.
fn culprit(message: &Message) -> (Vec<&Record>, Option<&Record>) {
    let sections = [&message.answers, &message.authorities];
    let rows: Vec<&Record> = sections.into_iter().flatten().collect();
    let mut bogus = rows.iter();
    let bogus = bogus.find(|row| row.proof == Proof::Bogus && covered(row).is_none());
    let bogus = bogus.copied();
    (rows, bogus)
}

/// The question whose answer makes another one bogus: the name's own, or that for the keys of a zone on
/// the way to it, or for what its parent says of them. Another server may answer it better.
pub(super) async fn suspect<H: DnsHandle>(
    validator: &DnssecDnsHandle<H>,
    mut message: Message,
    mut query: Query,
) -> Query {
    for _ in 0..ZONES_MAX {
        let Some(signer) = signer_in_time(&message) else {
            return query;
        };
        let keys = Query::query(signer.clone(), RecordType::DNSKEY);
        if query != keys {
            match judge(validator, &keys).await {
                Ok((_, Standing::Bogus)) | Err(_) => {}
                Ok(_) => return query,
            }
        }
        let named = Query::query(signer.clone(), RecordType::DS);
        if signer.is_root() || query == named {
            return keys;
        }
        match judge(validator, &named).await {
            Ok((found, Standing::Bogus)) => (message, query) = (found, named),
            Ok(_) => return keys,
            Err(_) => return named,
        }
    }
    query
}

/// The zone whose keys the first bogus record needs, if its signatures say so and are in time.
fn signer_in_time(message: &Message) -> Option<Name> {
    let (rows, bogus) = culprit(message);
    let bogus = bogus?;
    match by_signatures(&rows, &bogus.name, bogus.record_type()) {
        Judged::InTime(signer) => Some(signer),
        Judged::Flawed(_) => None,
    }
}

enum Judged {
    Flawed((Flaw, String)),
    /// The signatures are in time; this zone made them.
    InTime(Name),
}

fn by_signatures(rows: &[&Record], name: &Name, kind: RecordType) -> Judged {
    let signatures: Vec<_> = rows
        .iter()
        .filter(|row| row.name == *name)
        .filter_map(|row| covered(row))
        .filter(|sig| sig.input().type_covered == kind)
        .collect();
    let now = <<TokioRuntimeProvider as RuntimeProvider>::Timer as Time>::current_time();
    // Signature times are compared modulo 2^32 (RFC 4034 section 3.1.5).
    let now = SerialNumber::new(u32::try_from(now & u64::from(u32::MAX)).unwrap_or(0));
    let flawed = |flaw, text: String| Judged::Flawed((flaw, text));
    let Some(first) = signatures.first() else {
        return flawed(Flaw::NoSignature, format!("{name} {kind} is not signed"));
    };
    if signatures
        .iter()
        .all(|sig| sig.input().sig_expiration < now)
    {
        return flawed(
            Flaw::Expired,
            format!("the signature of {name} {kind} expired"),
        );
    }
    if signatures.iter().all(|sig| sig.input().sig_inception > now) {
        return flawed(
            Flaw::NotYetValid,
            format!("the signature of {name} {kind} is not yet valid"),
        );
    }
    Judged::InTime(first.input().signer_name.to_lowercase())
}

/// The signatures are in time: do they hold, and is the zone's key one that the parent names?
async fn by_keys<H: DnsHandle>(
    validator: &DnssecDnsHandle<H>,
    signer: &Name,
    (name, kind): (&Name, RecordType),
) -> (Flaw, String) {
    let ask = async |kind| {
        let judged = judge(validator, &Query::query(signer.clone(), kind)).await;
        judged.map_or_else(|_| Vec::new(), |(message, _)| message.answers)
    };
    let wrong = || {
        (
            Flaw::Wrong,
            format!("the signature of {name} {kind} does not hold"),
        )
    };
    let keys = ask(RecordType::DNSKEY).await;
    let of_kind = |row: &&Record| row.record_type() == RecordType::DNSKEY;
    if keys
        .iter()
        .filter(of_kind)
        .any(|row| row.proof == Proof::Secure)
    {
        return wrong();
    }
    if !keys.iter().any(|row| of_kind(&row)) {
        return (Flaw::NoKey, format!("{signer} has no DNSKEY records"));
    }
    let named = ask(RecordType::DS).await;
    let matches = named.iter().filter_map(ds).any(|ds| {
        let mut keys = keys.iter().filter_map(dnskey);
        keys.any(|key| ds.covers(signer, key).unwrap_or(false))
    });
    if !signer.is_root() && !matches {
        let text = format!("no DNSKEY of {signer} is one that its DS records name");
        return (Flaw::NoKey, text);
    }
    let rows: Vec<&Record> = keys.iter().collect();
    match by_signatures(&rows, signer, RecordType::DNSKEY) {
        Judged::Flawed(found) => found,
        Judged::InTime(_) => (
            Flaw::Wrong,
            format!("the keys of {signer} cannot be traced to a trust anchor"),
        ),
    }
}

fn ds(row: &Record) -> Option<&DS> {
    match &row.data {
        RData::DNSSEC(DNSSECRData::DS(ds)) => Some(ds),
        _ => None,
    }
}

fn dnskey(row: &Record) -> Option<&DNSKEY> {
    match &row.data {
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::dnssec::Nsec3HashAlgorithm;
    use hickory_resolver::proto::dnssec::rdata::NSEC3;
    use hickory_resolver::proto::op::OpCode;

    fn absence(proofs: &[bool]) -> Message {
        let mut message = Message::response(0, OpCode::Query);
        for opt_out in proofs {
            let hash = Nsec3HashAlgorithm::SHA1;
            let proof = NSEC3::new(hash, *opt_out, 0, Vec::new(), vec![0; 20], []);
            let data = RData::DNSSEC(DNSSECRData::NSEC3(proof));
            message.add_authority(Record::from_rdata(Name::root(), 60, data));
        }
        message
    }

    #[test]
    fn an_absence_at_a_wildcard_rests_on_the_spans_that_it_shows() {
        let query = Query::query(Name::root(), RecordType::MX);
        for (proofs, rests) in [
            // The name's own record.
            (&[true][..], false),
            (&[true, true], true),
            (&[false, true, false], true),
            (&[false, false, false], false),
        ] {
            assert_eq!(
                rests_on_opt_out(&absence(proofs), &query),
                rests,
                "{proofs:?}"
            );
        }
    }
}
