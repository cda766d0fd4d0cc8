//! Tokens of the admin API, as they are stored.

use kedge::base::digest::Digest;
use kedge::base::time::Timestamp;
use kedge::service::callers::{Token, TokenText};
use kedge::service::permission::{Permission, Right};

use crate::samples::{Sample, form};

pub(crate) fn samples() -> Vec<Sample> {
    let text = TokenText::new(&[7; 32], [9; 32]);
    let scopes = vec!["eu.mesh.internal.".parse().unwrap()];
    let token = Token {
        id: text.id(),
        hash: text.hash(),
        permission: Permission::new(vec![Right::Propose, Right::Read], scopes),
        made: Timestamp::from_millis(1_700_000_000_000),
        expires: Timestamp::from_millis(1_700_086_400_000),
        note: "CI of team X".to_owned(),
        revoked: None,
    };
    let revoked = Token {
        permission: Permission::whole(),
        revoked: Some(Timestamp::from_millis(1_700_000_001_000)),
        note: String::new(),
        ..token.clone()
    };
    vec![form("token", &token), form("token-revoked", &revoked)]
}

/// By the text of docs/FORMATS.md, with nothing of the program but BLAKE3.
#[test]
fn a_token_is_kept_by_the_digest_of_its_secret() {
    let text = TokenText::new(&[7; 32], [9; 32]);
    let input = [&[7; 8][..], &[9; 32]].concat();
    let hash = blake3::derive_key("kedge/token-secret/1", &input);
    assert_eq!(text.hash(), Digest::from_bytes(hash));
    let shown = format!("kedge_{}_{}", "07".repeat(8), "09".repeat(32));
    assert_eq!(text.reveal().as_str(), shown);
}
