"""Rebuild `pricing/vocab/*.tiktoken.zz` from the npm package `js-tiktoken` (MIT): `python tools/build_vocab.py`.

js-tiktoken keeps each vocabulary as lines `! offset token token …` (base64 tokens, ranks counting up from the offset).
Unrolled and sorted by rank, as `token rank` lines, they are byte for byte the text that tiktoken downloads, which is
checked against the SHA-256 that tiktoken itself expects. Needs `npm` on the path; uses only npm's configured registry.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import zlib
from pathlib import Path

PACKAGE = "js-tiktoken@1.0.21"
EXPECTED = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
TARGET = Path(__file__).resolve().parent.parent / "pricing" / "vocab"


def ranks_text(script: str) -> bytes:
    """The `token rank` lines of one js-tiktoken ranks module (`export default {…};`)."""
    data = json.loads(script[script.index("{") : script.rindex("}") + 1])
    by_rank: dict[int, str] = {}
    for line in filter(None, data["bpe_ranks"].split("\n")):
        _, offset, *tokens = line.split(" ")
        by_rank.update(enumerate(tokens, start=int(offset)))
    return "".join(f"{by_rank[rank]} {rank}\n" for rank in sorted(by_rank)).encode("ascii")


def fetch(into: Path) -> Path:
    """The package's tarball, by npm."""
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=into, check=True, stdout=subprocess.DEVNULL)  # noqa: S603,S607
    return next(into.glob("js-tiktoken-*.tgz"))


def build(tarball: Path, target: Path) -> None:
    """Write every vocabulary of `EXPECTED` into `target`; exits with a message when a hash is not what it must be."""
    with tarfile.open(tarball) as archive:
        for name, expected in EXPECTED.items():
            member = archive.extractfile(f"package/dist/ranks/{name}.js")
            if member is None:
                sys.exit(f"{tarball.name} has no ranks of {name}")
            text = ranks_text(member.read().decode("utf-8"))
            actual = hashlib.sha256(text).hexdigest()
            if actual != expected:
                sys.exit(f"{name}: SHA-256 is {actual}, tiktoken expects {expected}; nothing written")
            packed = zlib.compress(text, 9)
            (target / f"{name}.tiktoken.zz").write_bytes(packed)
            sys.stdout.write(f"{name}: {len(text)} bytes, {len(packed)} packed, SHA-256 as tiktoken expects\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tarball", type=Path, help="a js-tiktoken .tgz already at hand, instead of asking npm")
    parser.add_argument("--target", type=Path, default=TARGET, help="directory to write to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        build(options.tarball or fetch(Path(scratch)), options.target)


if __name__ == "__main__":
    main()
