"""Rebuild `guardrails/pii/data/suffixes.txt` from an installed tldextract's snapshot: `python tools/pii_suffixes.py`.

tldextract (needed by this script only) carries the Public Suffix List as it was at its release; we keep the ICANN
section, which is all that an e-mail address or a host name is checked against.
"""

from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "guardrails" / "pii" / "data" / "suffixes.txt"


def main() -> None:
    snapshot = files("tldextract").joinpath(".tld_set_snapshot").read_text("utf-8")
    section = snapshot.partition("===BEGIN ICANN DOMAINS===")[2].partition("// ===END ICANN DOMAINS===")[0]
    rules = sorted({line.strip() for line in section.split("\n")[1:] if line.strip() and not line.startswith("//")})
    head = [
        "// ICANN section of the Public Suffix List, https://publicsuffix.org/list/ (comments removed, sorted).",
        "// This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of the MPL",
        "// was not distributed with this file, You can obtain one at https://mozilla.org/MPL/2.0/.",
        f"// From the snapshot in tldextract {version('tldextract')}, by tools/pii_suffixes.py.",
    ]
    TARGET.write_text("\n".join([*head, *rules]) + "\n", "utf-8")
    print(f"{len(rules)} rules")  # noqa: T201


if __name__ == "__main__":
    main()
