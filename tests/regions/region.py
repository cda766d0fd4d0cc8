"""One region: a node of the program in a namespace, the commands to it and the questions."""

import json
import os
import re
import signal
import subprocess
import time

DNS_PORT = 53
PEER_PORT = 5400
# A node that takes longer does not start at all.
START_PATIENCE = 20.0
# Above what `kedge` itself waits for a decision, and a lost round more.
COMMAND_PATIENCE = 40.0
LOOK_EVERY = 0.02


class Failed(Exception):
    """An action did not do what it must."""


class Ran:
    """What a command came to."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def words(self):
        return " ".join((self.out + " " + self.err).split())


def until(what, patience, look):
    """Looks again and again until there is something; gives it."""
    end = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {patience:g} s")
        time.sleep(LOOK_EVERY)


class Region:
    def __init__(self, name, network, directory, kedge):
        self.name = name
        self.network = network
        self.address = network.address[name]
        self.home = os.path.join(directory, name)
        self.kedge = kedge
        self.process = None
        self.hangs = False
        self.id = None
        self.key = None
        os.makedirs(os.path.join(self.home, "data", "keys"))

    def path(self, file):
        return os.path.join(self.home, file)

    def configure(self, others):
        lines = [
            f'[node]\nregion = "{self.name}"',
            f'[listen]\ndns = ["{self.address}:{DNS_PORT}"]\npeers = ["{self.address}:{PEER_PORT}"]',
            "[demo]\nenabled = false\n[legacy]\nupstreams = []",
        ]
        for other in others:
            lines.append(
                f'[[peer]]\nname = "{other.name}"\nregion = "{other.name}"\n'
                f'id = "{other.id}"\naddresses = ["{other.address}:{PEER_PORT}"]'
            )
        with open(self.path("kedge.toml"), "w") as file:
            file.write("\n".join(lines) + "\n")

    # The process.

    def start(self):
        """Serves; gives after how many seconds."""
        command = [self.kedge, "--config", "kedge.toml", "serve"]
        begun = time.monotonic()
        with open(self.path("log"), "ab") as log:
            from_here = log.tell()
            self.process = subprocess.Popen(
                self.network.inside(self.name, *command),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                # Ctrl-C is for us.
                start_new_session=True,
            )

        def is_ready():
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended: {self.said(from_here)[-300:]}")
            return "kedge: ready" in self.said(from_here)

        until(f"{self.name} is ready", START_PATIENCE, is_ready)
        return time.monotonic() - begun

    def said(self, offset=0):
        with open(self.path("log"), "rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def is_dark(self):
        return self.process is None or self.hangs

    def kill(self):
        """Ends it as a power cut does."""
        self.end(signal.SIGKILL)

    def hang(self):
        """It is there, and does nothing."""
        self.process.send_signal(signal.SIGSTOP)
        self.hangs = True

    def wake(self):
        """Brings it back, whatever happened to it; gives the seconds of a start."""
        if self.process is None:
            return self.start()
        if self.hangs:
            self.process.send_signal(signal.SIGCONT)
            self.hangs = False
        return None

    def end(self, how=signal.SIGTERM):
        if self.process is None:
            return
        self.wake()
        self.process.send_signal(how)
        try:
            self.process.wait(COMMAND_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    # Commands and questions.

    def run(self, *words):
        command = [self.kedge, "--config", "kedge.toml", *words]
        done = subprocess.run(
            command,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_PATIENCE,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def good(self, *words):
        ran = self.run(*words)
        if ran.code != 0:
            raise Failed(f"{self.name}: kedge {' '.join(words[:3])}: {ran.words()[:200]}")
        return ran.out

    def json(self, *words):
        return json.loads(self.good("--json", *words))

    def committed(self, *words):
        """A change that must be in force when the command ends."""
        out = self.good(*words)
        if not out.startswith("committed"):
            raise Failed(f"{self.name}: {' '.join(out.split())[:200]}")

    def pending(self, *words):
        """A change that must wait; gives its identifier."""
        out = self.good(*words)
        found = re.search(r"proposal ([0-9a-f]{16,})", out)
        if not out.startswith("pending") or not found:
            raise Failed(f"{self.name}: {' '.join(out.split())[:200]}")
        return found[1]

    def dig(self, name):
        """The reply's code, its flags and its addresses."""
        server = ["@" + self.address, "-p", str(DNS_PORT)]
        options = ["+tries=1", "+time=2", "+noall", "+comments", "+answer"]
        command = self.network.inside(self.name, "dig", *server, name, "A", *options)
        out = subprocess.run(command, capture_output=True, text=True).stdout
        status = re.search(r"status: (\w+)", out)
        flags = re.search(r"flags: ([a-z ]*);", out)
        addresses = sorted(re.findall(r"\sA\s+([\d.]+)\s*$", out, re.M))
        return (status[1] if status else "no reply", flags[1] if flags else "", addresses)

    def answers(self, name, address, patience=0.0):
        """The region's own server must answer with that address, with authority."""

        def look():
            seen[:] = [self.dig(name)]
            status, flags, addresses = seen[0]
            return status == "NOERROR" and "aa" in flags.split() and addresses == [address]

        seen = [None]
        try:
            until(name, patience, look)
        except Failed as error:
            raise Failed(f"{self.name}: {name} is {seen[0]}, not {address}") from error

    def resolves(self, name, address, patience=0.0):
        """The region's own server must have an answer, its own or learned, fresh or stale."""
        until(f"{self.name}: {name}", patience, lambda: self.dig(name)[2] == [address])

    # What the others see of it.

    def connected(self):
        return {peer["name"] for peer in self.json("nodes") if peer["connected"]}

    def scope(self, scope):
        return self.json("scope", "show", scope)
