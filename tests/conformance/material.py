"""Where the scenarios are: in a crate that Cargo has fetched, and in Debian source packages."""

import glob
import os
import subprocess
import tomllib

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Source, and what it is called in Debian.
PACKAGES = {"unbound": "unbound", "knot": "knot-resolver"}
# What names of scenarios do without.
PREFIXES = ("test-data/", "testdata/", "tests/integration/deckard/sets/", "tests/integration/")


class Missing(Exception):
    """A source is not to be had here."""


def crate():
    """Where Cargo unpacked the crate `domain` of the version that Cargo.lock names."""
    with open("Cargo.lock", "rb") as file:
        packages = tomllib.load(file)["package"]
    versions = [package["version"] for package in packages if package["name"] == "domain"]
    home = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
    for version in versions:
        if found := glob.glob(os.path.join(home, "registry", "src", "*", f"domain-{version}")):
            return found[0]
    raise Missing(f"the crate domain {' '.join(versions)} is not in {home}: cargo fetch")


def fetched(package, directory):
    """The unpacked source of a Debian package; fetched if it is not there yet."""
    home = os.path.join(directory, package)
    if found := glob.glob(os.path.join(home, "*/")):
        return found[0]
    if not os.path.exists(KEYRING):
        raise Missing(f"{package}: no {KEYRING}, so packages of Debian cannot be checked")
    apt = os.path.join(directory, "apt")
    for part in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(apt, part), exist_ok=True)
    os.makedirs(home, exist_ok=True)
    with open(os.path.join(apt, "list.sources"), "w") as file:
        file.write(f"Types: deb-src\nURIs: {MIRROR}\nSuites: {SUITE}\nComponents: main\nSigned-By: {KEYRING}\n")
    options = {
        "Dir::Etc::sourcelist": os.path.join(apt, "list.sources"),
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": os.path.join(apt, "lists"),
        "Dir::Cache": os.path.join(apt, "cache"),
        "APT::Sandbox::User": "root",
        "Acquire::Retries": "2",
        # Where there is no network, that is soon known.
        "Acquire::http::Timeout": "20",
    }
    apt_get = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    steps = [[*apt_get, "update"], [*apt_get, "source", "--download-only", package]]
    try:
        for step in steps:
            subprocess.run(step, cwd=home, capture_output=True, text=True, check=True)
        tar = glob.glob(os.path.join(home, "*.orig.tar.*[xg]z"))[0]
        subprocess.run(["tar", "-xf", tar], cwd=home, capture_output=True, text=True, check=True)
        return glob.glob(os.path.join(home, "*/"))[0]
    except subprocess.CalledProcessError as error:
        raise Missing(f"{package}: {' '.join(error.cmd[-2:])}: {error.stderr.strip()[-200:]}") from error
    except (OSError, IndexError) as error:
        raise Missing(f"{package}: apt-get source: {error}") from error


def expect(directory, version):
    """Other versions have other scenarios, of which nothing is written."""
    found = os.path.basename(directory.rstrip("/")).rpartition("-")[2]
    if version is not None and found != version:
        raise Missing(f"{directory} is version {found}; what is written is of {version}")


def scenarios(directory):
    """Names and files."""
    found = {}
    # Links to directories are not followed: what they show has a place of its own.
    paths = [os.path.join(home, file) for home, _, files in os.walk(directory) for file in files]
    for path in sorted(path for path in paths if path.endswith(".rpl")):
        name = os.path.relpath(path, directory)[: -len(".rpl")]
        for prefix in PREFIXES:
            if name.startswith(prefix):
                name = name[len(prefix) :]
                break
        found[name] = path
    if not found:
        raise Missing(f"{directory} has no scenarios")
    return found
