//! Any master file is loaded or found fault with; what is loaded is below its origin.

#![no_main]

use kedge::namespace::name::Name;
use kedge::zonefile::{NoIncludes, load, load_entries};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let origin: Name = "example.".parse().expect("a name");
    match load("zone", data, &origin, &NoIncludes) {
        Ok(zone) => assert!(zone.sets.keys().all(|name| name.is_within(&origin))),
        Err(findings) => {
            assert!(!findings.is_empty());
            for finding in findings {
                let _ = (finding.to_string(), finding.what.hint());
            }
        }
    }
    if let Ok(entries) = load_entries("zone", data, &origin, &NoIncludes) {
        assert!(entries.iter().all(|(name, _)| name.is_within(&origin)));
    }
});
