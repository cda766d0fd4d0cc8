//! Lines of the protocol between a node and a program that signs: what is read is written back as it
//! was, and nothing is read without an end.
#![no_main]

use kedge::adapters::keys::protocol::{Answer, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = bytes;
    while let Ok(Some(request)) = Request::read(&mut input) {
        let mut line = Vec::new();
        request.write(&mut line).unwrap();
        assert_eq!(Request::read(&mut line.as_slice()).unwrap(), Some(request));
    }
    let mut input = bytes;
    while let Ok(answer) = Answer::read(&mut input) {
        let mut line = Vec::new();
        answer.write(&mut line).unwrap();
        assert_eq!(Answer::read(&mut line.as_slice()).unwrap(), answer);
    }
});
