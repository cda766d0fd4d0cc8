//! What callers from afar say of themselves: a token, an identity, a certificate. What is read has
//! one spelling.

#![no_main]

use kedge::base::identity::Identity;
use kedge::service::callers::TokenText;
use kedge::service::secure_channel::identity_of;
use libfuzzer_sys::fuzz_target;
use rustls::pki_types::CertificateDer;

fuzz_target!(|input: &[u8]| {
    if let Some(identity) = identity_of(&CertificateDer::from(input)) {
        assert_eq!(identity.as_str().parse(), Ok(identity));
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(token) = text.parse::<TokenText>() {
        assert_eq!(token.reveal().as_str(), text);
    }
    if let Ok(identity) = text.parse::<Identity>() {
        assert_eq!(identity.as_str().parse(), Ok(identity));
    }
});
