//! Names, paths and aliases come back from what they print.

#![no_main]

use kedge::namespace::alias;
use kedge::namespace::name::Name;
use kedge::namespace::path::NamePath;
use libfuzzer_sys::fuzz_target;

fn check(name: &Name) {
    assert_eq!(name.to_string().parse().as_ref(), Ok(name));
    assert_eq!(Name::from_wire(name.as_wire()).as_ref(), Ok(name));
    let path = NamePath::between(name, &Name::root()).expect("every name is below the root");
    assert_eq!(path.to_name(&Name::root()).as_ref(), Ok(name));
    assert_eq!(NamePath::from_bytes(path.as_bytes()), Some(path));
    if let Some(text) = alias::of_name(name) {
        assert_eq!(alias::parse_either(&text).as_ref(), Ok(name), "{text}");
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(name) = Name::parse(data, Some(&Name::root())) {
        check(&name);
    }
    if let Ok(name) = Name::from_wire(data) {
        check(&name);
    }
    if let Some(path) = NamePath::from_bytes(data) {
        assert_eq!(path.as_bytes(), data);
        check(&path.to_name(&Name::root()).expect("a path is a name"));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(request) = alias::parse(text) {
            check(&request.name);
        }
        if let Ok(name) = alias::parse_either(text) {
            check(&name);
        }
    }
});
