"""What is measured, in words: groups of candidates that are compared with each other, and the columns of their tables."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """One figure of a row: its name in the raw rows, its title, and how many digits follow the point."""

    key: str
    title: str
    digits: int = 1


@dataclass(frozen=True)
class Candidate:
    """One line of a table. `measure` makes one round: a dictionary of figures."""

    name: str
    measure: Callable[[], dict]


@dataclass(frozen=True)
class Group:
    """Candidates that are measured in the same rounds, one after the other."""

    name: str
    title: str
    about: str
    columns: tuple[Column, ...]
    candidates: list[Candidate] = field(default_factory=list)
    #: For what is slow and steady: no more rounds than these.
    most_rounds: int | None = None


#: The columns of what is measured under load.
LOAD = (
    Column("cpu_us", "CPU µs/request"),
    Column("rps", "requests/s", 0),
    Column("p50_ms", "p50 ms", 2),
    Column("p99_ms", "p99 ms", 2),
    Column("p999_ms", "p99.9 ms", 2),
    Column("rss_mb", "RSS MB"),
)
