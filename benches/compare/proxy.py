"""A proxy that runs, and what a round under load says of it."""

from dataclasses import dataclass

from process import Process


@dataclass
class Proxy:
    """What is measured. Without a process it is the upstream itself: nothing is between it and the load."""

    port: int
    process: Process | None = None
    #: Another process that works for it, which is told of apart (an authentication service).
    service: Process | None = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (self.process, self.service):
            if process:
                process.stop()


def under_load(proxy, load, seconds, warm_up=None, warm_seconds=1):
    """One round: first a second or more that do not count, then so many that do. A row of figures."""
    warm = (warm_up or load).run(proxy.port, warm_seconds)
    # Tokens that are said to have been seen before have been.
    while not warm_up and not load.once and warm.get("tokens_sent", 0) < warm.get("tokens_made", 0):
        warm_seconds *= 2
        warm = load.run(proxy.port, warm_seconds)
    before, service_before = _cpu(proxy.process), _cpu(proxy.service)
    row = load.run(proxy.port, seconds)
    requests = max(1, row["requests"])
    row["rps"] = requests / row["seconds"]
    if proxy.process:
        proxy.process.check()
        row["cpu_us"] = (_cpu(proxy.process) - before) / requests * 1e6
        row["rss_mb"] = proxy.process.rss_mb()
    if proxy.service:
        row["service_cpu_us"] = (_cpu(proxy.service) - service_before) / requests * 1e6
    return row


def _cpu(process):
    return process.cpu_seconds() if process else 0.0
