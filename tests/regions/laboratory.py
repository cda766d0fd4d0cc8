"""What the commands of this directory share: namespaces, a mesh in them, and an end of both."""

import os
import shutil
import signal
import sys
import tempfile

from mesh import REGIONS, WITNESS, Mesh
from network import Network, Unable
from region import Failed

# As other programs say that a test was not run.
SKIPPED = 77
INTERRUPTED = 130
PACKAGES = {"ip": "iproute2", "nft": "nftables", "dig": "bind9-dnsutils"}


def say(words):
    print(words, file=sys.stderr, flush=True)


def head(*columns):
    row(*columns)
    print("|" + "---|" * len(columns), flush=True)


def row(*cells):
    print(f"| {' | '.join(cells)} |", flush=True)


def duration(seconds):
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def stop(number, frame):
    raise KeyboardInterrupt


class Laboratory:
    """Runs something with a mesh; whatever ends it, what was made goes."""

    @staticmethod
    def parse(parser):
        parser.add_argument("--keep", help="a directory for data and logs, which stay", metavar="DIRECTORY")
        parser.add_argument("--kedge", default=os.environ.get("KEDGE", "target/debug/kedge"), metavar="FILE")
        return parser.parse_args()

    def __init__(self, arguments):
        self.kept = arguments.keep
        self.kedge = os.path.realpath(arguments.kedge)

    def run(self, work):
        """`work` gets the mesh and its network, and gives a list of faults. Gives an exit code."""
        # Tools of the system are where ordinary users do not look.
        os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
        if not os.access(self.kedge, os.X_OK):
            say(f"{self.kedge} is missing: cargo build --bin kedge, or --kedge FILE")
            return 1
        if missing := [package for tool, package in PACKAGES.items() if shutil.which(tool) is None]:
            say(f"skipped: nothing was tried without these Debian packages: {' '.join(missing)}")
            return SKIPPED
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, stop)
        try:
            return self._within(work)
        except Unable as error:
            say(f"skipped: this needs to make network namespaces (root, or CAP_SYS_ADMIN and CAP_NET_ADMIN): {error}")
            return SKIPPED
        except KeyboardInterrupt:
            return INTERRUPTED

    def _within(self, work):
        directory = os.path.realpath(self.kept) if self.kept else tempfile.mkdtemp(prefix="kedge-regions-")
        network, mesh = Network([*REGIONS, WITNESS]), None
        try:
            network.make()
            mesh = Mesh(network, directory, self.kedge)
            say(f"three regions and a witness in {directory}")
            mesh.build()
            faults = work(mesh, network)
        except Failed as error:
            faults = [str(error)]
        finally:
            if mesh is not None:
                mesh.kill()
            network.remove()
            if not self.kept:
                shutil.rmtree(directory, ignore_errors=True)
        for fault in faults:
            say(f"✗ {fault}")
        return 1 if faults else 0
