"""A WebSocket conversation by a library that Keytoll has nothing to do with.

Runs an echo server on PORT, holds the same conversation with it at every URL, and prints what came of each as JSON:

    websocket_talk.py PORT KEY URL...
"""

import asyncio
import hashlib
import json
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

LARGEST = 2 << 20
PATIENCE_SECS = 20

# How each connection ended for the server.
ended = asyncio.Queue()


async def echo(connection):
    try:
        async for message in connection:
            if message == "ping me":
                await (await connection.ping(b"from the server"))
                await connection.send("ponged")
            elif message == "close":
                await connection.close(4002, "as you wish")
            else:
                await connection.send(message)
        await connection.wait_closed()
    except ConnectionClosed:
        pass
    await ended.put([connection.close_code, connection.close_reason])


def open_to(url, key):
    return connect(
        url,
        additional_headers={"X-API-Key": key},
        subprotocols=["other", "echo"],
        max_size=LARGEST,
        proxy=None,
    )


def shown(message):
    if isinstance(message, str):
        return message
    return {"bytes": len(message), "sha256": hashlib.sha256(message).hexdigest()}


async def said_back(connection, message):
    await connection.send(message)
    return shown(await connection.recv())


async def until_closed(connection):
    try:
        while True:
            await connection.recv()
    except ConnectionClosed:
        return [connection.close_code, connection.close_reason]


async def talk(url, key):
    told = {}
    async with open_to(url, key) as connection:
        told["protocol"] = connection.subprotocol
        told["extensions"] = [one.name for one in connection.protocol.extensions]
        told["text"] = await said_back(connection, "grüße ✓")
        told["empty"] = await said_back(connection, "")
        told["binary"] = await said_back(connection, bytes(range(256)) * 4096)
        told["pieces"] = await said_back(connection, ["one ", "two ", "three"])
        told["many"] = [await said_back(connection, str(number)) for number in range(100)]
        await (await connection.ping(b"from the client"))
        told["pong"] = True
        told["pinged"] = await said_back(connection, "ping me")
        await connection.close(4001, "enough")
        told["closed by client"] = [connection.close_code, connection.close_reason]
    told["as the server saw it"] = await ended.get()
    async with open_to(url, key) as connection:
        await connection.send("close")
        told["closed by server"] = await until_closed(connection)
    await ended.get()
    async with open_to(url, key) as connection:
        await connection.send(bytes(LARGEST + 1))
        told["too large"] = (await until_closed(connection))[0]
    await ended.get()
    return told


async def refusal(url):
    try:
        async with open_to(url, "no-key"):
            return None
    except InvalidStatus as refused:
        return refused.response.status_code


async def main(port, key, urls):
    async with serve(echo, "127.0.0.1", port, subprotocols=["echo"], max_size=LARGEST):
        told = [await talk(url, key) for url in urls]
        refused = await refusal(urls[-1])
    print(json.dumps({"told": told, "refused": refused}))


asyncio.run(asyncio.wait_for(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]), PATIENCE_SECS))
