//! The query of a URI that DNS over HTTPS is asked with: a message as it was written, or a question in
//! words that is one.

#![no_main]

use kedge::adapters::dns::{Decoded, Target, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    match Target::read(query) {
        Ok(Target::Message(message)) => {
            assert!(!message.is_empty());
            // Whatever it is, it is judged like any other.
            drop(decode(&message));
        }
        Ok(Target::Words(message)) => match decode(&message) {
            Decoded::Request(request) => {
                assert!(request.edns.is_some() && request.recursion_desired);
                assert!(!request.is_signed);
            }
            Decoded::Refuse(..) => {}
            Decoded::CookieAlone(_) | Decoded::Drop => panic!("a question in words is none"),
        },
        Err(_) => {}
    }
});
