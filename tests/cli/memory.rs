//! Memory is bounded by configuration, not by what the index holds.

use super::node::{Home, Node};

/// Names of one import; a third of them make the store outgrow the cache.
const NAMES: usize = 30_000;
/// How much the second import may add. Kept in memory, its names alone would take twice as much.
const GROWTH_KIB_MAX: u64 = 12 << 10;

/// The largest resident set so far.
fn peak_kib(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse().unwrap()
}

#[test]
fn an_index_larger_than_the_cache_takes_no_more_memory() {
    let home = Home::new("[legacy]\nupstreams = []\n[store]\ncache-mib = 4\n");
    let node = home.serve();
    let import = |prefix: &str| {
        let lines = (0..NAMES).map(|number| format!("{prefix}-{number} A 10.0.0.1\n"));
        home.write("names", &format!("$TTL 60\n{}", lines.collect::<String>()));
        let command = [
            "name",
            "import",
            "eu.mesh.internal",
            "names",
            "--batch",
            "5000",
        ];
        home.run(&command).good();
        let store = std::fs::metadata(home.path("data/index.redb")).unwrap();
        (peak_kib(&node), store.len() >> 10)
    };
    let (first, store) = import("first");
    assert!(
        store > 4 * (4 << 10),
        "the store outgrew its cache: {store} KiB"
    );
    let (second, _) = import("second");
    let growth = second - first;
    assert!(
        growth <= GROWTH_KIB_MAX,
        "{growth} KiB more than {first} KiB"
    );
    assert_eq!(node.ask("second-7.eu.mesh.internal")[0], "NOERROR aa");
    node.stop();
}
