#!/usr/bin/env python3
"""Plays HTTP/2, well or badly, frame by frame. PORT on the command line, and "tls" behind it for TLS;
on standard input JSON: a list of cases, each a list of steps on a connection of its own. On standard output JSON: for each case what came back.

Steps: ["headers", STREAM, [[NAME, VALUE], ...], END]   names and values go out as they are, nothing is checked
       ["data", STREAM, TEXT, END]   ["zeros", STREAM, COUNT, END]   as fast as the windows allow
       ["frame", TYPE, FLAGS, STREAM, HEX]              any frame
       ["settings", [[ID, VALUE], ...]]                 only as the first step
       ["many", COUNT, TYPE, FLAGS, STREAM, HEX]        any frame, many times
       ["streams", COUNT, FIELDS, END, TYPE, FLAGS, HEX, SETTLE]   that many requests, each with a frame after it
       ["fill", STREAM, MOST]   a body of zeros, until it is that long or no window opens for a second
       ["trickle", STREAM, HEX]   CONTINUATION, one in a tenth of a second, until the connection ends
       ["settle"]           waits until the gateway has read all of this
       ["reset", STREAM, CODE]
       ["status", STREAM]   waits for the head of the answer
       ["end", STREAM]      waits for the end of the answer, or of the stream, or of the connection
       ["over"]             waits for the end of the connection
       ["mute"]             from now on no window is opened and no ping and no settings are answered
"""
import json, socket, ssl, struct, sys, time
from hpack import Decoder

LIMIT = 20


def integer(value, bits):
    most = (1 << bits) - 1
    if value < most:
        return bytes([value])
    out, value = [most], value - most
    while value >= 128:
        out.append(value % 128 | 128)
        value //= 128
    return bytes(out + [value])


def literal(name, value):
    name, value = name.encode("latin1"), value.encode("latin1")
    return b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value


# Whom it talks to is not what is tested.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE
TLS.set_alpn_protocols(["h2"])


class Stream:
    def __init__(self):
        self.status = self.reset = None
        self.headers, self.trailers, self.body, self.size, self.ended = [], [], b"", 0, False

    def over(self):
        return self.ended or self.reset is not None


class Connection:
    def __init__(self, port, settings):
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.argv[2:] == ["tls"]:
            self.socket = TLS.wrap_socket(self.socket)
        self.buffer, self.streams, self.goaway, self.closed, self.muted = b"", {}, None, False, False
        self.pongs = self.sent = 0
        self.decoder, self.windows, self.initial, self.server = Decoder(), {0: 65535}, 65535, {}
        self.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.frame(4, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in settings))

    def raw(self, data):
        try:
            self.socket.settimeout(LIMIT)
            self.socket.sendall(data)
        except OSError:
            pass  # What came before the end is still to be read.

    def frame(self, kind, flags, stream, payload=b""):
        self.raw(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def stream(self, number):
        return self.streams.setdefault(number, Stream())

    def take(self, kind, flags, number, payload):
        if kind == 0:
            stream = self.stream(number)
            stream.size += len(payload)
            stream.body = (stream.body + payload)[:65536]
            stream.ended |= bool(flags & 1)
            if payload and not self.muted:
                self.frame(8, 0, 0, struct.pack(">I", len(payload)))
                if not stream.ended:
                    self.frame(8, 0, number, struct.pack(">I", len(payload)))
        elif kind == 1:
            stream = self.stream(number)
            fields = [[name, value] for name, value in self.decoder.decode(payload)]
            status = [value for name, value in fields if name == ":status"]
            if status:
                stream.status, stream.headers = int(status[0]), fields
            else:
                stream.trailers = fields
            stream.ended |= bool(flags & 1)
        elif kind == 3:
            self.stream(number).reset = int.from_bytes(payload, "big")
        elif kind == 4 and not flags & 1:
            pairs = dict(struct.unpack(">HI", payload[at : at + 6]) for at in range(0, len(payload), 6))
            self.server.update(pairs)
            if 4 in pairs:
                for other in self.windows:
                    self.windows[other] += (pairs[4] - self.initial) if other else 0
                self.initial = pairs[4]
            if not self.muted:
                self.frame(4, 1, 0)
        elif kind == 6 and not flags & 1 and not self.muted:
            self.frame(6, 1, 0, payload)
        elif kind == 6 and flags & 1:
            self.pongs += 1
        elif kind == 7:
            self.goaway = int.from_bytes(payload[4:8], "big")
        elif kind == 8:
            self.windows[number] = self.windows.get(number, self.initial) + int.from_bytes(payload, "big")

    def settle(self):
        pongs = self.pongs
        self.frame(6, 0, 0, b"settling")
        self.pump(lambda: self.pongs > pongs)

    def pump(self, condition, limit=LIMIT):
        deadline = time.monotonic() + limit
        while not condition():
            if len(self.buffer) >= 9 and len(self.buffer) >= 9 + int.from_bytes(self.buffer[:3], "big"):
                length = int.from_bytes(self.buffer[:3], "big")
                kind, flags, number = self.buffer[3], self.buffer[4], int.from_bytes(self.buffer[5:9], "big")
                payload, self.buffer = self.buffer[9 : 9 + length], self.buffer[9 + length :]
                self.take(kind, flags, number, payload)
                continue
            if self.closed:
                return
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data = self.socket.recv(1 << 16)
            except TimeoutError:
                if limit < LIMIT:
                    return
                raise SystemExit(f"nothing within {LIMIT} s: {self.told()}")
            except OSError:
                data = b""
            self.closed |= not data
            self.buffer += data

    def send_body(self, number, data, end, limit=LIMIT):
        data = memoryview(data)
        while data:
            room = lambda: min(self.windows[0], self.windows.setdefault(number, self.initial), 16384)
            self.pump(lambda: room() > 0 or self.stream(number).over(), limit)
            if self.closed or self.stream(number).over() or room() <= 0:
                return
            self.sent += min(room(), len(data))
            piece, data = data[: room()], data[room() :]
            self.windows[0] -= len(piece)
            self.windows[number] -= len(piece)
            self.frame(0, int(end and not data), number, piece)

    def step(self, name, *args):
        if name == "headers":
            number, fields, end = args
            self.frame(1, 4 | int(end), number, b"".join(literal(*field) for field in fields))
        elif name == "data":
            number, text, end = args
            self.frame(0, int(end), number, text.encode("latin1"))
        elif name == "zeros":
            number, count, end = args
            self.send_body(number, bytes(count), end)
        elif name == "frame":
            kind, flags, number, payload = args
            self.frame(kind, flags, number, bytes.fromhex(payload))
        elif name == "many":
            count, kind, flags, number, payload = args
            payload = bytes.fromhex(payload)
            one = struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", number) + payload
            # A look now and then at what comes back: over TLS nothing can be read any more once a write has failed.
            batch = min(count, max(1, 65536 // len(one)))
            for _ in range(0, count, batch):
                self.raw(one * batch)
                self.pump(lambda: self.goaway is not None, 0.01)
                if self.goaway is not None:
                    break
        elif name == "streams":
            count, fields, end, kind, flags, payload, settled = args
            head, payload = b"".join(literal(*field) for field in fields), bytes.fromhex(payload)
            for number in range(1, 2 * count, 2):
                if self.closed:
                    break
                self.frame(1, 4 | int(end), number, head)
                if settled:
                    self.settle()
                self.frame(kind, flags, number, payload)
        elif name == "fill":
            self.send_body(args[0], bytes(args[1]), False, 1)
        elif name == "trickle":
            deadline = time.monotonic() + LIMIT
            while not self.closed and time.monotonic() < deadline:
                self.frame(9, 0, args[0], bytes.fromhex(args[1]))
                self.pump(lambda: False, 0.1)
        elif name == "settle":
            self.settle()
        elif name == "reset":
            self.frame(3, 0, args[0], struct.pack(">I", args[1]))
        elif name == "status":
            self.pump(lambda: self.stream(args[0]).status is not None or self.stream(args[0]).over())
        elif name == "end":
            self.pump(self.stream(args[0]).over)
        elif name == "over":
            self.pump(lambda: False)
        elif name == "mute":
            self.muted = True
        else:
            raise SystemExit(f"no such step: {name}")

    def told(self):
        streams = {
            number: {
                "status": stream.status,
                "headers": stream.headers,
                "trailers": stream.trailers,
                "body": stream.body.decode("latin1"),
                "size": stream.size,
                "ended": stream.ended,
                "reset": stream.reset,
            }
            for number, stream in self.streams.items()
        }
        return {"streams": streams, "goaway": self.goaway, "closed": self.closed, "settings": self.server, "sent": self.sent}


def play(port, steps):
    settings = steps.pop(0)[1] if steps and steps[0][0] == "settings" else []
    connection = Connection(port, settings)
    for step in steps:
        connection.step(*step)
    connection.socket.close()
    return connection.told()


json.dump([play(int(sys.argv[1]), steps) for steps in json.load(sys.stdin)], sys.stdout)
