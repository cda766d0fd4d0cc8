//! Checks of instances, by servers that come and go.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::{API, announce, ask_until, has, home, refused};

/// An HTTP server that answers every request with the status that is set.
fn http(status: Arc<AtomicU16>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /health HTTP/1.1\r\n"));
            let status = status.load(Ordering::SeqCst);
            // Whoever followed this would come back to a path that is not /health.
            let answer = format!("HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\n\r\n");
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    port
}

#[test]
fn what_fails_its_check_is_left_out_and_all_are_shown_when_all_fail() {
    let home = home();
    let node = home.serve();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let check = ["--check", "tcp", "--ttl", "1h", "--port", &port];
    announce(&home, API, "bad", "127.0.0.2", &check).good();
    announce(&home, API, "good", "127.0.0.1", &check).good();
    let chosen = ask_until(&node, API, |reply| {
        has("127.0.0.1")(reply) && !has("127.0.0.2")(reply)
    });
    assert!(!has("ede")(&chosen), "{chosen:?}");
    assert!(has("127.0.0.2")(
        &node.ask("bad._inst.api.eu.mesh.internal")
    ));
    // A restart knows nothing, and shows what was announced as before until it does.
    node.stop();
    let node = home.serve();
    assert!(has("127.0.0.1")(&node.ask(API)));
    ask_until(&node, API, |reply| !has("127.0.0.2")(reply));
    drop(listener);
    let open = ask_until(&node, API, has("ede 0"));
    assert!(
        has("127.0.0.1")(&open) && has("127.0.0.2")(&open),
        "{open:?}"
    );
    let explained = home.run(&["explain", API]);
    let words = "2 up, 0 healthy, 0 draining; 2 shown: no instance passes its check";
    assert!(explained.good().contains(words), "{explained:?}");
    let doctor = home.run(&["doctor"]);
    assert!(
        doctor
            .good()
            .contains("1 service(s) without a healthy instance"),
        "{doctor:?}"
    );
    let status = home.run(&["status"]);
    assert!(
        status
            .good()
            .contains("1 service(s) with 2 instance(s), 2 unhealthy"),
        "{status:?}"
    );
    node.stop();
}

#[test]
fn an_http_check_wants_success_and_follows_nothing() {
    let home = home();
    let node = home.serve();
    let status = Arc::new(AtomicU16::new(302));
    let port = http(Arc::clone(&status)).to_string();
    let check = ["--check", "http:/health", "--ttl", "1h", "--port", &port];
    announce(&home, API, "checked", "127.0.0.1", &check).good();
    announce(&home, API, "other", "10.0.0.1", &[]).good();
    ask_until(&node, API, has("127.0.0.1"));
    status.store(503, Ordering::SeqCst);
    ask_until(&node, API, |reply| !has("127.0.0.1")(reply));
    assert!(has("10.0.0.1")(&node.ask(API)));
    status.store(200, Ordering::SeqCst);
    ask_until(&node, API, has("127.0.0.1"));
    // Renewed, it is what it was: a check does not begin anew with each lease.
    status.store(500, Ordering::SeqCst);
    ask_until(&node, API, |reply| !has("127.0.0.1")(reply));
    announce(&home, API, "checked", "127.0.0.1", &check).good();
    assert!(!has("127.0.0.1")(&node.ask(API)));
    // Networks that are taken back by a reload are not checked any more, and nothing stays failing.
    home.configure("[legacy]\nupstreams = []\n[leases]\ncheck = []\n");
    home.run(&["reload"]).good();
    ask_until(&node, API, has("127.0.0.1"));
    refused(
        &announce(&home, API, "checked", "127.0.0.1", &check),
        3,
        "local-addresses",
    );
    node.stop();
}
