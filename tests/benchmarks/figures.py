"""Statistics of samples: medians and quartiles, ratios made pair by pair, geometric means."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Samples:
    """Measurements of one contender, round by round."""

    values: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])
    """User and system seconds of it and its children; empty where nobody looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One question, and what each contender has to say to it."""

    title: str
    samples: Mapping[str, Samples]
    base: str
    """The contender that is 1."""
    unit: str = "s"
    counts: bool = True
    """Whether it is part of the geometric mean."""

    def ratio(self, name: str) -> float:
        """Return how much a contender takes for each unit that the base takes."""
        return median_ratio(self.samples[name].values, self.samples[self.base].values)

    def cpu_ratio(self, name: str) -> float | None:
        """Return the same of processor time."""
        own, base = self.samples[name].cpu, self.samples[self.base].cpu
        return median_ratio(own, base) if own and all(base) and base else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of one benchmark."""

    name: str
    title: str
    rows: Sequence[Row] = ()
    notes: Sequence[str] = ()
    """Remarks for the reader, such as why something was left out."""

    def means(self) -> dict[str, float]:
        """Return each contender's geometric mean of ratios, if all rows have one base and unit."""
        rows = [row for row in self.rows if row.counts]
        if len({(row.base, row.unit) for row in rows}) != 1:
            return {}
        names = [name for name in rows[0].samples if all(name in row.samples for row in rows)]
        return {name: geometric_mean(row.ratio(name) for row in rows) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far apart samples are."""

    least: float
    lower: float
    median: float
    upper: float
    most: float


def median_ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the ratios of each round, not the ratio of medians."""
    return statistics.median(a / b for a, b in zip(values, base, strict=True))


def geometric_mean(ratios: Iterable[float]) -> float:
    """Return the mean that does not depend on which contender is 1."""
    logarithms = [math.log(ratio) for ratio in ratios]
    return math.exp(statistics.fmean(logarithms))


def spread(values: Sequence[float]) -> Spread:
    """Return least, quartiles and most."""
    several = values if len(values) > 1 else [*values, *values]
    lower, median, upper = statistics.quantiles(several, n=4, method="inclusive")
    return Spread(least=min(values), lower=lower, median=median, upper=upper, most=max(values))
