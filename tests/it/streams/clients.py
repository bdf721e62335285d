#!/usr/bin/env python3
"""A WebSocket server and client that know nothing of the gateway.

serve: prints its port; sends back each message, and the user that it was told of to whoever sends "who".
talk PORT TOKEN: talks through the gateway at PORT, prints "ready", and then the code and reason with which it was closed.
unanswered PORT TOKEN: opens through the gateway at PORT what the server never answers the key of, and prints "not taken".
"""
import asyncio, os, sys
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

BIG = os.urandom(3_000_000)


async def answer(socket):
    async for message in socket:
        await socket.send(socket.request.headers["X-Auth-User-Id"] if message == "who" else message)


async def upstream():
    async with serve(answer, "127.0.0.1", 0, max_size=None, subprotocols=["chat"]) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


async def talk(port, token):
    uri = f"ws://127.0.0.1:{port}/ws"
    try:
        async with connect(uri, proxy=None):
            sys.exit("it was let in without a token")
    except websockets.InvalidStatus as refused:
        assert refused.response.status_code == 401, refused
    # As a browser does it: it can set no header here.
    async with connect(uri, proxy=None, subprotocols=["chat", f"bearer.{token}"]) as socket:
        assert socket.subprotocol == "chat", socket.subprotocol
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(uri, proxy=None, additional_headers=headers, max_size=None, subprotocols=["chat"]) as socket:
        assert await (await socket.ping())
        await socket.send(BIG)
        assert await socket.recv() == BIG
        await socket.send([BIG[:1000], BIG[1000:2000]])
        assert await socket.recv() == BIG[:2000]
        await socket.send("who")
        print("ready", await socket.recv(), flush=True)
        try:
            await socket.recv()
        except websockets.ConnectionClosed as closed:
            print(closed.rcvd.code, closed.rcvd.reason, flush=True)


async def unanswered(port, token):
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with connect(f"ws://127.0.0.1:{port}/ws", proxy=None, additional_headers=headers):
            print("taken", flush=True)
    except websockets.InvalidHeader as invalid:
        assert invalid.name == "Sec-WebSocket-Accept", invalid
        print("not taken", flush=True)


asyncio.run({"serve": upstream, "talk": talk, "unanswered": unanswered}[sys.argv[1]](*sys.argv[2:]))
