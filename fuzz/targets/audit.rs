//! An audit log: every line follows or is named, and the end of the last whole batch is inside.

#![no_main]

use kedge::service::audit::{Walk, last_whole};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut walk = Walk::default();
    for line in data.split(|&byte| byte == b'\n') {
        let before = walk.clone();
        if walk.line(line).is_err() {
            // A line that does not follow leaves no trace.
            assert_eq!(walk.head(), before.head());
            assert_eq!(walk.records_open(), before.records_open());
        }
    }
    if let Some((head, end)) = last_whole(data) {
        assert!(end <= data.len() && data[end - 1] == b'\n');
        assert_eq!(last_whole(&data[..end]), Some((head, end)));
    }
});
