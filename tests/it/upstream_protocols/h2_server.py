"""A server of HTTP/2 that does what the path says, proper or not. Prints its port once it listens."""

import asyncio
import collections
import json
import sys
import urllib.parse

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

COUNTS = collections.Counter()
HELD = asyncio.Event()
SAID = []


class Stream:
    def __init__(self, headers):
        self.headers = headers
        self.body = b""
        self.trailers = None


class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.number = COUNTS["connections"]
        COUNTS["connections"] += 1
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8", validate_inbound_headers=True,
                                           validate_outbound_headers=False, normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config=config)
        if LIMIT:
            limit = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: LIMIT}
            self.h2.local_settings = h2.settings.Settings(client=False, initial_values=limit)
        self.h2.initiate_connection()
        self.streams = {}
        self.waiting = []
        self.refuse_over = None
        self.flush()

    def connection_lost(self, error):
        COUNTS["closed"] += 1

    def flush(self):
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data):
        try:
            events = self.h2.receive_data(data)
        except Exception as error:
            SAID.append(f"fault: {type(error).__name__}: {error}")
            self.flush()
            self.transport.close()
            return
        for event in events:
            if isinstance(event, h2.events.RequestReceived):
                stream = self.streams[event.stream_id] = Stream(event.headers)
                self.head(event.stream_id, stream)
            elif isinstance(event, h2.events.DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.stream_id in self.streams:
                    self.streams[event.stream_id].body += event.data
            elif isinstance(event, h2.events.TrailersReceived):
                self.streams[event.stream_id].trailers = event.headers
            elif isinstance(event, h2.events.StreamEnded):
                self.whole(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                SAID.append(f"reset {h2.errors.ErrorCodes(event.error_code).name}")
                self.streams.pop(event.stream_id, None)
        self.flush()

    def path(self, stream):
        path = dict(stream.headers)[":path"]
        path, _, query = path.partition("?")
        return path.rsplit("/", 1)[-1], dict(urllib.parse.parse_qsl(query))

    def answer(self, id, status=200, body=b"", headers=(), end=True):
        self.h2.send_headers(id, [(":status", str(status)), ("x-connection", str(self.number)), *headers],
                             end_stream=end and not body)
        if body:
            self.h2.send_data(id, body, end_stream=end)

    def head(self, id, stream):
        what, query = self.path(stream)
        COUNTS[what] += 1
        COUNTS["most"] = max(COUNTS["most"], len(self.streams))
        if what == "early":
            self.answer(id, 413, b"big")
        elif what == "duplex":
            self.answer(id, 200, b"first", end=False)

    def whole(self, id):
        stream = self.streams.get(id)
        if stream is None:
            return
        what, query = self.path(stream)
        raw = self.transport
        if what == "early":
            return
        if what == "duplex":
            self.h2.send_data(id, stream.body, end_stream=True)
        elif what == "barrier":
            self.waiting.append(id)
            if len(self.waiting) == int(query["n"]):
                for id in self.waiting:
                    mine = dict(self.streams.pop(id).headers)[":path"]
                    self.answer(id, 200, mine.encode())
                self.waiting = []
            return
        elif what == "held":
            asyncio.ensure_future(self.held(id))
            return
        elif what == "release":
            HELD.set()
            self.answer(id)
        elif what == "late":
            asyncio.ensure_future(self.late(id, float(query["s"]), dict(stream.headers)[":path"]))
            return
        elif what == "refused-once" and COUNTS[what] == 1 or what == "refused":
            self.h2.reset_stream(id, h2.errors.ErrorCodes.REFUSED_STREAM)
        elif what == "goaway-once" and COUNTS[what] == 1:
            self.flush()
            # Nothing was done about this one.
            self.goaway(id - 2, 0)
        elif what == "goaway-after":
            self.flush()
            self.goaway(id, 0)
            self.h2.send_headers(id, [(":status", "200"), ("x-connection", str(self.number))])
            self.h2.send_data(id, b"whole", end_stream=True)
        elif what == "goaway-mid":
            self.h2.send_headers(id, [(":status", "200"), ("content-length", "10")])
            self.h2.send_data(id, b"half")
            self.flush()
            self.goaway(id, 2)
            raw.close()
            return
        elif what == "reset":
            self.h2.reset_stream(id, h2.errors.ErrorCodes.INTERNAL_ERROR)
        elif what == "close":
            raw.close()
            return
        elif what == "abort":
            raw.abort()
            return
        elif what == "silent":
            return
        elif what in ("mid-reset", "mid-close", "mid-abort", "mid-cancel", "mid-ok", "stall"):
            length = [("content-length", "10")] if query.get("length") else []
            self.answer(id, 200, b"half", length, end=False)
            self.flush()
            if what == "mid-reset":
                self.h2.reset_stream(id, h2.errors.ErrorCodes.INTERNAL_ERROR)
            elif what == "mid-cancel":
                self.h2.reset_stream(id, h2.errors.ErrorCodes.CANCEL)
            elif what == "mid-ok":
                self.h2.reset_stream(id, h2.errors.ErrorCodes.NO_ERROR)
            elif what == "mid-close":
                raw.close()
            elif what == "mid-abort":
                raw.abort()
            return self.flush() if not raw.is_closing() else None
        elif what == "short":
            self.answer(id, 200, b"12345", [("content-length", "10")])
        elif what == "long":
            self.answer(id, 200, b"1234567890", [("content-length", "3")])
        elif what == "two-lengths":
            self.answer(id, 200, b"12345", [("content-length", "5"), ("content-length", "6")])
        elif what == "not-a-length":
            self.answer(id, 200, b"12345", [("content-length", "+5")])
        elif what == "chunked":
            self.answer(id, 200, b"5\r\nhello\r\n0\r\n\r\n", [("transfer-encoding", "chunked")])
        elif what == "upper":
            self.answer(id, 200, b"x", [("X-Upper", "1")])
        elif what == "switch":
            self.answer(id, 101)
        elif what == "big-head":
            self.answer(id, 200, b"x", [(f"x-{i}", "a" * 1000) for i in range(200)])
        elif what == "garbage":
            self.flush()
            raw.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * 20)
            return
        elif what == "trailers":
            self.h2.send_headers(id, [(":status", "200"), ("trailer", "x-sum, x-auth-user-id")])
            self.h2.send_data(id, b"body")
            self.h2.send_headers(id, [("x-sum", "42"), ("x-auth-user-id", "spoofed")], end_stream=True)
        elif what == "hints":
            self.h2.send_headers(id, [(":status", "103"), ("link", "</a>")])
            self.answer(id, 200, b"ok")
        elif what == "counts":
            self.answer(id, 200, json.dumps({**COUNTS, "said": SAID}).encode())
        elif what == "limit":
            self.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: int(query["n"])})
            self.answer(id)
        elif what == "no-content":
            self.answer(id, 204)
        elif dict(stream.headers)[":method"] == "HEAD":
            self.answer(id, 200, b"", [("content-length", "1234")])
        else:
            seen = {"headers": stream.headers, "body": stream.body.decode("latin-1"), "trailers": stream.trailers}
            self.answer(id, 200, json.dumps(seen).encode(), [("content-type", "application/json")])
        self.streams.pop(id, None)

    def goaway(self, last, code):
        # By hand: the library would take no more frames afterwards.
        frame = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + max(last, 0).to_bytes(4, "big") + code.to_bytes(4, "big")
        self.transport.write(self.h2.data_to_send() + frame)

    async def held(self, id):
        await HELD.wait()
        if self.streams.pop(id, None):
            self.answer(id, 200, b"released")
            self.flush()

    async def late(self, id, seconds, path):
        await asyncio.sleep(seconds)
        if self.streams.pop(id, None):
            self.answer(id, 200, path.encode())
            self.flush()


LIMIT = int(sys.argv[1]) if len(sys.argv) > 1 else 0


async def main():
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
