"""What is not applied, and what is known to fail, with the reasons."""

import fnmatch
import os
import tomllib

OUT, FAILS = "not-applied", "fails"


class Table:
    """The reasons for the scenarios of one source."""

    def __init__(self, source):
        path = os.path.join(os.path.dirname(os.path.realpath(__file__)), f"{source}.toml")
        with open(path, "rb") as file:
            rows = tomllib.load(file)
        self.rows = [(standing, row) for standing in (OUT, FAILS) for row in rows.get(standing, [])]
        # Of Debian packages; that of the crate stands in Cargo.lock.
        self.version = rows.get("version")
        self.used = set()

    def standing(self, name):
        """`not-applied` or `fails` with the reason, or nothing at all."""
        # A name counts before a pattern.
        for exact in (True, False):
            for standing, row in self.rows:
                for pattern in row["names"]:
                    if pattern == name if exact else fnmatch.fnmatchcase(name, pattern):
                        self.used.add(pattern)
                        return standing, row["reason"]
        return None

    def idle(self):
        """Names and patterns that no scenario has."""
        return [pattern for _, row in self.rows for pattern in row["names"] if pattern not in self.used]

    def faults(self):
        names = [name for _, row in self.rows for name in row["names"]]
        twice = {name for name in names if names.count(name) > 1}
        return [f"{name} is listed twice" for name in sorted(twice)]
