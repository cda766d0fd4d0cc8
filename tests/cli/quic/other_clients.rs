//! A client in Python, with an implementation of QUIC of its own (aioquic).

use std::path::Path;
use std::process::Command;

use super::super::node::{Home, Node, run};
use super::{NAME, home, listener};

const CLIENT: &str = "
import asyncio, ssl, struct, sys
import dns.asyncquery, dns.edns, dns.message, dns.query, dns.quic, dns.rcode
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived, StreamReset
port, authority, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
def message(**more):
    return dns.message.make_query(name, 'A', id=0, **more)
";

/// Runs a script with the clients that `tests/run tools` installs.
fn python(home: &Home, node: &Node, script: &str) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let program = target.join("clients/bin/python3");
    let shown = program.display();
    assert!(program.exists(), "`tests/run tools` installs {shown}");
    let mut python = Command::new(program);
    python
        .args(["-c", &format!("{CLIENT}{script}")])
        .arg(listener(node).port().to_string())
        .arg(home.path("ca.pem"))
        .arg(NAME);
    run(&mut python).good();
}

#[test]
fn a_library_of_resolvers_is_answered_once_and_over_and_over() {
    let home = home();
    let node = home.serve();
    python(
        &home,
        &node,
        "
reply = dns.query.quic(message(use_edns=0, pad=128), '127.0.0.1', 30, port, verify=authority, server_hostname='dns.example')
assert '10.1.0.10' in reply.to_text(), reply
assert len(reply.to_wire()) % 468 == 0, len(reply.to_wire())
async def many():
    async with dns.quic.AsyncioQuicManager(verify_mode=authority, server_name='dns.example') as manager:
        connection = manager.connect('127.0.0.1', port)
        ask = lambda: dns.asyncquery.quic(message(), '127.0.0.1', 30, port, connection=connection)
        return await asyncio.gather(*[ask() for _ in range(60)])
for reply in asyncio.run(many()):
    assert reply.rcode() == dns.rcode.NOERROR and len(reply.answer[0]) == 2, reply
",
    );
    node.stop();
}

#[test]
fn a_session_is_resumed_and_nothing_is_taken_before_its_handshake() {
    let home = home();
    // With authorities of clients nothing is resumed: who a client is would be taken from before.
    home.configure(
        "quic = [\"127.0.0.1:0\"]\ntls-certificate = \"dns.pem\"\ntls-key = \"dns-key.pem\"\n\
         [legacy]\nupstreams = []\n",
    );
    let node = home.serve();
    python(
        &home,
        &node,
        "
class Client(QuicConnectionProtocol):
    def __init__(self, *more, **named):
        super().__init__(*more, **named)
        self.came, self.done = b'', asyncio.get_event_loop().create_future()
    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            self.came += event.data
            if event.end_stream and not self.done.done():
                self.done.set_result(self.came)
tickets = []
async def ask():
    configuration = QuicConfiguration(alpn_protocols=['doq'], is_client=True, server_name='dns.example')
    configuration.load_verify_locations(authority)
    configuration.session_ticket = tickets[-1] if tickets else None
    async with connect('127.0.0.1', port, configuration=configuration, create_protocol=Client,
                       session_ticket_handler=tickets.append) as client:
        stream = client._quic.get_next_available_stream_id()
        wire = message().to_wire()
        client._quic.send_stream_data(stream, struct.pack('!H', len(wire)) + wire, True)
        client.transmit()
        came = await asyncio.wait_for(client.done, 30)
        assert dns.message.from_wire(came[2:]).answer
        # Tickets come behind the handshake.
        await client.ping()
        return client._quic.tls
first = asyncio.run(ask())
assert not first.session_resumed and tickets
assert all(not ticket.max_early_data_size for ticket in tickets), tickets
second = asyncio.run(ask())
assert second.session_resumed and not second.early_data_accepted
",
    );
    node.stop();
}
