"""Serves localstripe on a free loopback port and prints the port.

localstripe's own entry point binds every interface, and pickles its store to a fixed file in /tmp, where two test
processes would overwrite each other.
"""

import socket

from aiohttp import web
from localstripe.resources import store
from localstripe.server import app

type(store).dump_to_disk = lambda self: None

sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
sock.bind(("127.0.0.1", 0))
sock.listen(64)


async def announce(_app):
    print(f"listening {sock.getsockname()[1]}", flush=True)


app.on_startup.append(announce)
web.run_app(app, sock=sock, print=None)
