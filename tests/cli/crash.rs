//! Killed in the middle of changes, and out of space: what was acknowledged is there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::Method;
use kedge::adapters::http::wire::{DoneView, NameView, PutBody};
use kedge::adapters::http::{Client, ClientError};
use tokio::runtime::Handle;

use super::node::{Home, Node, program};

/// Kills in one run.
const ROUNDS: u64 = 20;
/// Callers that put at the same time, so that a kill meets a commit of several.
const CALLERS: usize = 4;

const CONFIG: &str = "[legacy]\nupstreams = []\n";

/// The same numbers for the same seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn body(kind: &str, data: String) -> PutBody {
    PutBody {
        kind: kind.to_owned(),
        ttl: 60,
        data: vec![data],
        add: false,
        if_version: None,
        may_empty: false,
        note: String::new(),
    }
}

async fn put(socket: PathBuf, name: &str, body: PutBody) -> Result<DoneView, ClientError> {
    let path = format!("/names/{name}");
    Client::Socket(socket).send(Method::PUT, &path, &body).await
}

/// Puts until the node is gone, and gives what was acknowledged.
async fn caller(
    home: PathBuf,
    (round, number): (u64, usize),
    acknowledged: Arc<AtomicUsize>,
) -> BTreeMap<String, String> {
    let mut mine = BTreeMap::new();
    for count in 0.. {
        let name = format!("r{round}c{number}n{count}.eu.mesh.internal");
        let address = format!("10.{round}.{number}.{}", count % 250);
        let putting = put(home.clone(), &name, body("A", address.clone()));
        if putting.await.is_err() {
            break;
        }
        mine.insert(name, address);
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
    mine
}

/// Lets callers put until `kill_at` changes were acknowledged, then kills the node.
async fn round(home: &Home, node: Node, round: u64, kill_at: usize) -> BTreeMap<String, String> {
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let runtime = Handle::current();
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let putting = caller(home.socket(), (round, number), Arc::clone(&acknowledged));
            runtime.spawn(putting)
        })
        .collect();
    while acknowledged.load(Ordering::SeqCst) < kill_at {
        tokio::task::yield_now().await;
    }
    node.kill();
    let mut all = BTreeMap::new();
    for caller in callers {
        all.extend(caller.await.unwrap());
    }
    all
}

#[test]
fn what_was_acknowledged_survives_every_kill() {
    let seed: u64 = std::env::var("KEDGE_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("seed={seed}");
    let mut chance = Chance(seed);
    let home = Home::new(CONFIG);
    home.run(&["init"]).good();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut all = BTreeMap::new();
    for number in 0..ROUNDS {
        let node = home.serve();
        let kill_at = usize::try_from(1 + chance.below(24)).unwrap();
        let survived = runtime.block_on(round(&home, node, number, kill_at));
        assert!(survived.len() >= kill_at);
        let node = home.serve();
        runtime.block_on(async {
            for (name, address) in &survived {
                let client = Client::Socket(home.socket());
                let view: NameView = client.get(&format!("/names/{name}")).await.unwrap();
                assert_eq!(
                    view.sets[0].data,
                    std::slice::from_ref(address),
                    "seed {seed}, round {number}"
                );
            }
        });
        home.run(&["verify"]).good();
        all.extend(survived);
        node.kill();
    }
    let node = home.serve();
    for (name, address) in all.iter().step_by(7) {
        assert!(node.ask(name)[1].ends_with(address), "seed {seed}: {name}");
    }
    home.run(&["verify"]).good();
    node.stop();
}

/// A program whose files cannot grow beyond so many blocks of 1024 bytes. Writing more gives an
/// error instead of a signal, as on a full disk.
fn starved(home: &Home, blocks: u64) -> Command {
    let program = program(&home.path(""));
    let kedge = program.get_program().to_string_lossy().into_owned();
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec '{kedge}' serve -c kedge.toml");
    let mut command = Command::new("bash");
    command
        .current_dir(home.path(""))
        .env_remove("RUST_LOG")
        .args(["-c", &script]);
    command
}

#[test]
fn a_full_disk_refuses_changes_and_loses_nothing() {
    let home = Home::new(CONFIG);
    home.run(&["init"]).good();
    let size = std::fs::metadata(home.path("data/index.redb"))
        .unwrap()
        .len();
    let node = Node::start(&mut starved(&home, size / 1024 + 64));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let text = format!("\"{}\"", "x".repeat(200));
    let mut kept = 0;
    let refused = loop {
        let name = format!("n{kept}.eu.mesh.internal");
        let putting = put(home.socket(), &name, body("TXT", text.clone()));
        match runtime.block_on(putting) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 20_000, "the disk never became full");
    };
    match &refused {
        ClientError::Node { status, .. } => assert_eq!(*status, 500, "{refused}"),
        other => panic!("the node did not say why: {other}"),
    }
    // Questions are answered as before, the changes that were acknowledged too.
    assert_eq!(node.ask("db.eu.mesh.internal")[0], "NOERROR aa");
    let last = format!("n{}.eu.mesh.internal TXT", kept - 1);
    assert_eq!(node.ask(&last)[0], "NOERROR aa");
    let lost = format!("n{kept}.eu.mesh.internal TXT");
    assert_eq!(
        node.ask(&lost)[0],
        "NXDOMAIN aa",
        "a refused change is not there"
    );
    // A command says so and fails.
    let ran = home.run(&["name", "put", "more.eu.mesh.internal", "TXT", &text]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("the store failed"), "{ran:?}");
    assert_eq!(home.run(&["doctor"]).code, 6, "the doctor sees it");
    node.kill();
    // With space again all is there, and changes go on.
    let node = home.serve();
    for number in 0..kept {
        let question = format!("n{number}.eu.mesh.internal TXT");
        assert_eq!(node.ask(&question)[0], "NOERROR aa", "{question} of {kept}");
    }
    home.run(&["verify"]).good();
    home.run(&["name", "put", "more.eu.mesh.internal", "TXT", &text])
        .good();
    node.stop();
}
