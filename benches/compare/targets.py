"""What the medians are held against. Each target is a ratio of two medians of one group, or a figure, and the most (or the
least) that it may be."""

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


def ratio(group, ours, theirs, key="cpu_us"):
    """One median over the other; of several others, over the least."""
    theirs = [theirs] if isinstance(theirs, str) else theirs

    def figure(results):
        above = median(results, group, ours, key)
        below = [median(results, group, one, key) for one in theirs]
        return None if above is None or None in below else above / min(below)

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


def targets():
    """All of them."""
    return [*_core()]


def table(results):
    """The targets as a Markdown table."""
    lines = ["| target | bound | measured | |", "|---|---:|---:|---|"]
    return "\n".join(lines + [target.line(results) for target in targets()])
