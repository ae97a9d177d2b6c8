"""A mergeable histogram of durations with bounded relative error, in the manner of HdrHistogram.

Values are whole microseconds. Below 256 every value has its own bucket; above, every power of two is divided into 128
buckets, so a reported percentile is at most 1/128 (0.8 %) above the exact one and never below it. Merging adds counts,
hence percentiles of merged histograms are those of all values together. Method: http://hdrhistogram.org.
"""

import math

import msgspec

_EXACT = 256


def bucket_of(value: int) -> int:
    """Index of the bucket that holds `value` microseconds."""
    if value < _EXACT:
        return max(0, value)
    shift = value.bit_length() - 8
    return (shift << 7) + (value >> shift)


def highest_in(bucket: int) -> int:
    """The largest value, in microseconds, that falls into a bucket."""
    if bucket < _EXACT:
        return bucket
    shift = (bucket >> 7) - 1
    return ((bucket - (shift << 7) + 1) << shift) - 1


class Histogram(msgspec.Struct):
    """Counts per bucket; count, sum, least and greatest are exact."""

    counts: dict[int, int] = msgspec.field(default_factory=dict[int, int])
    count: int = 0
    total: int = 0
    least: int = 0
    greatest: int = 0

    def record(self, seconds: float) -> None:
        """Count one duration; negative ones count as zero."""
        value = int(seconds * 1e6 + 0.5) if seconds > 0 else 0
        bucket = bucket_of(value)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        if self.count == 0 or value < self.least:
            self.least = value
        if value > self.greatest:
            self.greatest = value
        self.count += 1
        self.total += value

    def merge(self, other: "Histogram") -> None:
        """Add the counts of `other`."""
        if other.count == 0:
            return
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.least = other.least if self.count == 0 else min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)
        self.count += other.count
        self.total += other.total

    def percentile(self, percent: float) -> int:
        """The smallest recorded microseconds that at least `percent` of all values do not exceed; 0 if empty."""
        rank = max(1, math.ceil(percent / 100 * self.count))
        for bucket in sorted(self.counts):
            rank -= self.counts[bucket]
            if rank <= 0:
                return min(highest_in(bucket), self.greatest)
        return self.greatest

    def curve(self) -> list[tuple[float, int]]:
        """(share of values not above, microseconds) at every filled bucket: the percentile curve."""
        points: list[tuple[float, int]] = []
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            points.append((seen / self.count, min(highest_in(bucket), self.greatest)))
        return points

    @property
    def mean(self) -> float:
        """Exact mean in microseconds."""
        return self.total / self.count if self.count else 0.0
