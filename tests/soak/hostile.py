"""Who means harm: from another address of loopback, as one client may not take what others need."""

import random
import socket
import ssl
import struct
import threading

from upstreams import FALSE, message, record
from wire import AAAA, EDNS, encode
from truth import APEX, LEGACY

SOURCE = "127.0.0.66"
# Ports that the system gives to sockets.
EPHEMERAL = (32768, 60999)
HELD = 20


class Hostile(threading.Thread):
    def __init__(self, truth, node, seed, rate):
        super().__init__(daemon=True)
        self.truth, self.node, self.rate = truth, node, rate
        self.chance = random.Random(seed)
        self.over = threading.Event()
        self.held = []

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            plain.bind((SOURCE, 0))
            plain.setblocking(False)
            rounds = 0
            while not self.over.wait(0.2):
                for _ in range(int(self.rate * 0.2)):
                    self.datagram(plain)
                self.drain(plain)
                self.spoof()
                rounds += 1
                if rounds % 3 == 0:
                    self.connection()
        for stream in self.held:
            stream.close()

    def drain(self, plain):
        for _ in range(1000):
            try:
                plain.recv(65535)
            except OSError:
                return

    def question(self):
        number = self.chance.randrange(65536)
        name = self.chance.choice([f"g{self.chance.randrange(64)}.{APEX}", f"l{self.chance.randrange(400)}.{LEGACY}"])
        return struct.pack("!6H", number, 0x0100, 1, 0, 0, 1) + encode(name) + struct.pack("!HH", AAAA, 1) + EDNS

    def datagram(self, plain):
        chance = self.chance
        body = bytearray(self.question())
        kind = chance.randrange(6)
        if kind == 0:
            body = chance.randbytes(chance.randrange(0, 600))
        elif kind == 1:
            for _ in range(chance.randrange(1, 6)):
                body[chance.randrange(2, len(body))] = chance.randrange(256)
        elif kind == 2:
            body = body[: chance.randrange(len(body))]
        elif kind == 3:
            # A name that points at itself, or around.
            body = body[:12] + b"\xc0\x0c\0\x1c\0\x01" + b"\xc0\x0e\xc0\x0c"
        elif kind == 4:
            # Counts that lie, and a message that is long.
            body[4:12] = chance.randbytes(8)
            body += chance.randbytes(chance.choice([0, 40, 4000]))
        else:
            # A reply, of which there are none here.
            body[2] |= 0x80
        try:
            plain.sendto(bytes(body), ("127.0.0.1", self.node.listeners["udp"]))
            self.truth.count("hostile datagrams")
        except OSError:
            return

    def spoof(self):
        """Replies to ports where questions may wait, from a port that nobody asked."""
        name = encode(f"l{self.chance.randrange(400)}.{LEGACY}") + struct.pack("!HH", AAAA, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            for _ in range(20):
                forged = message(self.chance.randrange(65536), name, 0, [record(b"\xc0\x0c", FALSE, 600)])
                try:
                    plain.sendto(forged, ("127.0.0.1", self.chance.randrange(*EPHEMERAL)))
                except OSError:
                    continue
                self.truth.count("forged replies")

    def connection(self):
        kind = self.chance.choice([self.long, self.half, self.slow, self.half_tls, self.web, self.junk])
        try:
            kind()
            self.truth.count("hostile connections")
        except (OSError, ssl.SSLError):
            self.truth.count("hostile connections ended")
        while len(self.held) > HELD:
            self.held.pop(0).close()

    def connect(self, listener):
        return socket.create_connection(("127.0.0.1", self.node.listeners[listener]), 2, (SOURCE, 0))

    def long(self):
        """The longest message there is."""
        with self.connect("udp") as stream:
            stream.sendall(struct.pack("!H", 65535) + self.question() + bytes(65535 - len(self.question())))
            stream.recv(100)

    def half(self):
        stream = self.connect("udp")
        self.held.append(stream)
        stream.sendall(struct.pack("!H", 500) + self.question()[:20])

    def slow(self):
        """Octets that trickle, on connections that were held before."""
        if not self.held:
            self.half()
        for stream in list(self.held):
            try:
                stream.send(b"\1")
            except OSError:
                self.held.remove(stream)

    def half_tls(self):
        stream = self.connect(self.chance.choice(["tls", "https"]))
        self.held.append(stream)
        stream.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + self.chance.randbytes(40))

    def junk(self):
        with self.connect("udp") as stream:
            stream.sendall(self.chance.randbytes(5000))

    def web(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(self.connect("https")) as stream:
            stream.sendall(
                self.chance.choice(
                    [
                        b"GET /" + b"x" * 30000 + b" HTTP/1.1\r\n\r\n",
                        b"POST /dns-query HTTP/1.1\r\ncontent-length: 99999999\r\ncontent-type: application/dns-message\r\n\r\nx",
                        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.chance.randbytes(500),
                        b"POST /dns-query HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nzz\r\n",
                        b"GET /dns-query?dns=%%%% HTTP/1.1\r\nhost: x\r\n\r\n" * 50,
                    ]
                )
            )
            stream.recv(1000)
