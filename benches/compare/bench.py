"""One run of the benchmark: its folder, its upstream, its gateways, and how a round is made."""

import os
import tempfile

import certs
from doorward import Gateway
from peers import Peers
from proxy import under_load
from upstream import Sink, Upstream
from web import refuses

#: How many tokens a second each algorithm could use up at the most, on any core of these days: so many are made for a round
#: in which no token comes twice.
TOKENS_PER_SECOND = {"EdDSA": 25_000, "ES256": 20_000, "RS256": 25_000, "HS256": 60_000}


class Bench:
    """What the candidates share. Everything is made when it is first asked for."""

    def __init__(self, folder, options, binary, mint):
        self.folder, self.options = folder, options
        self.seconds = options.secs
        self.binary, self.mint = binary, mint
        self.big = 50_000_000 if options.quick else options.big
        #: How many requests a second a product can answer, once that was measured.
        self.most = {}
        #: What has to be called in the end, besides.
        self.stops = []
        self._upstream, self._sink, self._certificate, self._gateways = None, None, None, {}

    @property
    def upstream(self):
        """The upstream, running."""
        if not self._upstream:
            os.makedirs(f"{self.folder}/upstream")
            self._upstream = Upstream(f"{self.folder}/upstream")
        return self._upstream

    @property
    def sink(self):
        """The upstream of uploads, running."""
        if not self._sink:
            self._sink = Sink(self.folder)
            self.stops.append(self._sink.stop)
        return self._sink

    @property
    def peers(self):
        """HAProxy, nginx and the like."""
        return Peers(self.upstream.port)

    @property
    def upload_peers(self):
        """The same in front of the upstream of uploads."""
        return Peers(self.sink.port)

    @property
    def certificate(self):
        """For rows over TLS."""
        if not self._certificate:
            self._certificate = certs.make(self.folder)
        return self._certificate

    def gateway(self, algorithm="EdDSA", kind="plain", store=None):
        """The gateway of this algorithm, not running. Those of another kind have a database of their own: an SQLite file, or what
        `store()` names once it is needed."""
        name = f"{kind}-{algorithm}"
        if name not in self._gateways:
            folder = f"{self.folder}/doorward-{name}"
            url = store() if store else "sqlite://doorward.db"
            self._gateways[name] = Gateway(self.binary, self.mint, folder, algorithm, self.upstream.port, url)
        return self._gateways[name]

    def rotation(self):
        """How many tokens are sent in turn where several are."""
        return 500 if self.options.quick else 10_000

    def new_tokens(self, algorithm):
        """How many tokens a round needs in which none comes twice, its warm-up aside."""
        many = self.seconds * TOKENS_PER_SECOND[algorithm]
        return many // 10 if self.options.quick else many

    def measured(self, start, load, warm_up=None, warm_seconds=1):
        """One round of a proxy that is started for it, in a folder that is gone afterwards. `start` gets that folder.

        Where tokens must not come twice and run out, the round is made again, half as long, until there are enough.
        """
        seconds = self.seconds
        while True:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder, start(folder) as proxy:
                if load.token or load.tokens:
                    _check_guard(proxy.port, load)
                row = under_load(proxy, load, seconds, warm_up, warm_seconds)
            ran_out = load.once and row["tokens_sent"] > row["tokens_made"]
            if not ran_out or seconds == 1:
                break
            seconds //= 2
        if load.once:
            row["ran_out"] = ran_out
        return row

    def stop(self):
        """Stops what still runs."""
        for stop in self.stops:
            stop()
        if self._upstream:
            self._upstream.stop()


def _check_guard(port, load):
    """A guard that lets anybody in is not measured as one."""
    token = load.token
    if not token:
        with open(load.tokens, encoding="ascii") as file:
            token = file.readline().strip()
    at = len(token) - 20
    forged = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
    if not (refuses(port, load.path, tls=load.tls) and refuses(port, load.path, forged, tls=load.tls)):
        raise RuntimeError("a request without a valid token was let through")
