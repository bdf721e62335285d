"""What the medians are held against. Each target is a ratio of two medians of one group, or a figure, and the most (or the
least) that it may be."""

from accounts import name as login
from core import ALGORITHMS, HAPROXY_ALGORITHMS, NEW, ONE, ROTATED, name
from report import median


class Target:
    """One line of the list of targets: `figure(results)` is None where something was not measured."""

    def __init__(self, title, figure, bound, least=False, digits=2):
        self.title, self.figure, self.bound, self.least, self.digits = title, figure, bound, least, digits

    def line(self, results):
        """The target as a row of a Markdown table."""
        figure = self.figure(results)
        bound = f"{'≥' if self.least else '≤'} {self.bound}"
        if figure is None:
            return f"| {self.title} | {bound} | | not measured |"
        met = figure >= self.bound if self.least else figure <= self.bound
        return f"| {self.title} | {bound} | {figure:.{self.digits}f} | {'met' if met else '**missed**'} |"


class Fact(Target):
    """What stands beside a target, and is none."""

    def __init__(self, title, figure, digits=2):
        super().__init__(title, figure, None, digits=digits)

    def line(self, results):
        """The figure, and no verdict."""
        figure = self.figure(results)
        return f"| {self.title} | | {'' if figure is None else f'{figure:.{self.digits}f}'} | |"


def ratio(group, ours, theirs, key="cpu_us"):
    """One median over the other; of several others, over the least."""
    theirs = [theirs] if isinstance(theirs, str) else theirs

    def figure(results):
        above = median(results, group, ours, key)
        below = [median(results, group, one, key) for one in theirs]
        return None if above is None or None in below else above / min(below)

    return figure


def value(group, candidate, key):
    """A median as it is."""
    return lambda results: median(results, group, candidate, key)


def difference(group, more, less, key):
    """One median less the other."""

    def figure(results):
        above, below = (median(results, group, one, key) for one in (more, less))
        return None if above is None or below is None else above - below

    return figure


def growth(group, candidate):
    """The most memory while something went on, less that before, in MB."""

    def figure(results):
        most, before = (median(results, group, candidate, key) for key in ("most_mb", "before_mb"))
        return None if most is None or before is None else most - before

    return figure


def _core():
    peers = ratio("core", "Doorward public", ["HAProxy", "nginx"])
    yield Target("public route, CPU against the better of HAProxy and nginx", peers, 0.95)
    for algorithm in ALGORITHMS:
        for kind in (ONE, ROTATED):
            title = f"{algorithm}, {kind}, CPU against our public route"
            yield Target(title, ratio("core", name("Doorward", algorithm, kind), "Doorward public"), 1.06)
    for algorithm, most in zip(HAPROXY_ALGORITHMS, (0.18, 0.35, 0.75)):
        for kind, bound in ((ONE, most), (ROTATED, most), (NEW, 0.8)):
            figure = ratio("core", name("Doorward", algorithm, kind), name("HAProxy", algorithm, kind))
            yield Target(f"{algorithm}, {kind}, CPU against HAProxy", figure, bound)
    new, seen = (name("Doorward", "EdDSA", kind) for kind in (NEW, ONE))
    yield Fact("EdDSA: CPU µs of a new token beyond one seen before", difference("core", new, seen, "cpu_us"))
    yield Fact("EdDSA: CPU µs of a verification alone", value("verify", "verify EdDSA", "cpu_us"))


def _growth():
    for group, more, fewer in (
        ("routes", "1,000 routes", "2 routes"),
        ("blocked", "1,000,000 blocked tokens", "0 blocked tokens"),
        ("cached", "100,000 cached tokens", "1 cached token"),
    ):
        yield Target(f"{more}, CPU against {fewer}", ratio(group, f"Doorward, {more}", f"Doorward, {fewer}"), 1.1)
    title = "requests that two workers' processor time is enough for, against one"
    yield Target(f"Doorward: {title}", _workers("Doorward public"), 1.8, least=True)
    for product in ("HAProxy", "nginx"):
        yield Fact(f"{product}: {title}", _workers(product))


def _workers(product):
    return ratio("two-cores", f"{product}, 2 workers", f"{product}, 1 worker", "capacity")


def _latency():
    for kind in ("same rate", "own half"):
        for product in ("Doorward public", "Doorward EdDSA, one token"):
            figure = ratio("half-load", f"{product}, {kind}", f"HAProxy, {kind}", "p99_ms")
            yield Target(f"half load, {kind}: p99 of {product} against HAProxy", figure, 1.2)
    figure = difference("bcrypt", "Doorward, 60 logins at once", "Doorward, no logins", "p99_ms")
    yield Target("60 logins at once: ms of p99 above that without", figure, 20)


def _memory():
    yield Target("idle: RSS in MB", value("start", "Doorward", "rss_mb"), 25)
    yield Target("idle connection: KiB", value("idle", "Doorward public", "kib_per_connection"), 9)
    yield Target("idle connection over TLS: KiB", value("idle-tls", "Doorward public", "kib_per_connection"), 40)
    for direction in ("download", "upload"):
        ours, theirs = f"Doorward public, {direction}", f"HAProxy, {direction}"
        yield Target(f"{direction} of 10 GB: MB that memory grows by", growth("huge", ours), 10)
        yield Target(f"{direction} of 10 GB: rate against HAProxy", ratio("huge", ours, theirs, "mb_per_s"), 1, least=True)


def _logins():
    def figure(results):
        at4, at5 = (median(results, "accounts", login("MariaDB", "logins", cost), "cpu_ms") for cost in (4, 5))
        return None if at4 is None or at5 is None else 2 * at4 - at5

    yield Target("MariaDB: CPU ms of a login beside bcrypt", figure, 1)


def targets():
    """All of them."""
    return [*_core(), *_growth(), *_latency(), *_memory(), *_logins()]


def table(results):
    """The targets as a Markdown table."""
    lines = ["| target | bound | measured | |", "|---|---:|---:|---|"]
    return "\n".join(lines + [target.line(results) for target in targets()])
