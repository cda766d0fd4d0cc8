//! HTTP in the clear: for proxies on the same machine or trusted ones, who say who asks.

use std::process::Command;

use super::super::node::{Home, Node, run};
use super::{NAME, listener};

fn curl(node: &Node, arguments: &[&str]) -> String {
    let address = listener(node, "http");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--max-time", "20"])
        .args(arguments)
        .arg(format!("http://{address}/dns-query?name={NAME}"));
    run(&mut curl).out
}

#[test]
fn only_a_trusted_proxy_says_who_asks() {
    const FOR: &str = "X-Forwarded-For: 203.0.113.9, 198.51.100.7";
    for (proxies, is_believed) in [("", false), ("\"127.0.0.1/32\"", true)] {
        let home = Home::new(&format!(
            "http = [\"127.0.0.1:0\"]\n[https]\ntrusted-proxies = [{proxies}]\n\
             [access]\nquery = [\"198.51.100.0/24\"]\n[legacy]\nupstreams = []\n"
        ));
        let node = home.serve();
        let said = curl(&node, &["--header", FOR]);
        assert_eq!(said.contains("\"Status\":0"), is_believed, "{said}");
        assert_eq!(said.contains("\"Status\":5"), !is_believed, "{said}");
        let said = curl(&node, &[]);
        assert!(said.contains("\"Status\":5"), "{said}");
        node.stop();
    }
}

#[test]
fn in_the_clear_only_trusted_proxies_and_this_machine_may_ask() {
    let home = Home::new(
        "http = [\"0.0.0.0:0\"]\n[https]\ntrusted-proxies = [\"203.0.113.0/24\"]\n\
         [legacy]\nupstreams = []\n",
    );
    let node = home.serve();
    let port = listener(&node, "http").port();
    let addresses = Command::new("hostname").arg("-I").output().unwrap();
    let addresses = String::from_utf8(addresses.stdout).unwrap();
    let ask = |address: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--max-time", "20"])
            .arg(format!("http://{address}:{port}/dns-query?name={NAME}"));
        run(&mut curl).out
    };
    assert!(ask("127.0.0.1").contains("10.1.0.10"));
    // From an address of this machine that is no loopback one, if it has any.
    for address in addresses
        .split_whitespace()
        .filter(|text| text.contains('.'))
    {
        assert_eq!(ask(address), "", "{address}");
    }
    node.stop();
}
