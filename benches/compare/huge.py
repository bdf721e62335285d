"""One body that is larger than memory, down and up."""

import os
import subprocess
import tempfile
import threading

from groups import Candidate, Column, Group
from machine import LOAD_CORES, program

COLUMNS = (
    Column("gb", "GB"),
    Column("mb_per_s", "MB/s", 0),
    Column("cpu_ms_per_gb", "CPU ms/GB", 0),
    Column("most_mb", "most RSS MB"),
    Column("before_mb", "RSS MB before"),
)


def group(bench):
    """Downloads and uploads by curl."""
    about = (
        "One body by curl over HTTP/1.1, from nginx, and to a C program that reads it to its end (sink.c). "
        "nginx as a proxy passes bodies on as they come."
    )
    candidates = []
    for direction, peers in (("download", lambda: bench.peers), ("upload", lambda: bench.upload_peers)):
        for product, (start, prefix) in _ways(bench, peers).items():
            candidates.append(Candidate(f"{product}, {direction}", _round(bench, start, prefix, direction)))
    return Group("huge", "A body of 10 GB", about, COLUMNS, candidates, most_rounds=3)


def _ways(bench, peers):
    """How each is started, and what its paths begin with."""
    as_it_comes = "proxy_request_buffering off; proxy_max_temp_file_size 0;"
    return {
        "direct": (lambda folder: peers().direct(folder), ""),
        "HAProxy": (lambda folder: peers().haproxy(folder), ""),
        "nginx": (lambda folder: peers().nginx(folder, more=as_it_comes), ""),
        "Doorward public": (
            lambda _: bench.gateway().start(upstream=f"http://127.0.0.1:{peers().upstream}"),
            "/public",
        ),
    }


def _round(bench, start, prefix, direction):
    def measure():
        file = f"{bench.folder}/huge"
        if not os.path.exists(file):
            # A file without blocks: the disk is not what is measured.
            with open(file, "wb") as made:
                made.truncate(bench.big)
            os.link(file, f"{bench.upstream.files}/huge")
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder, start(folder) as proxy:
            return _transfer(proxy, f"http://127.0.0.1:{proxy.port}{prefix}", direction, file)

    return measure


def _transfer(proxy, url, direction, file):
    what = [f"{url}/files/huge"] if direction == "download" else ["-H", "Expect:", "-T", file, f"{url}/"]
    told = "%{http_code} %{time_total} %{size_download} %{size_upload}"
    command = [program("curl"), "-sS", "-o", os.devnull, "-w", told, *what]
    with Watch(proxy.process) as watch:
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, preexec_fn=lambda: os.sched_setaffinity(0, LOAD_CORES)
        )
    status, seconds, down, up = ended.stdout.split()
    size = os.path.getsize(file)
    short = int(float(down if direction == "download" else up)) != size
    row = {"gb": size / 1e9, "mb_per_s": size / 1e6 / float(seconds)}
    row["errors"] = {"status": int(status != "200"), "curl": int(ended.returncode != 0), "incomplete": int(short)}
    if proxy.process:
        row |= {"cpu_ms_per_gb": watch.cpu * 1e12 / size, "most_mb": watch.most, "before_mb": watch.before}
    return row


class Watch:
    """Looks at the memory of a process again and again."""

    def __init__(self, process):
        self.process, self.ended = process, threading.Event()
        self.most = self.before = process.rss_mb() if process else 0
        self.cpu = process.cpu_seconds() if process else 0
        self.thread = threading.Thread(target=self._look)

    def _look(self):
        while self.process and not self.ended.wait(0.05):
            self.most = max(self.most, self.process.rss_mb())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.cpu = self.process.cpu_seconds() - self.cpu if self.process else 0
