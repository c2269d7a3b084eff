"""Holds the list of what is in the image to what was built: the crates of Cargo.lock that the service is
made of, the packages of the pages, and the base's. A scanner can warn only of what it finds there.

scripts/image-test calls it with the list (CycloneDX) that syft read from the image.
"""

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Some of each, near and far: what checks passwords, reads requests, signs; SQLite's source is in its crate.
CRATES = {"readdress", "readdress-migrations", "argon2", "hyper", "jsonwebtoken", "libsqlite3-sys", "poem", "ring"}
PAGES = {"react", "react-dom", "scheduler", "@tanstack/react-query"}
BASE = {"libc6", "libgcc-s1"}


def main(file):
    kinds = defaultdict(lambda: defaultdict(set))
    for component in json.loads(Path(file).read_text(encoding="utf-8"))["components"]:
        kind = component.get("purl", "").removeprefix("pkg:").split("/")[0]
        kinds[kind][component["name"]].add(component.get("version"))
    for kind, names in {"cargo": CRATES, "npm": PAGES, "deb": BASE}.items():
        missing = names - kinds[kind].keys()
        assert not missing, f"not in the list, of {kind}: {', '.join(sorted(missing))}"

    lock = (ROOT / "Cargo.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r'name = "(.+)"\nversion = "(.+)"', lock))
    listed = {(name, version) for name, versions in kinds["cargo"].items() for version in versions}
    assert listed <= locked, f"not in Cargo.lock: {listed - locked}"
    # Tools of tests and builds stay out.
    assert "criterion" not in kinds["cargo"] and "vite" not in kinds["npm"]
    crates, npm, debian = (len(kinds[kind]) for kind in ["cargo", "npm", "deb"])
    print(f"The image tells what is inside: {crates} crates, {npm} npm and {debian} Debian packages.")


if __name__ == "__main__":
    main(*sys.argv[1:])
