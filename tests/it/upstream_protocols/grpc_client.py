"""Calls the methods of grpc_server.py through the gateway. Arguments: what to do, the gateway's address, a token, its user;
and, where that is TLS, the file of its authority, its name, and its address without TLS."""

import queue
import sys
import urllib.request

import grpc

what, address, token, user, *tls = sys.argv[1:]
if tls:
    file, name, plain = tls
    trust = grpc.ssl_channel_credentials(open(file, "rb").read())
    channel = grpc.secure_channel(address, trust, [("grpc.ssl_target_name_override", name)])
else:
    plain = address
    channel = grpc.insecure_channel(address)
BEARER = (("authorization", "Bearer " + token),)


def code_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("it succeeded")


def method(name, kind="unary_unary", service="test.Echo"):
    return getattr(channel, kind)(f"/{service}/{name}")


if what == "kinds":
    answer, call = method("Unary").with_call(b"hello", metadata=BEARER + (("x-auth-user-id", "root"),), timeout=20)
    said = dict(call.trailing_metadata())
    assert answer == b"hello"
    assert said["seen-user"] == user and said["seen-token"] == "gone" and said["seen-deadline"] == "yes", said
    assert said["seen-bytes-bin"] == b"\x00\x01\xff", said
    assert method("Unary")(b"x" * 3_000_000, metadata=BEARER, timeout=20) == b"x" * 3_000_000

    got = list(method("ServerStream", "unary_stream")(b"500", metadata=BEARER, timeout=20))
    assert got == [str(i).encode() for i in range(500)]

    parts = [str(i).encode() for i in range(500)]
    assert method("ClientStream", "stream_unary")(iter(parts), metadata=BEARER, timeout=20) == b"+".join(parts)

    # Each message is sent only when the answer to the one before has come: nothing on the way waits for an end.
    to_send = queue.SimpleQueue()
    answers = method("Bidi", "stream_stream")(iter(to_send.get, None), metadata=BEARER, timeout=20)
    for i in range(50):
        to_send.put(b"%d" % i)
        assert next(answers) == b"echo %d" % i
    to_send.put(None)
    assert list(answers) == []

    error = code_of(lambda: method("Unary")(b"", metadata=BEARER + (("x-fail", "FAILED_PRECONDITION"),), timeout=20))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
    assert error.details() == "failed: 100 % on purpose, ä", error
    assert dict(error.trailing_metadata())["x-trailer"] == "with the failure"
    error = code_of(lambda: method("NoSuch")(b"", metadata=BEARER, timeout=20))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
elif what == "end":
    # A deadline of the client reaches the server as an end of the call.
    call = method("Hang", "unary_stream")(b"", metadata=BEARER, timeout=1)
    assert next(call) == b"begun"
    error = code_of(lambda: next(call))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    assert method("WasCancelled")(b"", metadata=BEARER, timeout=20) == b"yes"
elif what == "logout":
    # Whatever a call waits for when its token ends, it learns of that, and not of a connection that broke.
    to_send = queue.SimpleQueue()
    talking = method("Bidi", "stream_stream")(iter(to_send.get, None), metadata=BEARER, timeout=20)
    to_send.put(b"1")
    assert next(talking) == b"echo 1"
    hearing = method("Hang", "unary_stream")(b"", metadata=BEARER, timeout=20)
    assert next(hearing) == b"begun"
    waiting = method("Silent").future(b"", metadata=BEARER, timeout=20)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    logout = urllib.request.Request(f"http://{plain}/auth/logout", b"", {"Authorization": "Bearer " + token})
    assert opener.open(logout, timeout=20).status == 204
    for call in (lambda: next(talking), lambda: next(hearing), waiting.result):
        error = code_of(call)
        said = dict(error.initial_metadata() or ()) | dict(error.trailing_metadata() or ())
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
        assert said["x-doorward-error"] == "token_revoked" and error.details(), (said, error)
    to_send.put(None)
elif what == "cancelled":
    assert method("WasCancelled")(b"", metadata=BEARER, timeout=20) == b"yes"
elif what == "errors":
    def refused(call, code, name):
        error = code_of(call)
        said = dict(error.initial_metadata() or ()) | dict(error.trailing_metadata() or ())
        assert error.code() == code, (name, error)
        assert said.get("x-doorward-error") == name, (name, said)
        assert error.details(), error

    codes = grpc.StatusCode
    refused(lambda: method("Unary")(b"", timeout=20), codes.UNAUTHENTICATED, "token_missing")
    wrong = (("authorization", "Bearer a.b.c"),)
    refused(lambda: method("Unary")(b"", metadata=wrong, timeout=20), codes.UNAUTHENTICATED, "token_invalid")
    refused(lambda: method("X", service="test.Admin")(b"", metadata=BEARER, timeout=20), codes.PERMISSION_DENIED, "forbidden")
    refused(lambda: method("X", service="test.None")(b"", metadata=BEARER, timeout=20), codes.UNIMPLEMENTED, "not_found")
    refused(lambda: method("X", service="test.Down")(b"", timeout=20), codes.UNAVAILABLE, "upstream_unreachable")
    refused(lambda: method("Silent")(b"", metadata=BEARER, timeout=20), codes.DEADLINE_EXCEEDED, "upstream_timeout")
    refused(lambda: method("X", service="test.Small")(b"x" * 5000, timeout=20), codes.RESOURCE_EXHAUSTED, "body_too_large")
elif what == "reset":
    for name in ("mid-reset", "mid-cancel", "mid-ok", "mid-close"):
        call = channel.unary_stream(f"/up/{name}")(b"", timeout=20)
        error = code_of(lambda: list(call))
        assert error.code() != grpc.StatusCode.OK, (name, error)
else:
    raise SystemExit(what)
print("ok")
