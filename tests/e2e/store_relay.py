#!/usr/bin/env python3
"""Between the agent of another host and the store: store_relay.py PORT FOLDER prints the port that it listens at. While
FOLDER/away exists it refuses; each file in FOLDER/cuts lets one connection break after as many bytes as its name says."""

import asyncio
import pathlib
import sys

port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])


async def pump(reader, writer, most):
    try:
        while most > 0 and (piece := await reader.read(min(65536, most))):
            writer.write(piece)
            await writer.drain()
            most -= len(piece)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve(reader, writer):
    if (folder / "away").exists():
        writer.close()
        return
    most = sys.maxsize
    for cut in sorted((folder / "cuts").iterdir()):
        most = int(cut.name)
        cut.unlink()
        (folder / "was-cut").touch()
        break
    there, back = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(pump(reader, back, sys.maxsize), pump(there, writer, most))


async def main():
    (folder / "cuts").mkdir(exist_ok=True)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.wait_for(server.serve_forever(), 1200)


asyncio.run(main())
