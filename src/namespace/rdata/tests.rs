//! Record data: text and wire against each other, against the RFCs, and against chance.

use proptest::prelude::*;

use super::*;

fn origin() -> Name {
    "example.com.".parse().unwrap()
}

fn kind(text: &str) -> RecordType {
    text.parse().unwrap()
}

/// Types with a table entry, and some without.
fn kinds() -> Vec<RecordType> {
    (0..300)
        .chain([65280])
        .map(RecordType::new)
        .filter(|kind| !kind.is_meta())
        .collect()
}

/// Reads `text`, and checks that what is written reads back.
fn read(type_name: &str, text: &str) -> Rdata {
    let kind = kind(type_name);
    let rdata = Rdata::parse(kind, text, &origin()).unwrap_or_else(|bad| panic!("{text}: {bad}"));
    let shown = rdata.to_text(kind);
    assert_eq!(
        Rdata::parse(kind, &shown, &Name::root()).as_ref(),
        Ok(&rdata),
        "{shown}"
    );
    let generic = write::write_generic(rdata.as_bytes());
    assert_eq!(
        Rdata::parse(kind, &generic, &Name::root()).as_ref(),
        Ok(&rdata),
        "{generic}"
    );
    rdata
}

fn check(type_name: &str, text: &str, shown: &str) {
    assert_eq!(
        read(type_name, text).to_text(kind(type_name)),
        shown,
        "{type_name} {text}"
    );
}

fn check_wire(type_name: &str, text: &str, wire: &[u8]) {
    assert_eq!(read(type_name, text).as_bytes(), wire, "{type_name} {text}");
}

fn refuses(type_name: &str, text: &str, message: &str) {
    let bad =
        Rdata::parse(kind(type_name), text, &origin()).map(|rdata| rdata.to_text(kind(type_name)));
    let bad = bad.map_err(|bad| bad.to_string());
    assert_eq!(bad, Err(message.to_owned()), "{type_name} {text}");
}

#[test]
fn host_types_come_back_in_canonical_text() {
    check("A", "192.0.2.1", "192.0.2.1");
    check("AAAA", "2001:DB8:0::1", "2001:db8::1");
    check("NS", "NS1", "ns1.example.com.");
    check("CNAME", "@", "example.com.");
    check("DNAME", ".", ".");
    check("MX", "10 Mail.Example.ORG.", "10 mail.example.org.");
    check(
        "SRV",
        "( 0 5\n 5060 ; a comment\n sip )",
        "0 5 5060 sip.example.com.",
    );
    check(
        "SOA",
        "ns1 hostmaster 2026112301 1h 15m 1w2d 300",
        "ns1.example.com. hostmaster.example.com. 2026112301 3600 900 777600 300",
    );
    check("RP", "admin.example. .", "admin.example. .");
    check("MINFO", "a b", "a.example.com. b.example.com.");
    check("PX", "10 a b", "10 a.example.com. b.example.com.");
    check("AFSDB", "1 afs", "1 afs.example.com.");
    check(
        "NAPTR",
        "100 50 s SIP+D2U \"\" _sip._udp",
        "100 50 \"s\" \"SIP+D2U\" \"\" _sip._udp.example.com.",
    );
    check("LP", "10 Host", "10 Host.example.com.");
}

#[test]
fn strings_keep_every_octet() {
    check(
        "TXT",
        r#"a "b c" "d\"e\\" \102oo "" x\195\169"#,
        r#""a" "b c" "d\"e\\" "foo" "" "x\195\169""#,
    );
    check_wire("TXT", r"a\;b", b"\x03a;b");
    check_wire(
        "HINFO",
        "PC-Intel \"Debian 12\"",
        b"\x08PC-Intel\x09Debian 12",
    );
    check(
        "CAA",
        r#"128 issue "ca.example; policy=ev""#,
        r#"128 issue "ca.example; policy=ev""#,
    );
    check(
        "URI",
        r#"10 1 "https://example.com/?a=b""#,
        r#"10 1 "https://example.com/?a=b""#,
    );
    check("ISDN", "150862028003217 004", r#""150862028003217" "004""#);
    check("ISDN", "150862028003217", r#""150862028003217""#);
    check("X25", "311061700956", r#""311061700956""#);
}

#[test]
fn security_types_come_back() {
    check(
        "DNSKEY",
        "257 3 ED25519 l02Woi0iS8Aa25FQkUd9\n",
        "257 3 15 l02Woi0iS8Aa25FQkUd9",
    );
    check("CDNSKEY", "0 3 0 AA==", "0 3 0 AA==");
    check("CDS", "0 0 0 00", "0 0 0 00");
    check(
        "DS",
        "60485 5 1 ( 2BB183AF5F22588179A53B0A\n 98631FAD1A292118 )",
        "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118",
    );
    check(
        "RRSIG",
        "A RSASHA256 3 86400 20261123000000 20261023000000 2642 Example.com. oJB1W6WNGv+ldvQ3WDG0",
        "A 8 3 86400 20261123000000 20261023000000 2642 example.com. oJB1W6WNGv+ldvQ3WDG0",
    );
    check_wire(
        "NSEC",
        "Host.example.com. A MX RRSIG NSEC TYPE1234",
        b"\x04Host\x07example\x03com\x00\x00\x06\x40\x01\x00\x00\x00\x03\x04\x1b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20",
    );
    check(
        "NSEC3",
        "1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG",
        "1 1 12 AABBCCDD 2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S A RRSIG",
    );
    check("NSEC3PARAM", "1 0 0 -", "1 0 0 -");
    check("CSYNC", "66 3 A NS AAAA", "66 3 A NS AAAA");
    check("TLSA", "3 1 1 d2abde24", "3 1 1 d2abde24");
    check("SMIMEA", "3 1 1 D2AB DE24", "3 1 1 d2abde24");
    check(
        "SSHFP",
        "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
        "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
    );
    check("CERT", "PGP 0 0 AQID", "3 0 0 AQID");
    check("OPENPGPKEY", "AQ ID", "AQID");
    check(
        "DHCID",
        "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
        "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
    );
    let digest = "f1".repeat(48);
    check(
        "ZONEMD",
        &format!("2018031500 1 1 {digest}"),
        &format!("2018031500 1 1 {digest}"),
    );
}

#[test]
fn places_prefixes_gateways_and_identities_come_back() {
    check(
        "LOC",
        "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
        "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m",
    );
    check(
        "LOC",
        "42 S 71 6 w 24",
        "42 0 0.000 S 71 6 0.000 W 24.00m 1.00m 10000.00m 10.00m",
    );
    check(
        "APL",
        "1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8",
        "1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8",
    );
    check("APL", "", "");
    check(
        "IPSECKEY",
        "10 1 2 192.0.2.38 AQNRU3mG7TVTO2Bk",
        "10 1 2 192.0.2.38 AQNRU3mG7TVTO2Bk",
    );
    check("IPSECKEY", "10 0 0 .", "10 0 0 .");
    check("IPSECKEY", "10 3 2 gw AQ==", "10 3 2 gw.example.com. AQ==");
    check(
        "HIP",
        "2 200100107B1A74DF365639CC39F1D578 AwEAAbdx rvs.example.com. b",
        "2 200100107b1a74df365639cc39f1d578 AwEAAbdx rvs.example.com. b.example.com.",
    );
    check("EUI48", "00-00-5E-00-53-2A", "00-00-5e-00-53-2a");
    check(
        "EUI64",
        "00-00-5e-ef-10-00-00-2a",
        "00-00-5e-ef-10-00-00-2a",
    );
    check("NID", "10 14:4fff:ff20:ee64", "10 0014:4fff:ff20:ee64");
    check("L32", "10 192.0.2.1", "10 192.0.2.1");
    check("L64", "10 2001:0DB8:1140:1000", "10 2001:0db8:1140:1000");
}

#[test]
fn any_type_is_read_in_its_generic_form() {
    check_wire("TYPE65280", r"\# 4 0102 03ff", &[1, 2, 3, 255]);
    check_wire("TYPE65280", r"\# 0", &[]);
    check_wire("A", r"\# 4 C0000201", &[192, 0, 2, 1]);
    check("NS", r"\# 4 0241420 0", "ab.");
    refuses(
        "A",
        r"\# 3 C00002",
        "A record: the address does not fit the bytes",
    );
    refuses("A", r"\# 5 C000020100", "A record: 1 bytes follow the data");
    refuses(
        "TYPE65280",
        r"\# 3 0102",
        "the generic data states 3 octets and has 2",
    );
    refuses(
        "TYPE65280",
        "0102",
        "TYPE65280 record: \"0102\" is no generic data; expected \\#, a length and hexadecimal digits",
    );
}

#[test]
fn faults_are_told_by_field() {
    refuses(
        "DNSKEY",
        "257 3 8 AA==AA==",
        "DNSKEY record: \"AA==AA==\" is no key; expected base64",
    );
    refuses(
        "IPSECKEY",
        "10 0 2 .",
        "IPSECKEY record: the key is missing; expected base64",
    );
    refuses(
        "A",
        "192.0.2",
        "A record: \"192.0.2\" is no address; expected an IPv4 address",
    );
    refuses(
        "MX",
        "mail",
        "MX record: \"mail\" is no preference; expected a number from 0 to 65535",
    );
    refuses(
        "MX",
        "10",
        "MX record: the exchanger is missing; expected a name",
    );
    refuses(
        "MX",
        "10 a..b",
        "MX record: \"a..b\" is no exchanger: a label is empty",
    );
    refuses("MX", "10 a b", "MX record: \"b\" follows the data");
    refuses(
        "A",
        "192.0.2.1\n192.0.2.2",
        "A record: \"192.0.2.2\" follows the data",
    );
    refuses("TXT", "\"a", "a quoted string is not closed on its line");
    refuses(
        "TXT",
        "",
        "TXT record: the text is missing; expected a string of at most 255 octets",
    );
    refuses(
        "CAA",
        "0 is-sue \"\"",
        "CAA record: \"is-sue\" is no tag; expected letters and digits",
    );
    refuses(
        "DS",
        "1 8 2 00",
        "DS record: the digest has 1 octets; its algorithm makes 32",
    );
}

#[test]
fn svcb_reads_the_vectors_of_rfc_9460() {
    check_wire(
        "HTTPS",
        "0 foo.example.com.",
        b"\0\0\x03foo\x07example\x03com\0",
    );
    check_wire("SVCB", "1 .", b"\0\x01\0");
    check_wire(
        "SVCB",
        "16 foo.example.com. port=53",
        b"\0\x10\x03foo\x07example\x03com\0\0\x03\0\x02\0\x35",
    );
    check_wire(
        "SVCB",
        "1 foo.example.com. key667=hello",
        b"\0\x01\x03foo\x07example\x03com\0\x02\x9b\0\x05hello",
    );
    check_wire(
        "SVCB",
        r#"1 foo.example.com. key667="hello\210qoo""#,
        b"\0\x01\x03foo\x07example\x03com\0\x02\x9b\0\x09hello\xd2qoo",
    );
    check_wire("SVCB", r#"1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1""#,
        b"\0\x01\x03foo\x07example\x03com\0\0\x06\0\x20\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\x53\0\x01");
    check_wire("SVCB", r#"1 example.com. ipv6hint="2001:db8:122:344::192.0.2.33""#,
        b"\0\x01\x07example\x03com\0\0\x06\0\x10\x20\x01\x0d\xb8\x01\x22\x03\x44\0\0\0\0\xc0\0\x02\x21");
    check_wire("SVCB", "16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
        b"\0\x10\x03foo\x07example\x03org\0\0\0\0\x04\0\x01\0\x04\0\x01\0\x09\x02h2\x05h3-19\0\x04\0\x04\xc0\0\x02\x01");
    let alpn = b"\0\x10\x03foo\x07example\x03org\0\0\x01\0\x0c\x08f\\oo,bar\x02h2";
    check_wire(
        "SVCB",
        r#"16 foo.example.org. alpn="f\\\\oo\\,bar,h2""#,
        alpn,
    );
    check_wire(
        "SVCB",
        r"16 foo.example.org. alpn=f\\\092oo\092,bar,h2",
        alpn,
    );
}

#[test]
fn svcb_refuses_the_failures_of_rfc_9460() {
    for (text, message) in [
        ("key123=abc key123=def", "key123 is given twice"),
        (
            "mandatory",
            "the value of mandatory is not a list of other keys, each once",
        ),
        (
            "alpn",
            "the value of alpn is not a list of protocol names such as h2,h3",
        ),
        ("port", "the value of port is not a port number"),
        (
            "ipv4hint",
            "the value of ipv4hint is not a list of IPv4 addresses",
        ),
        (
            "ipv6hint",
            "the value of ipv6hint is not a list of IPv6 addresses",
        ),
        (
            "no-default-alpn=abc",
            "the value of no-default-alpn is not absent",
        ),
        ("mandatory=key123", "key123 is mandatory and missing"),
        (
            "mandatory=mandatory",
            "the value of mandatory is not a list of other keys, each once",
        ),
        (
            "mandatory=key123,key123 key123=abc",
            "the value of mandatory is not a list of other keys, each once",
        ),
        ("no-default-alpn", "no-default-alpn needs alpn"),
        (
            "dohpath=/q{?dn}",
            "the value of dohpath is not a path template such as /dns-query{?dns}",
        ),
        (
            "ALPN=h2",
            "\"ALPN\" is no key; write a known key, or key and a number",
        ),
        ("port=65536", "the value of port is not a port number"),
        (
            "alpn=h2,,h3",
            "the value of alpn is not a list of protocol names such as h2,h3",
        ),
        (
            "key065=x",
            "\"key065\" is no key; write a known key, or key and a number",
        ),
        (
            "dohpath=/dns",
            "the value of dohpath is not a path template such as /dns-query{?dns}",
        ),
    ] {
        refuses(
            "SVCB",
            &format!("1 foo.example.com. {text}"),
            &format!("SVCB record: {message}"),
        );
    }
    let unsorted = b"\0\x01\0\0\x03\0\x02\0\x35\0\x01\0\x03\x02h2";
    assert!(Rdata::from_wire(RecordType::SVCB, unsorted).is_err());
}

#[test]
fn svcb_keeps_the_case_of_its_target_and_mx_does_not() {
    check(
        "SVCB",
        "1 Foo.Example. dohpath=/q{?dns}",
        "1 Foo.Example. dohpath=\"/q{?dns}\"",
    );
    check("MX", "1 Foo.Example.", "1 foo.example.");
}

#[test]
fn targets_are_the_names_that_replies_add() {
    for (type_name, text, target) in [
        ("NS", "ns.example.", Some("ns.example.")),
        ("MX", "10 Mail.example.", Some("mail.example.")),
        ("MX", "0 .", None),
        ("SRV", "0 0 80 web.example.", Some("web.example.")),
        ("HTTPS", "1 .", None),
        ("HTTPS", "0 web.example.", Some("web.example.")),
        ("CNAME", "web.example.", None),
        ("PTR", "web.example.", None),
    ] {
        let target: Option<Name> = target.map(|name| name.parse().unwrap());
        assert_eq!(
            read(type_name, text).target(kind(type_name)),
            target,
            "{type_name} {text}"
        );
    }
}

/// Bytes that look enough like record data to get past the first field.
fn wire_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..12),
        proptest::collection::vec(0u8..8, 0..24),
        Just(b"\x03Foo\x07example\x00".to_vec()),
        Just(b"\x02h2".to_vec()),
        Just(vec![0, 1, 0, 3, 2, b'h', b'2']),
        Just(vec![0, 3, 0, 2, 1, 187]),
        (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..6)).prop_map(|(key, value)| {
            let length = u16::try_from(value.len()).unwrap();
            [&key.to_be_bytes()[..], &length.to_be_bytes(), &value].concat()
        }),
        Just(vec![
            0, 0x12, 0x16, 0x13, 0x8b, 0, 0, 0, 0x80, 0, 0, 1, 0, 0x98, 0x96, 0x80
        ]),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn text_like() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[ -~]{0,12}",
        "[0-9]{1,6}",
        Just("192.0.2.1".to_owned()),
        Just("2001:db8::1".to_owned()),
        Just("a.example.".to_owned()),
        Just("alpn=\"h2,h3\"".to_owned()),
        Just("(".to_owned()),
        Just(")\n".to_owned()),
        Just("\\#".to_owned()),
        Just("N".to_owned()),
        Just("1:192.0.2.0/24".to_owned()),
        "\\PC{0,8}",
        "[A-Za-z0-9+/]{4}",
    ];
    proptest::collection::vec(word, 0..9).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn accepted_wire_is_written_and_read_back(bytes in wire_like()) {
        for kind in kinds() {
            let Ok(rdata) = Rdata::from_wire(kind, &bytes) else { continue };
            prop_assert_eq!(Rdata::from_wire(kind, rdata.as_bytes()), Ok(rdata.clone()), "{}", kind);
            let shown = rdata.to_text(kind);
            prop_assert_eq!(Rdata::parse(kind, &shown, &origin()), Ok(rdata), "{} {}", kind, shown);
        }
    }

    #[test]
    fn accepted_text_is_written_and_read_back(text in text_like()) {
        for kind in kinds() {
            let Ok(rdata) = Rdata::parse(kind, &text, &origin()) else { continue };
            let shown = rdata.to_text(kind);
            prop_assert_eq!(Rdata::parse(kind, &shown, &Name::root()), Ok(rdata), "{} {}", kind, shown);
        }
    }
}
