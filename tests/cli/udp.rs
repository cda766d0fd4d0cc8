//! Datagrams: several sockets of one address, and answers from the address that was asked.

use std::net::SocketAddr;
use std::process::Command;

use super::node::{Asked, Home, QUIET, run};

const ZONE: &str = "\
$TTL 300
@ SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.80
";

fn zoned(listen: &str) -> Home {
    let home = Home::new("");
    home.write("zones/corp.example.zone", ZONE);
    let config = format!("[listen]\ndns = [{listen}]\n{QUIET}[zones]\ndirectory = \"zones\"\n");
    home.write("kedge.toml", &config);
    home
}

#[test]
fn every_socket_of_an_address_answers() {
    let home = zoned("\"127.0.0.1:0\"");
    let node = home.serve();
    // Each asks from a port of its own, by which the kernel chooses the socket.
    let asked: Vec<Asked> = (0..64)
        .map(|_| Asked::send(node.address, "www.corp.example"))
        .collect();
    for asked in asked {
        assert_eq!(asked.reply()[1], "www.corp.example. 300 A 192.0.2.80");
    }
    node.stop();
}

#[test]
fn a_change_is_in_the_very_next_datagram() {
    let home = Home::new("[legacy]\nupstreams = []\n");
    let node = home.serve();
    let name = "api.eu.mesh.internal";
    for number in 0..20 {
        let address = format!("10.9.0.{number}");
        home.run(&["name", "put", name, "A", &address]).good();
        // From many ports, so that each thread has it kept from before.
        let asked: Vec<Asked> = (0..8).map(|_| Asked::send(node.address, name)).collect();
        for asked in asked {
            let reply = asked.reply();
            assert!(reply[1].ends_with(&format!(" A {address}")), "{reply:?}");
        }
    }
    let said = home.run(&["explain", name]);
    let cached = "cached: while the index stays as it is, for callers from 127.0.0.0 to";
    assert!(said.good().contains(cached), "{said:?}");
    node.stop();
}

#[test]
fn an_answer_comes_from_the_address_that_was_asked() {
    for (listen, asked) in [("\"0.0.0.0:0\"", "127.0.0.9"), ("\"[::]:0\"", "::1")] {
        let node = zoned(listen).serve();
        let port = node.address.port();
        let server = SocketAddr::new(asked.parse().unwrap(), port);
        // dig takes no answer from another address than the one it asked.
        let mut dig = Command::new("dig");
        dig.arg(format!("@{}", server.ip()))
            .args(["-p", &port.to_string(), "+tries=3", "+time=20"])
            .args(["+short", "www.corp.example"]);
        assert_eq!(run(&mut dig).good(), "192.0.2.80\n", "{listen}");
        node.stop();
    }
}
