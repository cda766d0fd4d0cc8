//! Clients of DNS over HTTPS that stall, flood or take back what they asked.

use std::process::Command;

use super::super::node::{Home, Node, run};
use super::{NAME, home, kdig, listener};

/// Frames of HTTP/2 by hand (RFC 9113), and HTTP/1.1 as text.
const CLIENT: &str = "
import socket, ssl, struct, sys
port, authority, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
def connect(protocol, source='127.0.0.1'):
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols([protocol])
    plain = socket.create_connection(('127.0.0.1', port), 30, (source, 0))
    stream = context.wrap_socket(plain, server_hostname='dns.example')
    assert stream.selected_alpn_protocol() == protocol
    return stream
def frame(kind, flags, stream, body=b''):
    return struct.pack('!I', len(body))[1:] + bytes([kind, flags]) + struct.pack('!I', stream) + body
def field(name, value):
    name, value = name.encode(), value.encode()
    assert len(name) < 127 and len(value) < 127
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value
def head(path, method='GET', **more):
    fields = {':method': method, ':scheme': 'https', ':path': path, ':authority': 'dns.example'}
    return b''.join(field(*pair) for pair in {**fields, **more}.items())
PREFACE = b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' + frame(4, 0, 0)
QUESTION = '/dns-query?name=' + name
def exactly(stream, count):
    read = b''
    while len(read) < count:
        more = stream.recv(count - len(read))
        if not more:
            return None
        read += more
    return read
def frames(stream):
    while True:
        try:
            start = exactly(stream, 9)
        except (ConnectionResetError, ssl.SSLEOFError):
            return
        if start is None:
            return
        length, kind, flags, number = struct.unpack('!IBBI', b'\\0' + start)
        yield kind, flags, number, exactly(stream, length)
def end(stream):
    'The error of the last GOAWAY before the end, if there was any.'
    last = None
    for kind, _, _, body in frames(stream):
        if kind == 7:
            last = struct.unpack('!I', body[4:8])[0]
    return last
def answered(stream, number):
    for kind, flags, at, _ in frames(stream):
        if at == number and flags & 1:
            return True
    return False
";

fn python(home: &Home, node: &Node, script: &str) {
    let port = listener(node, "https").port().to_string();
    let mut python = Command::new("/usr/bin/python3");
    python
        .args(["-c", &format!("{CLIENT}{script}"), &port])
        .arg(home.path("ca.pem"))
        .arg(NAME);
    run(&mut python).good();
}

/// Runs a script against a node that must go on to answer.
fn abuse(script: &str) {
    let home = home();
    let node = home.serve();
    python(&home, &node, script);
    let said = kdig(&home, &node, &["+https", NAME, "A"]);
    assert!(said.contains("10.1.0.10"), "{said}");
    let warned = node.said.iter().find(|line| line.contains("WARN"));
    assert!(warned.is_none(), "{warned:?}");
    node.stop();
}

#[test]
fn who_asks_and_takes_back_in_a_row_loses_the_connection() {
    abuse(
        "
stream = connect('h2')
stream.sendall(PREFACE)
# ENHANCE_YOUR_CALM, or the end before it could be read.
reset = lambda number: frame(1, 5, number, head(QUESTION)) + frame(3, 0, number, struct.pack('!I', 8))
try:
    for start in range(1, 20_001, 2_000):
        stream.sendall(b''.join(map(reset, range(start, start + 2_000, 2))))
    assert end(stream) in (11, None)
except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
    pass
",
    );
}

#[test]
fn a_head_that_never_ends_or_is_too_long_ends_its_stream_or_the_connection() {
    abuse(
        "
stream = connect('h2')
stream.sendall(PREFACE + frame(1, 1, 1, head(QUESTION)))
piece = b''.join(field('x-%d' % number, 'y' * 100) for number in range(100))
try:
    for _ in range(1_000):
        stream.sendall(frame(9, 0, 1, piece))
    assert end(stream) is not None
except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
    pass
stream = connect('http/1.1')
try:
    stream.sendall(b'GET / HTTP/1.1\\r\\n')
    for _ in range(1_000):
        stream.sendall(b'x: ' + b'y' * 1000 + b'\\r\\n')
    reply = stream.recv(1000)
    assert b' 431 ' in reply or not reply, reply
except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
    pass
",
    );
}

#[test]
fn who_says_nothing_or_little_is_dropped_in_time() {
    abuse(
        "
import time
silent, quiet = connect('h2'), connect('http/1.1')
dripping = connect('http/1.1')
dripping.sendall(b'GET ' + QUESTION.encode())
pinging = connect('h2')
pinging.sendall(PREFACE)
slow = connect('h2')
kind = {'content-type': 'application/dns-message', 'content-length': '50'}
slow.sendall(PREFACE + frame(1, 4, 1, head('/dns-query', 'POST', **kind)))
def is_over(stream, bytes):
    stream.settimeout(0.05)
    try:
        while stream.recv(4096):
            pass
        return True
    except (ConnectionResetError, ssl.SSLEOFError):
        return True
    except TimeoutError:
        pass
    try:
        stream.sendall(bytes)
        return False
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        return True
held = {dripping: b'a', pinging: frame(6, 0, 0, bytes(8)), silent: b'', quiet: b''}
began = time.monotonic()
while held:
    assert time.monotonic() - began < 40, len(held)
    for stream, bytes_ in list(held.items()):
        if is_over(stream, bytes_):
            del held[stream]
# The one that announced a body was told so.
kinds = [kind for kind, *_ in frames(slow)]
assert 1 in kinds, kinds
",
    );
}

#[test]
fn many_streams_of_a_client_are_answered_and_no_more_than_may_be() {
    abuse(
        "
stream = connect('h2')
numbers = range(1, 200, 2)
stream.sendall(PREFACE + b''.join(frame(1, 5, number, head(QUESTION)) for number in numbers))
waiting = set(numbers)
for kind, flags, number, _ in frames(stream):
    if flags & 1 and kind in (0, 1):
        waiting.discard(number)
        if not waiting:
            break
assert not waiting
settings = connect('h2')
settings.sendall(PREFACE)
for kind, flags, _, body in frames(settings):
    if kind == 4 and not flags:
        found = dict(struct.unpack('!HI', body[at:at + 6]) for at in range(0, len(body), 6))
        assert found[3] == 100 and found[6] == 16384, found
        break
",
    );
}

#[test]
fn idle_clients_make_room_for_others_whatever_they_speak() {
    let home = home();
    let node = home.serve();
    python(
        &home,
        &node,
        "
# As many as one client may have, and one more, which is let in.
held = [connect('h2') for _ in range(128)]
for stream in held:
    stream.sendall(PREFACE)
late = connect('h2')
late.sendall(PREFACE + frame(1, 5, 1, head(QUESTION)))
assert answered(late, 1)
# The first one was told that it ends.
assert end(held[0]) == 0
other = connect('http/1.1', '127.0.0.9')
other.sendall(b'GET ' + QUESTION.encode() + b' HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n')
assert b' 200 ' in other.recv(4096)
",
    );
    node.stop();
}
