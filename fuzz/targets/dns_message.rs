//! Any datagram is read, refused or dropped; a question that is read is a question.

#![no_main]

use kedge::adapters::dns::{Decoded, decode};
use kedge::namespace::name::Name;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Decoded::Request(request) = decode(data) {
        assert_eq!(Name::from_wire(request.name.as_wire()), Ok(request.name));
        assert!(data.len() >= 12);
        if let Some(edns) = request.edns {
            assert!(edns.payload_size >= 512);
        }
    }
});
