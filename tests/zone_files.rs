//! Zone files against the zone reader, and the zone reader against the programs others use.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints what it compared"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kedge::namespace::name::Name;
use kedge::namespace::rdata::Rdata;
use kedge::namespace::rtype::RecordType;
use kedge::zonefile::{BadInclude, Finding, Included, Includes, ZoneData, load};

/// Opens included files in the directory of the zone file.
struct Directory(PathBuf);

impl Includes for Directory {
    fn open(&self, _from: &str, path: &str) -> Result<Included, BadInclude> {
        match std::fs::read(self.0.join(path)) {
            Ok(bytes) => Ok(Included {
                name: path.to_owned(),
                bytes,
            }),
            Err(bad) if bad.kind() == ErrorKind::NotFound => Err(BadInclude::NotFound),
            Err(bad) => Err(BadInclude::Unreadable(bad.kind())),
        }
    }
}

fn zones() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("zones")
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "zone")
    });
    files.sort();
    assert!(!files.is_empty());
    files
}

fn name_of(file: &Path) -> &str {
    file.file_name().unwrap().to_str().unwrap()
}

fn load_file(file: &Path, origin: &str) -> Result<ZoneData, Vec<Finding>> {
    let bytes = std::fs::read(file).unwrap();
    let directory = Directory(file.parent().unwrap().to_owned());
    load(name_of(file), &bytes, &origin.parse().unwrap(), &directory)
}

/// The origin of a file in `zones/`: its name without `.zone`.
fn origin_of(file: &Path) -> String {
    if file
        .parent()
        .is_some_and(|parent| parent.ends_with("broken"))
    {
        "broken.example.".to_owned()
    } else {
        name_of(file).replace(".zone", ".")
    }
}

#[test]
fn every_broken_file_is_told_as_its_first_line_says() {
    for file in files_in(&zones().join("broken")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("; ").unwrap();
        let (place, message) = expected.split_once(": ").unwrap();
        let mut words = place.split(' ');
        let severity = words.next().unwrap();
        let last = words.next_back().unwrap();
        let place = format!("{}:{last}: ", words.next().unwrap_or(name_of(&file)));
        let findings = match (severity, load_file(&file, "broken.example.")) {
            ("error", Err(errors)) => errors,
            ("warning", Ok(zone)) => zone.warnings,
            (_, result) => panic!("{}: {result:?}", file.display()),
        };
        let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let [finding] = shown.as_slice() else {
            panic!("{}: one fault, several findings: {shown:?}", file.display());
        };
        assert!(finding.starts_with(&place), "{finding}, not at {place}");
        assert!(finding.contains(message), "{finding}, not {message}");
    }
}

#[test]
fn the_sample_zones_load_without_errors() {
    for file in files_in(&zones()) {
        let zone = load_file(&file, &origin_of(&file)).unwrap();
        assert!(zone.sets.len() > 20, "{}", file.display());
    }
    let legacy = load_file(&zones().join("legacy.example.zone"), "legacy.example.").unwrap();
    assert_eq!(legacy.warnings, []);
}

/// Runs a program; none where it is not installed, which a CI run must not be.
fn run(program: &str, arguments: &[&str], directory: &Path) -> Option<Output> {
    match Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output()
    {
        Ok(output) => Some(output),
        Err(bad) if bad.kind() == ErrorKind::NotFound => {
            assert!(
                std::env::var_os("CI").is_none(),
                "{program} is not installed"
            );
            println!("{program} is not installed; nothing was compared");
            None
        }
        Err(bad) => panic!("{program}: {bad}"),
    }
}

/// Whether named-checkzone loads the file.
fn named_accepts(file: &Path, origin: &str) -> Option<bool> {
    let arguments = ["-q", "-i", "local", origin, name_of(file)];
    run("named-checkzone", &arguments, file.parent().unwrap()).map(|output| output.status.success())
}

const TOP: &str = "$TTL 3600\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";

/// Variants of a zone, appended to [`TOP`]: on each, named-checkzone and the reader agree.
const VARIANTS: [&str; 84] = [
    "",
    "@ SOA ns h 1 2 3 4 5\n",
    "ns A 192.0.2.1\n",
    "c CNAME x\nc RRSIG CNAME 8 2 1 20300101000000 20200101000000 1 example. AAAA\n",
    "c CNAME x\nc NSEC x A\n",
    "c CNAME x\nc KEY 0 3 8 AA==\n",
    "d DNAME x.\nd CNAME y.\n",
    "d DNAME x.\nd A 192.0.2.3\n",
    "d DNAME x.\nb.d CNAME y.\n",
    "@ DNAME x.\n",
    "*.w DNAME x.\n",
    "@ NS z.w\n*.w A 192.0.2.1\n",
    "@ NS z.w\n*.w CNAME ns\n",
    "@ NS q.z.w\nz.w TXT x\n*.w A 192.0.2.1\n",
    "@ NS ent.w\na.ent.w A 192.0.2.1\n*.w A 192.0.2.1\n",
    "@ NS ns.s\ns NS ns.s\n",
    "@ NS ns.s\ns NS ns.other.\n",
    "@ NS s\ns NS ns.other.\n",
    "@ NS 192.0.2.1\n",
    "@ NS 192.0.2.1.\n",
    "s NS miss\n",
    "s NS c\nc CNAME ns\n",
    "@ MX 10 miss\n",
    "_s._tcp SRV 0 0 1 c\nc CNAME ns\n",
    "s DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000\n",
    "@ NSEC3PARAM 2 0 0 -\n",
    "x NSEC3 1 0 1 - 2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S A\n",
    "a*b TXT x\n",
    "a.*.b A 192.0.2.1\n",
    "\\@ TXT x\n",
    "a\\.b\\032c TXT x\n",
    "\"quoted\" TXT a\n",
    "x \"TXT\" a\n",
    "x IN 1h A 192.0.2.1\n",
    "x 1h IN A 192.0.2.1\n",
    "x 1h 2h A 192.0.2.1\n",
    "x IN IN A 192.0.2.1\n",
    "x CLASS1 A 192.0.2.1\n",
    "x CLASS3 A 192.0.2.1\n",
    "A A 192.0.2.1\nin A 192.0.2.2\n60 A 192.0.2.3\n",
    "x\n",
    "x 60\n",
    "x TXT\n",
    "x TYPE1 192.0.2.5\n",
    "x TYPE65280 abc\n",
    "x TYPE128 \\# 0\n",
    "x 4294967295 TXT a\n",
    "x 4294967296 TXT a\n",
    "x -1 TXT a\n",
    "x 1h30 TXT a\n",
    "x 1h30m1s TXT a\n",
    "$TTL\n",
    "$TTL 5 extra\n",
    "$ORIGIN\n",
    "$ORIGIN a extra\n",
    "$ORIGIN sub\n  TXT b\n",
    " $TTL 5\n",
    "$ttl 5\nx TXT a\n",
    "$GENERATE 1-3 h$ A 192.0.2.$\n",
    "$GENERATE 0-6/3 h${10,3,d} 60 IN TXT \"$ $$ ${0,2,x} ${-1}\"\n",
    "$GENERATE 1-2 $ CNAME ${0,4,n}.x\n",
    "$GENERATE 1-2 $ CNAME ${0,5,n}.x\n",
    "$GENERATE 1-4/0 $ A 192.0.2.$\n",
    "$GENERATE 1-2 a A\n",
    "$GENERATE 1-2 h$ MX 10 h$\n",
    "$GENERATE 1-2 h$ MX \"10 h$\"\n",
    "$GENERATE 1-2 h${1,2,q} TXT a\n",
    "$GENERATE 1-2 h$.out. TXT a\n",
    "( x TXT a )\n() y TXT b\nz TXT ( a ) b\n",
    "x TXT a)\n",
    "x TXT a\"b c\"d\n",
    "x TXT \\300\n",
    "x TXT \\\n",
    "x A 192.0.2.1 extra\n",
    "o.side. A bogus\n",
    "o.side. SOA a b 1 2 3 4 5\n",
    "x SVCB 0 foo. port=53\n",
    "x SVCB 1 foo. ALPN=h2\n",
    "x SVCB 1 foo. no-default-alpn\n",
    "x SVCB 1 foo. key65535=a key667\n",
    "x SVCB 1 foo. dohpath=/a\n",
    "x SVCB 1 foo. \"port=1\"\n",
    "x RRSIG A 8 1 1h 20300101000000 20200101000000 1 a. AAAA\n",
    "x NSEC x.example.\n",
];

/// Where the reader and named-checkzone differ, and which of the two accepts.
const DIFFERENCES: [(&str, bool, &str); 9] = [
    (
        "é TXT a\n",
        false,
        "a name beyond ASCII is a mistake: people mean its xn-- form",
    ),
    (
        "x NAPTR 1 1 u \"\" \"!a\" .\n",
        true,
        "the regular expression is the client's to judge",
    ),
    ("x X25 ab\n", true, "the address is not looked into"),
    (
        "x SVCB 1 foo. ech=\n",
        false,
        "an ECHConfigList is never empty",
    ),
    (
        "x ZONEMD 1 1 3 00\n",
        true,
        "the length of an unknown digest is not known",
    ),
    (
        "@ CDS 1 8 1 0000000000000000000000000000000000000000\n",
        true,
        "keys are not checked",
    ),
    (
        "x SVCB 1 foo. alpn=\"f\\\\\\oo\"\n",
        false,
        "RFC 9460 appendix A.1 knows no such escape",
    ),
    (
        "ns DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000\n",
        true,
        "named takes glue for the top",
    ),
    (
        "x URI 1 1 http://example.com/\n",
        true,
        "quotes matter only around spaces",
    ),
];

#[test]
fn named_checkzone_accepts_and_refuses_the_same_zones() {
    let directory = tempfile::tempdir().unwrap();
    let mut cases: Vec<(PathBuf, String)> = Vec::new();
    for file in files_in(&zones())
        .into_iter()
        .chain(files_in(&zones().join("broken")))
    {
        let origin = origin_of(&file);
        cases.push((file, origin));
    }
    for (index, variant) in VARIANTS.iter().enumerate() {
        let file = directory.path().join(format!("variant-{index:02}.zone"));
        std::fs::write(&file, format!("{TOP}{variant}")).unwrap();
        cases.push((file, "example.".to_owned()));
    }
    let (mut accepted, mut refused) = (0, 0);
    for (file, origin) in &cases {
        let Some(theirs) = named_accepts(file, origin) else {
            return;
        };
        let ours = load_file(file, origin);
        let text = std::fs::read_to_string(file).unwrap();
        assert_eq!(ours.is_ok(), theirs, "{}: {ours:?}\n{text}", file.display());
        if theirs {
            accepted += 1;
        } else {
            refused += 1;
        }
    }
    println!("compared with named-checkzone: {accepted} accepted, {refused} refused by both");
}

#[test]
fn the_known_differences_from_named_checkzone_still_stand() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("difference.zone");
    for (text, ours, reason) in DIFFERENCES {
        std::fs::write(&file, format!("{TOP}{text}")).unwrap();
        assert_eq!(
            load_file(&file, "example.").is_ok(),
            ours,
            "{text}: {reason}"
        );
        let Some(theirs) = named_accepts(&file, "example.") else {
            return;
        };
        assert_ne!(theirs, ours, "{text}: {reason}");
    }
}

/// Every record of a zone: owner, type and canonical wire data.
type Records = BTreeSet<(Name, RecordType, Vec<u8>)>;

fn records(zone: &ZoneData) -> Records {
    let mut all = BTreeSet::new();
    for (owner, sets) in &zone.sets {
        for set in sets {
            for record in set.records() {
                all.insert((owner.clone(), set.kind(), record.as_bytes().to_vec()));
            }
        }
    }
    all
}

fn assert_same(ours: &Records, theirs: &Records, program: &str) {
    let mut report = String::new();
    for (owner, kind, data) in ours.symmetric_difference(theirs) {
        let side = if ours.contains(&(owner.clone(), *kind, data.clone())) {
            "ours"
        } else {
            program
        };
        let text = Rdata::from_wire(*kind, data).map(|rdata| rdata.to_text(*kind));
        writeln!(report, "{side}: {owner} {kind} {text:?}").unwrap();
    }
    assert!(report.is_empty(), "{report}");
    println!("compared with {program}: {} records", ours.len());
}

/// The sample zones with their records as the reader has them.
fn samples() -> Vec<(PathBuf, String, Records)> {
    let with_records = |file: PathBuf| {
        let origin = origin_of(&file);
        let zone = load_file(&file, &origin).unwrap();
        (file, origin, records(&zone))
    };
    files_in(&zones()).into_iter().map(with_records).collect()
}

#[test]
fn named_compilezone_makes_the_same_wire_data() {
    for (file, origin, ours) in samples() {
        let directory = tempfile::tempdir().unwrap();
        let raw = directory.path().join("raw");
        let arguments = ["-q", "-i", "local", "-k", "ignore", "-F", "raw", "-o"];
        let arguments = [
            &arguments[..],
            &[raw.to_str().unwrap(), &origin, name_of(&file)],
        ]
        .concat();
        let Some(output) = run("named-compilezone", &arguments, &zones()) else {
            return;
        };
        assert!(output.status.success(), "{output:?}");
        let theirs = read_raw(&std::fs::read(&raw).unwrap());
        assert_same(&ours, &theirs, "named-compilezone -F raw");
    }
}

/// Reads BIND's raw zone format: a header of 24 octets, then one block a record set.
fn read_raw(bytes: &[u8]) -> Records {
    let mut all = BTreeSet::new();
    let mut rest = bytes.split_at(24).1;
    while !rest.is_empty() {
        let length = u32::from_be_bytes(*rest.first_chunk().unwrap());
        let (block, after) = rest.split_at(usize::try_from(length).unwrap());
        rest = after;
        let (kind, _) = block.split_at(6).1.split_first_chunk().unwrap();
        let kind = RecordType::new(u16::from_be_bytes(*kind));
        let (name, mut data) = take_counted(block.split_at(18).1);
        let owner = Name::from_wire(name).unwrap();
        while !data.is_empty() {
            let (record, after) = take_counted(data);
            data = after;
            let rdata = Rdata::from_wire(kind, record)
                .unwrap_or_else(|bad| panic!("{owner} {kind} {record:?}: {bad}"));
            all.insert((owner.clone(), kind, rdata.as_bytes().to_vec()));
        }
    }
    all
}

fn take_counted(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_first_chunk().unwrap();
    rest.split_at(usize::from(u16::from_be_bytes(*length)))
}

#[test]
fn named_compilezone_writes_text_that_reads_back() {
    for (file, origin, ours) in samples() {
        let arguments = ["-q", "-i", "local", "-k", "ignore", "-F", "text", "-o", "-"];
        let arguments = [&arguments[..], &[&origin, name_of(&file)]].concat();
        let Some(output) = run("named-compilezone", &arguments, &zones()) else {
            return;
        };
        assert!(output.status.success(), "{output:?}");
        let theirs = reload(&output.stdout, &origin);
        assert_same(&ours, &theirs, "named-compilezone -F text");
    }
}

#[test]
fn ldns_read_zone_writes_text_that_reads_back() {
    for (file, origin, mut ours) in samples() {
        let text = std::fs::read_to_string(&file).unwrap();
        // $GENERATE is BIND's alone.
        let plain: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("$GENERATE"))
            .collect();
        ours.retain(|(owner, _, _)| !owner.to_string().starts_with("node"));
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("copy.zone");
        std::fs::write(&copy, plain.join("\n") + "\n").unwrap();
        let Some(output) = run("ldns-read-zone", &[copy.to_str().unwrap()], &zones()) else {
            return;
        };
        assert!(output.status.success(), "{output:?}");
        let theirs = reload(&output.stdout, &origin);
        assert_same(&ours, &theirs, "ldns-read-zone");
    }
}

fn reload(text: &[u8], origin: &str) -> Records {
    let nothing = Directory(PathBuf::new());
    let zone = load("output", text, &origin.parse().unwrap(), &nothing).unwrap_or_else(|bad| {
        let shown: BTreeMap<u32, String> = bad
            .iter()
            .map(|finding| (finding.line, finding.to_string()))
            .collect();
        panic!("{shown:#?}")
    });
    records(&zone)
}
