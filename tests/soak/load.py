"""Clients over UDP, TCP, TLS and HTTPS that know what is right."""

import http.client
import selectors
import socket
import ssl
import struct
import threading
import time

from truth import APEX
from wire import Choice, Malformed, parse

SOCKETS = 24
# A question may take 4.5 s; then it is asked once more.
PATIENCE, ATTEMPTS = 6.0, 3
TICK = 0.02
PIPELINE = 12


class Client(threading.Thread):
    def __init__(self, truth, node, seed, rate):
        super().__init__(daemon=True)
        self.truth, self.node, self.rate = truth, node, rate
        self.choice = Choice(truth, seed)
        self.over = threading.Event()
        # To see a loss: replies about this name are thrown away, and nobody waits long for them.
        self.blind = f"g0.{APEX}" if truth.oracles["nothing lost"].corrupt else None
        self.patience = 0.5 if self.blind else PATIENCE

    def check(self, question, message, begun, transport):
        """Whether it was an answer."""
        try:
            reply = parse(message, question)
        except Malformed as error:
            self.truth.see("nothing lost", False, f"{question.name} over {transport}: {error}")
            return
        self.truth.count(transport)
        self.truth.see("nothing lost", True, "")
        self.truth.judge(question, reply, begun)


class Datagrams(Client):
    """Many sockets, and many questions under way."""

    def run(self):
        with selectors.DefaultSelector() as selector:
            for _ in range(SOCKETS):
                self.add(selector)
            due, sent = time.monotonic(), 0.0
            while not self.over.is_set() or self.waiting(selector):
                now = time.monotonic()
                if not self.over.is_set() and now - due < 1:
                    sent += (now - due) * self.rate
                    while sent >= 1:
                        sent -= 1
                        self.ask(selector, self.choice.question(), 1)
                due = now
                for key, _ in selector.select(TICK):
                    self.read(key)
                self.expire(selector)

    def add(self, selector):
        plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        plain.setblocking(False)
        plain.connect(("127.0.0.1", self.node.listeners["udp"]))
        selector.register(plain, selectors.EVENT_READ, {})

    def waiting(self, selector):
        return any(key.data for key in selector.get_map().values())

    def ask(self, selector, question, attempt):
        key = self.choice.chance.choice(list(selector.get_map().values()))
        number = self.choice.chance.randrange(65536)
        if number in key.data:
            return
        key.data[number] = (question, time.monotonic(), attempt)
        try:
            key.fileobj.send(question.message(number, number & 1))
            self.truth.count("sent udp")
        except OSError:
            # Nobody listens there at the moment; it is asked anew later.
            return

    def read(self, key):
        for _ in range(64):
            try:
                message = key.fileobj.recv(65535)
            except BlockingIOError:
                return
            except OSError:
                continue
            number = struct.unpack_from("!H", message)[0] if len(message) > 12 else -1
            if number not in key.data:
                self.truth.count("late udp")
                continue
            question, begun, _ = key.data[number]
            if question.name == self.blind:
                continue
            del key.data[number]
            self.check(question, message, begun, "udp")

    def expire(self, selector):
        now = time.monotonic()
        for key in list(selector.get_map().values()):
            for number, (question, begun, attempt) in list(key.data.items()):
                if now - begun < self.patience:
                    break
                del key.data[number]
                if attempt < ATTEMPTS:
                    self.truth.count("asked again")
                    self.ask(selector, question, attempt + 1)
                else:
                    self.truth.lost(question, begun - self.patience * (ATTEMPTS - 1), "udp")


def trusting(directory):
    context = ssl.create_default_context(cafile=f"{directory}/dns.pem")
    return context


class Stream(Client):
    """Many questions of a connection at a time, over TCP or TLS; replies in any order."""

    transport = "tcp"

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.node.listeners["udp"]), PATIENCE)

    def run(self):
        while not self.over.is_set():
            questions = [self.choice.question() for _ in range(PIPELINE)]
            begun = time.monotonic()
            try:
                with self.connect() as stream:
                    stream.settimeout(3 * PATIENCE)
                    for _ in range(self.choice.chance.randrange(1, 20)):
                        begun = time.monotonic()
                        questions = [self.choice.question() for _ in range(PIPELINE)]
                        self.exchange(stream, questions, begun)
                        questions = []
                        self.over.wait(max(0.0, PIPELINE / self.rate - (time.monotonic() - begun)))
                        if self.over.is_set():
                            return
            except (OSError, EOFError) as error:
                # An idle connection may have been closed before anything was asked: no loss yet.
                if questions and not self.truth.down.touch(begun - 1, time.monotonic()):
                    self.truth.see("nothing lost", False, f"{self.transport}: {error!r} with {len(questions)} questions")
                self.over.wait(0.2)

    def exchange(self, stream, questions, begun):
        messages = [question.message(number, number & 1) for number, question in enumerate(questions)]
        stream.sendall(b"".join(struct.pack("!H", len(message)) + message for message in messages))
        self.truth.count(f"sent {self.transport}", len(questions))
        waiting = dict(enumerate(questions))
        while waiting:
            message = self.exactly(stream, struct.unpack("!H", self.exactly(stream, 2))[0])
            number = struct.unpack_from("!H", message)[0]
            if number not in waiting:
                raise EOFError(f"a reply with the id {number}")
            self.check(waiting.pop(number), message, begun, self.transport)

    @staticmethod
    def exactly(stream, count):
        read = b""
        while len(read) < count:
            more = stream.recv(count - len(read))
            if not more:
                raise EOFError("closed")
            read += more
        return read


class Secure(Stream):
    transport = "tls"

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", self.node.listeners["tls"]), PATIENCE)
        return trusting(self.node.directory).wrap_socket(plain, server_hostname="localhost")


class Web(Client):
    """DNS over HTTPS in HTTP/1.1, one question after the other."""

    transport = "https"

    def run(self):
        connection, last, context = None, 0.0, trusting(self.node.directory)
        while not self.over.is_set():
            question = self.choice.question()
            begun = time.monotonic()
            # Those that were idle for long, or that lived for long, may be closed by the server.
            if connection is None or begun - last > 3 or self.choice.chance.random() < 0.02:
                if connection:
                    connection.close()
                connection = http.client.HTTPSConnection(
                    "127.0.0.1", self.node.listeners["https"], timeout=3 * PATIENCE, context=context
                )
            try:
                connection.request("POST", "/dns-query", question.message(0, False), {"content-type": "application/dns-message"})
                self.truth.count("sent https")
                reply = connection.getresponse()
                body = reply.read()
                if reply.status != 200:
                    raise EOFError(f"status {reply.status}")
                self.check(question, body, begun, "https")
                last = time.monotonic()
            except (OSError, EOFError, http.client.HTTPException) as error:
                connection.close()
                connection = None
                if not self.truth.down.touch(begun - 1, time.monotonic()):
                    self.truth.see("nothing lost", False, f"https: {question.name}: {error!r}")
            self.over.wait(max(0.0, 1 / self.rate - (time.monotonic() - begun)))


def clients(truth, node, seed, rate):
    """Three quarters over UDP."""
    shares = [(Datagrams, 0.75), (Stream, 0.06), (Stream, 0.06), (Secure, 0.05), (Secure, 0.05), (Web, 0.03)]
    return [kind(truth, node, seed + number, rate * share) for number, (kind, share) in enumerate(shares)]
