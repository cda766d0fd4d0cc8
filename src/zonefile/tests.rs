//! Zone texts, what becomes of them, and what is said about them.

use proptest::prelude::*;

use super::*;

const TOP: &str = "$TTL 3600\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";

/// Included files by path, opened from anywhere.
struct Files(BTreeMap<&'static str, &'static str>);

impl Includes for Files {
    fn open(&self, _from: &str, path: &str) -> Result<Included, BadInclude> {
        let text = self.0.get(path).ok_or(BadInclude::NotFound)?;
        Ok(Included {
            name: path.to_owned(),
            bytes: text.as_bytes().to_vec(),
        })
    }
}

fn files() -> Files {
    Files(BTreeMap::from([
        ("plain", "i TXT i\n$TTL 7\nj TXT j\n$ORIGIN foo\nk TXT k\n"),
        ("first", "  TXT first\n"),
        ("itself", "$INCLUDE itself\n"),
        ("broken", "a TXT a\nb A b\n"),
    ]))
}

fn load_text(text: &str) -> Result<ZoneData, Vec<Finding>> {
    load(
        "zone",
        text.as_bytes(),
        &"example.".parse().unwrap(),
        &files(),
    )
}

/// The records of the zone but for those of [`TOP`], one line each.
fn records(text: &str) -> Vec<String> {
    let zone = load_text(&format!("{TOP}{text}")).unwrap_or_else(|bad| panic!("{bad:?}"));
    let mut lines = Vec::new();
    for (owner, sets) in &zone.sets {
        for set in sets {
            for record in set.records() {
                let (kind, ttl) = (set.kind(), set.ttl());
                lines.push(format!("{owner} {ttl} {kind} {}", record.to_text(kind)));
            }
        }
    }
    let top = [RecordType::SOA.to_string(), RecordType::NS.to_string()];
    lines.retain(|line| {
        !line.starts_with("ns.example. ")
            && !top.iter().any(|kind| line.contains(&format!(" {kind} ")))
    });
    lines
}

fn shown(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

fn refuses(text: &str, expected: &[&str]) {
    let errors = load_text(&format!("{TOP}{text}"))
        .map(|zone| shown(&zone.warnings))
        .unwrap_err();
    assert_eq!(shown(&errors), expected, "{text}");
}

fn warns(text: &str, expected: &[&str]) {
    let zone = load_text(&format!("{TOP}{text}")).unwrap_or_else(|bad| panic!("{bad:?}"));
    assert_eq!(shown(&zone.warnings), expected, "{text}");
}

#[test]
fn owners_ttls_and_classes_are_completed() {
    assert_eq!(
        records("a 60 IN TXT x\n  IN 1h TXT y ; comment\nB.example. CLASS1 TXT z\n@ TXT top\n"),
        [
            "example. 3600 TXT \"top\"",
            "a.example. 60 TXT \"x\"",
            "a.example. 60 TXT \"y\"",
            "b.example. 3600 TXT \"z\"",
        ]
    );
    assert_eq!(
        records("in TXT a\n60 TXT b\r\nmx ( 60\n MX\n 0 . )"),
        [
            "60.example. 3600 TXT \"b\"",
            "in.example. 3600 TXT \"a\"",
            "mx.example. 60 MX 0 .",
        ]
    );
}

#[test]
fn directives_change_what_follows_within_their_file() {
    assert_eq!(
        records("$ORIGIN sub\nx TXT a\n$TTL 5\n@ TXT b\n$origin example.\ny TXT c\n"),
        [
            "sub.example. 5 TXT \"b\"",
            "x.sub.example. 3600 TXT \"a\"",
            "y.example. 5 TXT \"c\"",
        ]
    );
    // As with named: the origin ends with the file, the TTL does not.
    assert_eq!(
        records("o TXT 0\n$INCLUDE plain sub\n  TXT after\nl TXT l\n"),
        [
            "l.example. 7 TXT \"l\"",
            "o.example. 3600 TXT \"0\"",
            "o.example. 3600 TXT \"after\"",
            "k.foo.sub.example. 7 TXT \"k\"",
            "i.sub.example. 3600 TXT \"i\"",
            "j.sub.example. 7 TXT \"j\"",
        ]
    );
    assert_eq!(
        records("o TXT 0\n$INCLUDE \"first\"\n"),
        ["o.example. 3600 TXT \"0\"", "o.example. 3600 TXT \"first\"",]
    );
}

#[test]
fn generate_makes_records() {
    assert_eq!(
        records("$GENERATE 1-3/2 h${0,2} 60 A 192.0.2.$\n$GENERATE 0-0 t TXT \"\\\"a b\\\" $\"\n"),
        [
            "h01.example. 60 A 192.0.2.1",
            "h03.example. 60 A 192.0.2.3",
            "t.example. 3600 TXT \"a b\" \"0\"",
        ]
    );
    refuses(
        "$GENERATE 3-1 h$ A 192.0.2.$\n",
        &["zone:5: \"3-1\" is no range; write start-stop or start-stop/step"],
    );
    refuses(
        "$GENERATE 0-9999999 h$ A 192.0.2.1\n",
        &["zone:5: $GENERATE makes at most 1048576 records at once"],
    );
    refuses(
        "$GENERATE 1-2 h$ MX 10 h$\n",
        &["zone:5: \"h$\" follows $GENERATE"],
    );
}

#[test]
fn a_ttl_comes_from_the_record_before_or_from_the_soa() {
    let ttls = |text: &str| {
        let zone = load_text(text).unwrap();
        let owner: Name = "x.example.".parse().unwrap();
        (zone.sets[&owner][0].ttl().as_secs(), shown(&zone.warnings))
    };
    let rest = "@ NS ns\nns A 192.0.2.1\nx TXT a\n";
    assert_eq!(
        ttls(&format!("@ SOA ns h 1 2 3 4 5\n{rest}")),
        (
            5,
            vec!["zone:1: no TTL is given; the SOA minimum stands in".to_owned()]
        )
    );
    assert_eq!(
        ttls(&format!("@ 88 SOA ns h 1 2 3 4 5\n{rest}")),
        (
            88,
            vec!["zone:2: records without TTL take the TTL of the record before them".to_owned()]
        )
    );
    assert_eq!(
        shown(&load_text("@ NS ns\n@ SOA ns h 1 2 3 4 5\n").unwrap_err()),
        [
            "zone:1: the record has no TTL and none came before it (put $TTL 3600 at the top of the file)"
        ]
    );
}

#[test]
fn every_fault_is_told_with_its_line() {
    refuses(
        "a A x\nb NOPE x\n\nc TXT (\n \"x\n )\nd MX 10\n$FOO\ne..f TXT a\ng 1x TXT a\n",
        &[
            "zone:5: A record: \"x\" is no address; expected an IPv4 address",
            "zone:6: \"NOPE\" is no record type (write [TTL] [class] type data; unknown types are written TYPE and a number)",
            "zone:9: a quoted string is not closed on its line",
            "zone:11: MX record: the exchanger is missing; expected a name",
            "zone:12: \"$FOO\" is no directive (the directives are $ORIGIN, $TTL, $INCLUDE and $GENERATE)",
            "zone:13: \"e..f\" is no name: a label is empty",
            "zone:14: \"1x\" is no TTL (write seconds, or a time such as 1h30m)",
        ],
    );
    refuses(
        "$INCLUDE broken\n",
        &["broken:2: A record: \"b\" is no address; expected an IPv4 address"],
    );
    refuses(
        "$INCLUDE none\n",
        &["zone:5: \"none\" cannot be included: there is no such file"],
    );
    refuses(
        "$INCLUDE itself\n",
        &["itself:1: $INCLUDE is nested deeper than 16 files"],
    );
    refuses(
        "x CH TXT a\n",
        &["zone:5: class CH is not served; only class IN is"],
    );
    refuses(
        "x AXFR a\n",
        &["zone:5: AXFR exists only in questions and messages; no zone holds it"],
    );
}

#[test]
fn findings_are_bounded() {
    let errors = load_text(&"x NOPE\n".repeat(100)).unwrap_err();
    assert_eq!(errors.len(), 21);
    assert_eq!(errors[20].what, What::More(1));
    let warned = load_text(&format!("{TOP}{}", "x. TXT a\n".repeat(1000)))
        .unwrap()
        .warnings;
    assert_eq!(warned.len(), 101);
    assert_eq!(warned[100].what, What::More(900));
}

#[test]
fn what_named_refuses_is_refused() {
    refuses(
        "sub SOA ns h 1 2 3 4 5\n",
        &["zone:5: the SOA record of sub.example. is not at the top of the zone"],
    );
    refuses(
        "c CNAME x\nc A 192.0.2.1\n",
        &[
            "zone:6: c.example. has a CNAME record and other data (an alias has no data of its own; put it at the target)",
        ],
    );
    refuses(
        "c CNAME x\n\nc CNAME y\n",
        &["zone:7: c.example. has more than one CNAME record"],
    );
    refuses(
        "@ NS c\nc CNAME ns\n",
        &[
            "zone:5: NS of example.: the target c.example. is a CNAME (name the host that the CNAME leads to)",
        ],
    );
    refuses(
        "@ NS z.w\n*.w CNAME ns\n",
        &[
            "zone:5: NS of example.: the target z.w.example. is a CNAME (name the host that the CNAME leads to)",
        ],
    );
    refuses(
        "@ DNAME x.\n",
        &["zone:3: NS of example.: the target ns.example. is below the DNAME at example."],
    );
    refuses(
        "*.w NS ns\n",
        &["zone:5: *.w.example. is a wildcard and cannot be delegated"],
    );
    refuses(
        "@ NSEC3PARAM 2 0 0 -\n",
        &["zone:2: no NSEC3PARAM record has a known hash algorithm"],
    );
    let bare = load_text("$TTL 1\n@ A 192.0.2.1\n").unwrap_err();
    assert_eq!(
        shown(&bare),
        [
            "zone:1: the zone has no SOA record (is the origin right? The SOA record's owner must be the zone)",
            "zone:1: the zone has no NS records (add an NS record whose owner is the zone)",
        ]
    );
}

#[test]
fn what_named_only_remarks_is_a_warning() {
    warns(
        "out.side. TXT a\n  TXT b\n",
        &[
            "zone:5: out.side. lies outside the zone; its records are left out (was a final dot written where none belongs?)",
        ],
    );
    warns(
        "a 60 TXT a\na 70 TXT b\n",
        &["zone:6: the TXT records of a.example. differ in TTL; all get 60"],
    );
    warns(
        "s NS ns.s\n",
        &[
            "zone:5: NS of s.example.: the server ns.s.example. lies below a delegation and has no glue (add the server's A or AAAA record to this zone)",
        ],
    );
    warns(
        "s NS ns.s\nns.s A 192.0.2.7\nfoo.s MX 1 z\n",
        &[
            "zone:7: foo.s.example. lies below the delegation of s.example.; its MX records are never answered",
        ],
    );
    warns(
        "@ MX 10 c\nc CNAME ns\n",
        &[
            "zone:5: MX of example.: the target c.example. is a CNAME (name the host that the CNAME leads to)",
        ],
    );
    warns(
        "@ MX 10 192.0.2.1.\n",
        &[
            "zone:5: MX of example.: the target 192.0.2.1. is written like an address (name a host and give that host the address)",
        ],
    );
    warns("_s._tcp SRV 0 0 1 z.w\n*.w A 192.0.2.1\n", &[]);
    warns(
        "a_b AAAA ::1\n",
        &["zone:5: a_b.example. has AAAA records and is no host name"],
    );
    warns(
        "a.*.b TXT x\n",
        &["zone:5: a.*.b.example. has a * inside; only a * in front is a wildcard"],
    );
    warns(
        "d DNAME x.\nb.d TXT x\n",
        &[
            "zone:6: b.d.example. lies below the DNAME at d.example.; its records are never answered",
        ],
    );
    warns(
        "$ORIGIN sub\n  TXT b\n",
        &["zone:6: the record belongs to ns.example., not to the new origin"],
    );
    warns(
        "@ NS ns.s\ns NS ns.other.\n",
        &[
            "zone:5: NS of example.: the server ns.s.example. lies below a delegation and has no glue (add the server's A or AAAA record to this zone)",
        ],
    );
}

fn zone_like() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[ -~]{0,10}",
        Just("\n".to_owned()),
        Just("\n".to_owned()),
        Just("\n ".to_owned()),
        Just("@".to_owned()),
        Just("a".to_owned()),
        Just("60".to_owned()),
        Just("IN".to_owned()),
        Just("A 192.0.2.1\n".to_owned()),
        Just("TXT".to_owned()),
        Just("NS ns\n".to_owned()),
        Just("CNAME b\n".to_owned()),
        Just("DNAME b\n".to_owned()),
        Just("$ORIGIN".to_owned()),
        Just("$TTL".to_owned()),
        Just("$INCLUDE plain\n".to_owned()),
        Just("$GENERATE 1-5 a$ TXT ${0,3,n}\n".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just("\"".to_owned()),
        "\\PC{0,4}",
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_judged_and_what_is_written_reads_back(text in zone_like()) {
        let Ok(zone) = load_text(&format!("{TOP}{text}")) else { return Ok(()) };
        let mut written = String::new();
        for (owner, sets) in &zone.sets {
            for set in sets {
                let (kind, ttl) = (set.kind(), set.ttl());
                for record in set.records() {
                    let text = record.to_text(kind);
                    written.extend([format!("{owner} {ttl} {kind} {text}\n")]);
                }
            }
        }
        prop_assert_eq!(load_text(&written).map(|zone| zone.sets), Ok(zone.sets));
    }
}
