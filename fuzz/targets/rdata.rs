//! Record data: wire bytes and text lead to each other. The first two bytes are the type.

#![no_main]

use kedge::namespace::name::Name;
use kedge::namespace::rdata::Rdata;
use kedge::namespace::rtype::RecordType;
use libfuzzer_sys::fuzz_target;

fn check(kind: RecordType, rdata: &Rdata) {
    let again = Rdata::from_wire(kind, rdata.as_bytes());
    assert_eq!(
        again.as_ref(),
        Ok(rdata),
        "canonical bytes stay as they are"
    );
    let text = rdata.to_text(kind);
    let read = Rdata::parse(kind, &text, &Name::root());
    assert_eq!(read.as_ref(), Ok(rdata), "{kind} {text}");
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let kind = RecordType::new(u16::from_be_bytes(*kind));
    if let Ok(rdata) = Rdata::from_wire(kind, rest) {
        check(kind, &rdata);
        let _ = rdata.target(kind);
    }
    if let Ok(text) = std::str::from_utf8(rest)
        && let Ok(rdata) = Rdata::parse(kind, text, &Name::root())
    {
        check(kind, &rdata);
    }
});
