//! Any datagram is read, refused or dropped; a question that is read is a question, the short way
//! reads what the long way reads, and a signature that nobody made holds for none.

#![no_main]

use kedge::adapters::dns::{
    Decoded, PlainQuestion, TsigAlgorithm, TsigKeys, decode, plain_question,
};
use kedge::base::time::Timestamp;
use kedge::namespace::name::Name;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(PlainQuestion {
        name,
        kind,
        limit,
        cookie,
    }) = plain_question(data)
    {
        let Decoded::Request(request) = decode(data) else {
            panic!("what is refused was taken for a plain question");
        };
        assert_eq!(request.name.as_wire(), name);
        assert_eq!(request.kind.code(), kind);
        assert!(!request.is_signed);
        let wanted = request
            .edns
            .map_or(512, |edns| edns.payload_size.min(1_232));
        assert_eq!(usize::from(wanted), limit);
        assert_eq!(request.edns.and_then(|edns| edns.cookie), cookie);
    }
    if let Decoded::Request(request) = decode(data) {
        assert_eq!(Name::from_wire(request.name.as_wire()), Ok(request.name));
        assert!(data.len() >= 12);
        if let Some(edns) = request.edns {
            assert!(edns.payload_size >= 512);
        }
    }
    let mut keys = TsigKeys::default();
    let name = "ci-key.".parse().expect("a name");
    keys.add(name, TsigAlgorithm::Sha256, b"a secret of many bytes")
        .expect("a key");
    assert_eq!(
        keys.signer(data, Timestamp::from_millis(1_795_783_065_000)),
        None
    );
});
