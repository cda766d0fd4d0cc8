//! Forms of devices and their chains, and the derivations between their secrets.

use std::net::IpAddr;

use kedge::base::canonical::Form;
use kedge::base::digest::Digest;
use kedge::base::secret::Secret;
use kedge::base::text_form::TextForm;
use kedge::base::time::Timestamp;
use kedge::governance::device::{
    Death, DeviceFile, DeviceId, DeviceProof, DeviceRecord, DeviceState, Finding, Handle, Nonce,
    Server,
};
use kedge::governance::predicate::Predicate;

use crate::samples::{Sample, child, form, row};

const ADDRESS: [u8; 4] = [192, 0, 2, 7];

fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

fn file() -> DeviceFile {
    DeviceFile {
        scope: child().scope_uid(),
        mark: secret(1),
        value: secret(2),
        servers: vec![Server("unix:/run/kedge/admin.sock".to_owned())],
    }
}

fn proof(address: IpAddr) -> DeviceProof {
    file().prove(Nonce::new([3; 32]), Nonce::new([4; 32]), address)
}

fn enrolled() -> DeviceRecord {
    let now = Timestamp::from_millis(1_700_000_000_123);
    DeviceRecord::new("Telefon, grün".to_owned(), (secret(1), secret(2)), now)
}

fn proved() -> DeviceRecord {
    let now = Timestamp::from_millis(1_700_000_000_456);
    let next = match enrolled().judge(&proof(ADDRESS.into()), now) {
        Finding::Proved { next, .. } => Some(*next),
        _ => None,
    };
    next.unwrap()
}

pub(crate) fn samples() -> Vec<Sample> {
    let now = Timestamp::from_millis(1_700_000_000_789);
    let own: Predicate = "device own".parse().unwrap();
    let of: Predicate = format!("device {}", child().scope_uid()).parse().unwrap();
    vec![
        form("device-enrolled", &enrolled()),
        form("device-proved", &proved()),
        form("device-broken", &proved().dead(Death::Broken, now)),
        form("device-revoked", &proved().dead(Death::Revoked, now)),
        form("device-file", &file()),
        form("device-statement", &proof(ADDRESS.into()).statement),
        form("device-proof", &proof(ADDRESS.into())),
        form("device-proof-v6", &proof("2001:db8::7".parse().unwrap())),
        row("row-test-device-own", &own),
        row("row-test-device-of", &of),
    ]
}

/// By the text of docs/FORMATS.md, with nothing of the program but BLAKE3.
#[test]
fn secrets_of_a_device_follow_from_each_other_as_written() {
    let derive = |secret: &[u8; 32], label: &str, more: &[u8]| {
        let label = format!("kedge/device-{label}/1");
        blake3::derive_key(&label, &[secret.as_slice(), more].concat())
    };
    let (mark, value, nonce, entropy) = ([1; 32], [2; 32], [3; 32], [4; 32]);
    let keyed = |key: &[u8; 32], bytes: &[u8]| {
        Digest::from_bytes(*blake3::keyed_hash(key, bytes).as_bytes())
    };
    let proof = proof(ADDRESS.into());
    let bytes = proof.statement.to_bytes();
    let handle = Digest::from_bytes(derive(&value, "handle", &[]));
    assert_eq!(proof.statement.handle, Handle::new(handle));
    assert_eq!(proof.code, keyed(&derive(&value, "code", &[]), &bytes));
    assert_eq!(proof.mark, keyed(&derive(&mark, "mark", &[]), &bytes));
    let next = derive(&value, "step", &[nonce, entropy].concat());
    let seal = keyed(&derive(&next, "answer", &[]), &bytes);
    assert_eq!(proof.statement.seal(&secret(2)), seal);
    let after = file().after(&proof, &seal).unwrap();
    assert!(after.value == Secret::new(next) && after.mark == secret(1));
    let DeviceState::Live(chain) = proved().state else {
        panic!("a dead device");
    };
    assert!(chain.value == after.value && chain.before == Some(secret(2)));
    let tag = blake3::derive_key("kedge/device-short/1", &[5; 16]);
    let tag: String = data_encoding::HEXLOWER
        .encode(&tag)
        .chars()
        .take(10)
        .collect();
    assert_eq!(DeviceId::from_bytes([5; 16]).short(), tag);
}

#[test]
fn devices_and_proofs_are_lines_of_text() {
    let text = file().to_text();
    assert!(text.starts_with("kedge-device-1:"), "{text}");
    assert_eq!(DeviceFile::from_text(&format!(" {text}\n")), Ok(file()));
    let proof = proof(ADDRESS.into());
    let text = proof.to_text();
    assert!(text.starts_with("kedge-device-proof-1:"), "{text}");
    assert_eq!(DeviceProof::from_text(&text), Ok(proof));
    assert!(text.len() < DeviceProof::TEXT_BYTES_MAX);
    let most = DeviceFile {
        servers: vec![Server("s".repeat(255)); 8],
        ..file()
    };
    assert_eq!(DeviceFile::from_text(&most.to_text()), Ok(most));
    assert!(!format!("{:?}", file()).contains("2, 2"));
}
