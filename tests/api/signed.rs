//! What is not JSON, or was signed by somebody else: imports, proposals, votes, seats, withdrawals,
//! leases, proofs of devices.

use data_encoding::BASE64URL_NOPAD;
use kedge::adapters::clock::SystemClock;
use kedge::base::canonical::{Canonical, Decoder, Encoder, Form};
use kedge::base::digest::Digest;
use kedge::base::keys::SecretKey;
use kedge::base::signed::Signed;
use kedge::base::text_form::TextForm;
use kedge::base::time::Ttl;
use kedge::governance::approval::Approval;
use kedge::governance::device::{DeviceFile, Nonce};
use kedge::governance::lease::{Check, Condition, Lease};
use kedge::governance::op::Op;
use kedge::governance::proposal::Proposal;
use kedge::governance::withdrawal::Withdrawal;
use kedge::index::impact::Impact;
use kedge::namespace::name::Name;
use kedge::namespace::path::NamePath;
use kedge::namespace::rdata::Rdata;
use kedge::namespace::record::RecordSet;
use kedge::namespace::rtype::RecordType;
use kedge::service::changes::{ImportDraft, ImportEntry};
use kedge::service::ports::Clock;
use serde_json::{Value, json};

use super::session::Session;

const US: &str = "/scopes/us.mesh.internal";

fn encoded<T: Canonical>(value: &T) -> Vec<u8> {
    let mut out = Encoder::new();
    value.encode(&mut out);
    out.into_bytes()
}

fn decoded(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
}

fn body<T: Canonical>(value: &T) -> Value {
    json!({ "signed": BASE64URL_NOPAD.encode(&encoded(value)) })
}

/// The body of an import of one name.
pub(super) fn import() -> Vec<u8> {
    let data = Rdata::parse(RecordType::A, "10.0.0.9", &Name::root()).unwrap();
    let set = RecordSet::new(RecordType::A, Ttl::from_secs(60), vec![data]).unwrap();
    let one: Name = "one.".parse().unwrap();
    let entry = ImportEntry {
        path: NamePath::between(&one, &Name::root()).unwrap(),
        sets: vec![set],
    };
    encoded(&ImportDraft {
        entries: vec![entry],
        note: String::new(),
    })
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn granted(session: &Session<'_>, scope: &str, holder: &SecretKey, deeds: &[&str]) {
    let grant = json!({"key": holder.public().to_string(), "names": "**", "deeds": deeds});
    let grants = json!({ "grants": [grant] });
    session.good("PUT", &format!("{scope}/grants"), Some(&grants));
}

/// Has a voter take a seat beside the node's own, without whom nothing routine is decided.
fn seated(session: &Session<'_>, voter: &SecretKey) {
    let view = session.good("GET", US, None);
    let own = &view["anchors"][0];
    let seats = json!({"anchors": [
        {"id": own["id"], "key": own["key"], "weight": 3},
        {"key": voter.public().to_string(), "weight": 1},
    ]});
    let asked = session.good("PUT", &format!("{US}/anchors"), Some(&seats));
    let id = asked["proposal"].as_str().unwrap();
    let waiting = session.good("GET", &format!("/proposals/{id}"), None);
    let bytes = decoded(&waiting["signed"]);
    let signed = Signed::<Proposal>::decode(&mut Decoder::new(&bytes)).unwrap();
    let next = signed.unverified().ops.iter().find_map(|op| match op {
        Op::Reconfigure { next } => Some(next),
        _ => None,
    });
    let seats = next.unwrap().accept_seats([voter]).unwrap();
    let taken = session.good(
        "POST",
        &format!("/proposals/{id}/seats"),
        Some(&body(&seats[0])),
    );
    assert_eq!(taken["outcome"], "committed", "{taken}");
    let mut policy = session.good("GET", US, None)["policy"].clone();
    policy["routine"] =
        json!({"requirement": "approvals", "weight": 4, "delay": 0, "expiry": 3_600});
    let policy = json!({ "policy": policy });
    session.good("PUT", &format!("{US}/policy"), Some(&policy));
}

/// Drafts a change, signs it elsewhere and hands it in; it waits.
fn proposed(session: &Session<'_>, author: &SecretKey, name: &str) -> Signed<Proposal> {
    let change = json!({"change": "put", "name": name, "type": "A", "data": ["10.1.0.9"]});
    let draft = json!({
        "scope": "us.mesh.internal",
        "changes": [change],
        "author": author.public().to_string(),
    });
    let drafted = session.good("POST", "/drafts", Some(&draft));
    let proposal = Proposal::from_bytes(&decoded(&drafted["proposal"])).unwrap();
    let signed = Signed::new(proposal, author).unwrap();
    let path = "/v1/proposals/signed";
    let reply = session.world.send("POST", path, None, encoded(&signed));
    session.document.check("POST", path, &reply);
    assert_eq!(reply.json()["outcome"], "pending", "{reply:?}");
    signed
}

pub(super) fn proposals_votes_seats_and_withdrawals(session: &Session<'_>) {
    let (voter, author) = (key(1), key(2));
    seated(session, &voter);
    granted(session, US, &author, &["register"]);

    let signed = proposed(session, &author, "c");
    let id = signed.digest().to_string();
    let approved = session.good(
        "POST",
        &format!("/proposals/{id}/approve"),
        Some(&json!({})),
    );
    assert_eq!(approved["outcome"], "pending", "{approved}");
    let waiting = session.good("GET", &format!("/proposals/{id}"), None);
    let impact = Impact::from_bytes(&decoded(&waiting["impact"]["bytes"])).unwrap();
    let vote = Approval {
        scope: signed.unverified().scope,
        proposal: signed.digest(),
        not_after: signed.unverified().not_after,
        impact: impact.digest(),
        yes: true,
        time: SystemClock.now(),
        reason: "seen".to_owned(),
        anchor: voter.public(),
    };
    let vote = Signed::new(vote, &voter).unwrap();
    let voted = session.good("POST", "/votes", Some(&body(&vote)));
    assert_eq!(voted["outcome"], "committed", "{voted}");

    let signed = proposed(session, &author, "x");
    let path = format!("/proposals/{}/reject", signed.digest());
    let rejected = session.good("POST", &path, Some(&json!({})));
    assert_eq!(rejected["outcome"], "rejected", "{rejected}");

    let signed = proposed(session, &author, "d");
    let withdrawal = Withdrawal {
        scope: signed.unverified().scope,
        proposal: signed.digest(),
        reason: "typing error".to_owned(),
        author: author.public(),
    };
    let withdrawal = Signed::new(withdrawal, &author).unwrap();
    let gone = session.good("POST", "/withdrawals", Some(&body(&withdrawal)));
    assert_eq!(gone["outcome"], "withdrawn", "{gone}");
}

pub(super) fn leases(session: &Session<'_>) {
    let announcer = key(3);
    granted(
        session,
        "/scopes/eu.mesh.internal",
        &announcer,
        &["announce"],
    );
    let service = session.good("GET", "/names/api.eu.mesh.internal/instances", None);
    let parsed = |field: &str| service[field].as_str().unwrap().to_owned();
    let now = SystemClock.now();
    let lease = Lease {
        scope: parsed("scope_uid").parse().unwrap(),
        service: parsed("uid").parse().unwrap(),
        instance: "far-1".parse().unwrap(),
        address: "10.0.0.7".parse().unwrap(),
        port: 80,
        weight: 1,
        region: "eu".to_owned(),
        condition: Condition::Up,
        check: Check::None,
        sequence: now.as_millis(),
        issued: now,
        expires: now.plus_millis(60_000),
        may_empty: false,
        key: announcer.public(),
    };
    let lease = Signed::new(lease, &announcer).unwrap();
    let taken = session.good("POST", "/leases", Some(&body(&lease)));
    assert_eq!(taken["condition"], "up", "{taken}");
}

pub(super) fn devices(session: &Session<'_>) {
    let devices = "/scopes/eu.mesh.internal/devices";
    let note = json!({"note": "laptop"});
    let made = session.good("POST", devices, Some(&note));
    let id = made["id"].as_str().unwrap();
    let file = DeviceFile::from_text(made["file"].as_str().unwrap()).unwrap();
    let ask = json!({
        "scope": file.scope.to_string(),
        "handle": file.handle().to_string(),
        "address": "127.0.0.1",
    });
    let challenge = session.good("POST", "/devices/challenge", Some(&ask));
    let nonce: Digest = challenge["nonce"].as_str().unwrap().parse().unwrap();
    let address = challenge["address"].as_str().unwrap().parse().unwrap();
    let proof = file.prove(Nonce::new(*nonce.as_bytes()), Nonce::new([7; 32]), address);
    let proof = json!({ "proof": proof.to_text() });
    session.good("POST", "/devices/proof", Some(&proof));
    let listed = session.good("GET", devices, None);
    assert_eq!(listed[0]["proofs"], 1, "{listed}");
    session.good("POST", &format!("{devices}/{id}/renew"), Some(&json!({})));
    session.good("POST", &format!("{devices}/{id}/revoke"), None);
    let wrong = session.call("POST", "/devices/proof", Some(&json!({"proof": "x"})));
    assert_eq!(wrong.status, 400, "{wrong:?}");
}
