"""Whether a host name ends in a public suffix and has a name of its own before it.

The list is the ICANN section of the Public Suffix List (publicsuffix.org, MPL-2.0), one rule a line, frozen in
`data/suffixes.txt` by `tools/pii_suffixes.py`. Nothing is ever fetched: a gateway must not call out while it judges.
"""

from importlib.resources import files


class Suffixes:
    """The list, read once."""

    def __init__(self) -> None:
        text = files("guardrails.pii").joinpath("data").joinpath("suffixes.txt").read_text("utf-8")
        rules = [line for line in text.split("\n") if line and not line.startswith("//")]
        self.rules = frozenset(rules)
        self.top = frozenset(rule.rpartition(".")[2] for rule in rules)
        """Top-level domains, IDN ones as Unicode and as `xn--`."""
        self.deep = frozenset(rule.rpartition(".")[2] for rule in rules if "." in rule)
        """Those with suffixes of more than one label below them."""
        self.top |= {f"xn--{rule.encode('punycode').decode('ascii')}" for rule in self.top if not rule.isascii()}

    def registrable(self, host: str) -> bool:
        """Whether the host has a known public suffix and a label before it. Case does not matter."""
        host = host.lower()
        labels = host.split(".")
        if "xn--" in host:
            labels = [self._label(label) for label in labels]
        if labels[-1] not in self.top:
            return False
        if labels[-1] not in self.deep:
            return len(labels) > 1 and bool(labels[-2])
        longest = 1
        for count in range(2, len(labels) + 1):
            suffix = ".".join(labels[-count:])
            parent = suffix.partition(".")[2]
            if f"!{suffix}" in self.rules:
                longest = count - 1
                break
            if suffix in self.rules or f"*.{parent}" in self.rules:
                longest = count
            elif count > 5:
                break  # no rule has more labels
        return len(labels) > longest and bool(labels[-longest - 1])

    @staticmethod
    def _label(label: str) -> str:
        """A label of an internationalized name as the list writes it."""
        if not label.startswith("xn--"):
            return label
        try:
            return label[4:].encode("ascii").decode("punycode")
        except (UnicodeError, ValueError):
            return label
