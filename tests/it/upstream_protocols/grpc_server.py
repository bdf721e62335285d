"""A gRPC server with one method of each kind. Prints its port once it listens. Arguments: certificate and key for TLS."""

import sys
import threading
import time
from concurrent import futures

import grpc

CANCELLED = threading.Event()


def metadata(context):
    return {key: value for key, value in context.invocation_metadata()}


def unary(request, context):
    said = metadata(context)
    if "x-fail" in said:
        context.set_trailing_metadata((("x-trailer", "with the failure"),))
        context.abort(grpc.StatusCode[said["x-fail"]], "failed: 100 % on purpose, ä")
    context.set_trailing_metadata((("seen-user", said.get("x-auth-user-id", "nobody")),
                                   ("seen-token", "authorization" in said and "seen" or "gone"),
                                   ("seen-deadline", "yes" if context.time_remaining() else "no"),
                                   ("seen-bytes-bin", b"\x00\x01\xff")))
    return request


def server_stream(request, context):
    for i in range(int(request)):
        yield str(i).encode()


def client_stream(requests, context):
    return b"+".join(requests)


def bidi(requests, context):
    for request in requests:
        yield b"echo " + request


def hang(request, context):
    context.add_callback(CANCELLED.set)
    yield b"begun"
    CANCELLED.wait(30)


def was_cancelled(request, context):
    return b"yes" if CANCELLED.wait(10) else b"no"


def silent(request, context):
    time.sleep(3)
    return b"late"


server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
    "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
    "Bidi": grpc.stream_stream_rpc_method_handler(bidi),
    "Hang": grpc.unary_stream_rpc_method_handler(hang),
    "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled),
    "Silent": grpc.unary_unary_rpc_method_handler(silent),
}),))
if len(sys.argv) > 2:
    certificate, key = (open(name, "rb").read() for name in sys.argv[1:3])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
