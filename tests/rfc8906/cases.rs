//! The questions: those of RFC 8906 section 8, and more ways to be asked strangely.

use super::common::message::{AD, CD, RD, Z, header, opt, wire_name};
use super::expect::{Expect, answer, badvers, formerr, reply, silence, soa};

pub(crate) const ZONE: &str = "conduct.example";
const SOA: u16 = 6;
const TXT: u16 = 16;
const IN: u16 = 1;
const ID: u16 = 0x8906;

const FORMERR: u16 = 1;
const NXDOMAIN: u16 = 3;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;
const NOTAUTH: u16 = 9;

/// One message and what may come back.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) rfc: &'static str,
    pub(crate) message: Vec<u8>,
    pub(crate) tcp: bool,
    pub(crate) expect: Expect,
    /// Why the reply is lawful although named gives another; empty if it gives the same.
    pub(crate) unlike_named: &'static str,
}

impl Case {
    fn over_tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    fn unlike_named(mut self, why: &'static str) -> Self {
        self.unlike_named = why;
        self
    }
}

fn case(name: &'static str, rfc: &'static str, message: Vec<u8>, expect: Expect) -> Case {
    Case {
        name,
        rfc,
        message,
        tcp: false,
        expect,
        unlike_named: "",
    }
}

/// A question with anything between header and end.
fn ask(flags: u16, kind: u16, class: u16, opts: &[Vec<u8>]) -> Vec<u8> {
    let additional = u16::try_from(opts.len()).unwrap();
    let mut message = header(ID, flags, [1, 0, 0, additional]);
    message.extend(question(kind, class));
    message.extend(opts.concat());
    message
}

fn question(kind: u16, class: u16) -> Vec<u8> {
    let mut bytes = wire_name(ZONE);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(class.to_be_bytes());
    bytes
}

fn plain(flags: u16) -> Vec<u8> {
    ask(flags, SOA, IN, &[])
}

fn typed(kind: u16) -> Vec<u8> {
    ask(0, kind, IN, &[])
}

fn edns(version: u8, flags: u16, options: &[u8]) -> Vec<u8> {
    ask(0, SOA, IN, &[opt(1232, version, flags, options)])
}

fn opcode(code: u16) -> u16 {
    code << 11
}

/// A header with lying counts and whatever follows.
fn raw(counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
    let mut message = header(ID, 0, counts);
    message.extend_from_slice(rest);
    message
}

const DO: u16 = 0x8000;
const UNKNOWN_FLAG: u16 = 0x0040;
/// Option 100 without data.
const UNKNOWN_OPTION: &[u8] = &[0, 100, 0, 0];
/// A client cookie, NSID, EXPIRE, and a client subnet of 0.0.0.0/0.
const DEFINED_OPTIONS: &[u8] = &[
    0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 0, 0, 0, 9, 0, 0, 0, 8, 0, 4, 0, 1, 0, 0,
];

const NO_VERSION: &str =
    "the program's version is told to nobody (RFC 9567 aside, CH names are optional)";
const NO_CLASS: &str = "a class that is not served is refused like any other";
const NO_TRANSFER: &str = "zone transfer is not offered";
const NO_UPDATE: &str = "the opcode is not implemented";

pub(crate) fn cases() -> Vec<Case> {
    [
        basic(),
        extended(),
        opcodes(),
        kinds(),
        classes(),
        malformed(),
        edges(),
        bad_edns(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn basic() -> Vec<Case> {
    vec![
        case("SOA of the zone", "8906 §8.1.1", plain(0), soa()),
        case(
            "unknown type TYPE1000",
            "8906 §8.1.2",
            typed(1000),
            answer().without_records(),
        ),
        case("CD=1", "8906 §8.1.3.1", plain(CD), soa()),
        case("AD=1", "8906 §8.1.3.2", plain(AD), soa()),
        case("reserved header bit", "8906 §8.1.3.3", plain(Z), soa()),
        case("RD=1", "8906 §8.1.3.4", plain(RD), soa().with_flags(RD)),
        case(
            "unknown opcode 15, header only",
            "8906 §8.1.4",
            header(ID, opcode(15), [0, 0, 0, 0]),
            reply(&[NOTIMP]).without_records(),
        ),
        case("TCP", "8906 §8.1.5", plain(0), soa()).over_tcp(),
    ]
}

fn extended() -> Vec<Case> {
    let truncating = ask(0, TXT, IN, &[opt(512, 0, DO, &[])]);
    vec![
        case("EDNS", "8906 §8.2.1", edns(0, 0, &[]), soa().with_opt()),
        case("EDNS version 1", "8906 §8.2.2", edns(1, 0, &[]), badvers()),
        case(
            "unknown EDNS option",
            "8906 §8.2.3",
            edns(0, 0, UNKNOWN_OPTION),
            soa().with_opt(),
        ),
        case(
            "unknown EDNS flag",
            "8906 §8.2.4",
            edns(0, UNKNOWN_FLAG, &[]),
            soa().with_opt(),
        ),
        case(
            "EDNS version 1, unknown flag",
            "8906 §8.2.5",
            edns(1, UNKNOWN_FLAG, &[]),
            badvers(),
        ),
        case(
            "EDNS version 1, unknown option",
            "8906 §8.2.6",
            edns(1, 0, UNKNOWN_OPTION),
            badvers(),
        ),
        case(
            "truncated answer",
            "8906 §8.2.7",
            truncating,
            answer().truncated().with_opt(),
        ),
        case("DO=1", "8906 §8.2.8", edns(0, DO, &[]), soa().with_opt()),
        case(
            "EDNS version 1, DO=1",
            "8906 §8.2.9",
            edns(1, DO, &[]),
            badvers(),
        ),
        case(
            "cookie, NSID, EXPIRE and client subnet",
            "8906 §8.2.10",
            edns(0, 0, DEFINED_OPTIONS),
            soa().with_opt(),
        )
        .unlike_named("options that are not implemented, which is all but the cookie, are left unanswered (6891 §6.1.2)"),
        case(
            "EDNS over TCP",
            "8906 §3.2.7",
            edns(0, 0, &[]),
            soa().with_opt(),
        )
        .over_tcp(),
    ]
}

fn opcodes() -> Vec<Case> {
    let with = |code| plain(opcode(code));
    let refused = || reply(&[NOTIMP, REFUSED]).without_records();
    vec![
        case(
            "opcode IQUERY",
            "3425 §3",
            with(1),
            reply(&[NOTIMP]).without_records(),
        ),
        case("opcode STATUS", "1035 §4.1.1", with(2), refused()),
        case(
            "opcode 3",
            "8906 §3.1.4",
            with(3),
            reply(&[NOTIMP]).without_records(),
        ),
        case(
            "opcode NOTIFY",
            "1996 §3",
            with(4),
            reply(&[0, NOTIMP, REFUSED, NOTAUTH]),
        )
        .unlike_named(NO_UPDATE),
        case("opcode UPDATE", "2136 §3", with(5), refused()).unlike_named(NO_UPDATE),
        case("opcode DSO over UDP", "8490 §5", with(6), reply(&[NOTIMP])),
    ]
}

fn kinds() -> Vec<Case> {
    let refused = || reply(&[FORMERR, NOTIMP, REFUSED]).without_records();
    vec![
        case("type ANY", "8482 §4", typed(255), answer())
            .unlike_named("one set is given (8482 §4.1)"),
        case(
            "type 0",
            "6895 §3.1",
            typed(0),
            reply(&[0, FORMERR, NOTIMP, REFUSED]),
        ),
        case(
            "type 65535",
            "6895 §3.1",
            typed(65_535),
            reply(&[0, FORMERR, NOTIMP, REFUSED]),
        ),
        case(
            "type OPT",
            "6891 §6.1.1",
            typed(41),
            reply(&[0, FORMERR, NOTIMP, REFUSED]),
        ),
        case("type TSIG", "8945 §4.2", typed(250), refused()),
        case("type TKEY", "2930 §2", typed(249), refused()),
        case(
            "type MAILB",
            "6895 §3.1",
            typed(253),
            reply(&[0, FORMERR, NOTIMP, REFUSED]),
        ),
        case(
            "type MAILA",
            "6895 §3.1",
            typed(254),
            reply(&[0, FORMERR, NOTIMP, REFUSED]),
        ),
        case("AXFR over UDP", "5936 §4.2", typed(252), refused()).unlike_named(NO_TRANSFER),
        case(
            "AXFR over TCP",
            "5936 §2.2.1",
            typed(252),
            reply(&[0, NOTIMP, REFUSED]),
        )
        .over_tcp()
        .unlike_named(NO_TRANSFER),
        case(
            "IXFR over UDP",
            "1995 §2",
            typed(251),
            reply(&[0, FORMERR, NOTIMP, REFUSED]),
        )
        .unlike_named(NO_TRANSFER),
    ]
}

fn classes() -> Vec<Case> {
    let version = {
        let mut message = header(ID, 0, [1, 0, 0, 0]);
        message.extend(wire_name("version.bind"));
        message.extend([0, 16, 0, 3]);
        message
    };
    let elsewhere = {
        let mut message = header(ID, 0, [1, 0, 0, 0]);
        message.extend(wire_name("elsewhere.example"));
        message.extend([0, 1, 0, 1]);
        message
    };
    vec![
        case(
            "class CH",
            "6895 §3.2",
            version,
            reply(&[0, NOTIMP, REFUSED, NOTAUTH]),
        )
        .unlike_named(NO_VERSION),
        case(
            "class HS",
            "6895 §3.2",
            ask(0, SOA, 4, &[]),
            refused_class(),
        ),
        case(
            "class NONE",
            "6895 §3.2",
            ask(0, SOA, 254, &[]),
            refused_class(),
        )
        .unlike_named(NO_CLASS),
        case(
            "class ANY",
            "6895 §3.2",
            ask(0, SOA, 255, &[]),
            reply(&[0, FORMERR, NOTIMP, REFUSED]),
        )
        .unlike_named(NO_CLASS),
        case(
            "zone that is not served",
            "8906 §3.1.1",
            elsewhere,
            reply(&[REFUSED]).without_records(),
        ),
    ]
}

fn refused_class() -> Expect {
    reply(&[FORMERR, NXDOMAIN, NOTIMP, REFUSED, NOTAUTH]).without_records()
}

fn malformed() -> Vec<Case> {
    let whole = plain(0);
    let two = [question(SOA, IN), question(TXT, IN)].concat();
    let pointer = [&[0xc0, 12][..], &[0, 6, 0, 1]].concat();
    let label = [&[0x41, 0, 0][..], &[0, 6, 0, 1]].concat();
    let long = [
        [&[63][..], &[b'x'; 63]].concat().repeat(4),
        vec![0, 0, 6, 0, 1],
    ]
    .concat();
    vec![
        case("no question", "9619 §4", raw([0; 4], &[]), formerr()),
        case(
            "two questions",
            "9619 §4",
            raw([2, 0, 0, 0], &two),
            formerr(),
        ),
        case(
            "question missing",
            "1035 §4.1.1",
            raw([1, 0, 0, 0], &[]),
            formerr(),
        ),
        case(
            "cut inside the name",
            "1035 §4.1.1",
            whole[..18].to_vec(),
            formerr(),
        ),
        case(
            "cut inside the type",
            "1035 §4.1.1",
            whole[..whole.len() - 3].to_vec(),
            formerr(),
        ),
        case(
            "name that points to itself",
            "1035 §4.1.4",
            raw([1, 0, 0, 0], &pointer),
            formerr(),
        ),
        case(
            "unknown label type",
            "6891 §5",
            raw([1, 0, 0, 0], &label),
            formerr(),
        ),
        case(
            "name of 256 bytes",
            "1035 §2.3.4",
            raw([1, 0, 0, 0], &long),
            formerr(),
        ),
        case(
            "record missing that is counted",
            "1035 §4.1.1",
            raw([1, 0, 0, 1], &question(SOA, IN)),
            formerr(),
        ),
    ]
}

/// Too much, too little, and what must stay unanswered.
fn edges() -> Vec<Case> {
    let whole = plain(0);
    let mut trailing = whole.clone();
    trailing.extend([0xde, 0xad]);
    vec![
        case(
            "bytes behind the end",
            "1035 §4.1",
            trailing,
            reply(&[0, FORMERR]),
        )
        .unlike_named("what stands behind the end is not read"),
        case(
            "half a header",
            "1035 §4.1.1",
            whole[..7].to_vec(),
            silence(),
        ),
        case("a response", "1035 §4.1.1", plain(0x8000), silence()),
        case(
            "a response without question",
            "1035 §4.1.1",
            header(ID, 0x8000, [0; 4]),
            silence(),
        ),
    ]
}

fn bad_edns() -> Vec<Case> {
    let twice = [opt(1232, 0, 0, &[]), opt(1232, 0, 0, &[])];
    let named = [&[1, b'x'][..], &opt(1232, 0, 0, &[])].concat();
    let in_answer = {
        let mut message = header(ID, 0, [1, 1, 0, 0]);
        message.extend(question(SOA, IN));
        message.extend(opt(1232, 0, 0, &[]));
        message
    };
    let small = ask(0, SOA, IN, &[opt(0, 0, 0, &[])]);
    let cookie = [0, 10, 0, 3, 1, 2, 3];
    // Owner key.example, algorithm hmac-sha256, a signature of no bytes.
    let tsig = {
        let mut rdata = wire_name("hmac-sha256");
        rdata.extend([0, 0, 0x5f, 0, 0, 0, 1, 44, 0, 0]);
        rdata.extend(ID.to_be_bytes());
        rdata.extend([0, 0, 0, 0]);
        let mut record = wire_name("key.example");
        record.extend([0, 250, 0, 255, 0, 0, 0, 0]);
        record.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
        record.extend(rdata);
        record
    };
    vec![
        case(
            "two OPT records",
            "6891 §6.1.1",
            ask(0, SOA, IN, &twice),
            formerr(),
        ),
        case(
            "OPT that is not owned by the root",
            "6891 §6.1.2",
            ask(0, SOA, IN, &[named]),
            formerr(),
        ),
        case(
            "OPT in the answer section",
            "6891 §6.1.1",
            in_answer,
            reply(&[0, FORMERR]),
        ),
        case(
            "option longer than its record",
            "6891 §6.1.2",
            edns(0, 0, &[0, 100, 0, 9, 1]),
            formerr(),
        ),
        case("payload size 0", "6891 §6.2.3", small, soa().with_opt()),
        case(
            "cookie of three bytes",
            "7873 §5.2.2",
            edns(0, 0, &cookie),
            formerr().with_opt(),
        ),
        case(
            "TSIG with an unknown key",
            "8945 §5.2.1",
            ask(0, SOA, IN, &[tsig]),
            reply(&[NOTAUTH]).without_records(),
        ),
    ]
}
