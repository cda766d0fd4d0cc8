"""Kedge, started for one scenario and ended after it."""

import mmap
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import dns.exception
import dns.flags
import dns.message
import dns.query

from settings import LISTEN

# A node that takes longer does not start at all.
START_PATIENCE = 20.0
# Above `legacy.deadline-ms`, 4500 by default.
ANSWER_PATIENCE = 7.0
READY = b"kedge: ready"


class Unstarted(Exception):
    """The node did not start."""


class Node:
    def __init__(self, kedge, clock, files, date):
        self.home = tempfile.mkdtemp(prefix="kedge-conformance-")
        for name, text in files.items():
            with open(os.path.join(self.home, name), "w") as file:
                file.write(text)
        self.elapsed = 0
        self.off = 0 if date is None else date - int(time.time())
        self.clock_file = open(os.path.join(self.home, "clock"), "w+b")
        self.clock_file.write(struct.pack("=qq", self.off, 0))
        self.clock_file.flush()
        self.clock = mmap.mmap(self.clock_file.fileno(), 16)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KEDGE_")}
        environment |= {"RUST_BACKTRACE": "0", "LD_PRELOAD": clock, "KEDGE_CLOCK": self.clock_file.name}
        self.log = open(os.path.join(self.home, "log"), "w+b")
        self.process = subprocess.Popen(
            [kedge, "--config", "kedge.toml", "serve"],
            cwd=self.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def wait(self):
        end = time.monotonic() + START_PATIENCE
        while READY not in self.said():
            if self.process.poll() is not None:
                raise Unstarted(self.said().decode(errors="replace")[-400:])
            if time.monotonic() > end:
                raise Unstarted("not ready in time")
            time.sleep(0.02)

    def said(self):
        with open(os.path.join(self.home, "log"), "rb") as log:
            return log.read()

    def let_pass(self, seconds):
        self.elapsed += seconds
        self.clock[8:16] = struct.pack("=q", self.elapsed)

    def ask(self, query, source=None, over_tcp=False):
        """The answer, over TCP where UDP does not hold it; none if none comes."""
        where = {"where": LISTEN[0], "port": LISTEN[1], "timeout": ANSWER_PATIENCE, "source": source}
        try:
            if over_tcp:
                return dns.query.tcp(query, **where)
            answer = dns.query.udp(query, **where, ignore_unexpected=True)
            return dns.query.tcp(query, **where) if answer.flags & dns.flags.TC else answer
        except (dns.exception.DNSException, OSError):
            return None

    def end(self):
        self.process.kill()
        self.process.wait()
        self.clock.close()
        self.clock_file.close()
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)
