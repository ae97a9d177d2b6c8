"""How much the loader posts in one transaction: so much as keeps SQLite's write lock for a tenth of a second.

The loader runs at the lowest priority. On a machine whose processors are all taken it gets a hundredth of one, and what
is posted in a tenth of a second at other times then holds the lock for ten, while somebody waits to set a kill switch.
"""

TARGET_SECONDS = 0.1
LEAST, FIRST = 16 * 1024, 32 * 1024
"""Bytes of the journal, about 1 KB an event. Less is hardly sooner done: a transaction has costs of its own."""


class Pace:
    """Sizes of one loader's transactions, `most` bytes of the journal at a time.

    `fixed`: always the same, where nobody waits for the locks of a loader.
    """

    def __init__(self, most: int, *, fixed: bool = False) -> None:
        self._highest = most
        self._fixed = fixed
        self.most = most if fixed else min(FIRST, most)

    def took(self, size: int, seconds: float) -> None:
        """A transaction with `size` bytes held its lock for `seconds`: the next is smaller at once, or up to twice as
        large."""
        if self._fixed or not size:
            return
        fitting = int(size * TARGET_SECONDS / max(seconds, 1e-6))
        if seconds > TARGET_SECONDS:
            self.most = max(min(self.most, fitting), LEAST)
        elif size > self.most // 2:
            self.most = min(self.most * 2, max(fitting, self.most), self._highest)
