#!/usr/bin/python3
"""gRPC through a running karreg-proxy: clients and applications of gRPC's own library (python3-grpcio), TLS and HTTP/2 from the client,
HTTP/2 in clear or by TLS to the application. Prints TAP."""
import concurrent.futures
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from proxy_process import PATIENCE, Proxy, eventually  # noqa: E402
from tap import Tap  # noqa: E402

LARGE = 1_000_000


class Application:
    """Serves /test.Test/*. @p credentials: by TLS."""

    def __init__(self, credentials=None, name=b"one"):
        self.name, self.cancelled, self.begun = name, threading.Semaphore(0), threading.Semaphore(0)
        self.peers = set()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=80))
        one, many = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", {
            "Echo": one(self.echo), "Who": one(lambda *_: self.name), "Fail": one(self.fail), "Hang": one(self.hang),
            "Count": many(self.count), "Ticks": many(self.ticks), "Early": grpc.stream_unary_rpc_method_handler(self.early),
            "Join": grpc.stream_unary_rpc_method_handler(lambda parts, _: b"".join(parts)),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat)}),))
        self.port = self.server.add_secure_port("127.0.0.1:0", credentials) if credentials \
            else self.server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{self.port}"
        self.server.start()

    def echo(self, request, context):
        self.peers.add(context.peer())
        context.send_initial_metadata(tuple((k, v) for k, v in context.invocation_metadata() if k.startswith("x-test")))
        context.set_trailing_metadata((("x-last", "1"), ("x-last-bin", b"\0\xff")))
        return request

    def fail(self, _request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "there is no such thing: é%\n")

    def hang(self, _request, context):
        done = threading.Event()
        context.add_callback(done.set)
        self.begun.release()
        if done.wait(PATIENCE):
            self.cancelled.release()
        return b""

    def count(self, request, _context):
        for number in range(int(request)):
            yield b"%d" % number

    def ticks(self, _request, context):
        done = threading.Event()
        context.add_callback(done.set)
        yield b"tick"
        if done.wait(PATIENCE):
            self.cancelled.release()

    def early(self, _parts, context):
        # Before the client has said all.
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more")

    def chat(self, parts, _context):
        for part in parts:
            yield part.upper()


def route(host, rules, *apps):
    return {"host": host, "path": "/", "app_id": "app_" + host, "rules": rules,
            "backends": [{"instance_id": f"vm-{app.address}", "address": app.address} for app in apps]}


class Channel:
    """Calls of one client, by TLS, for @p host."""

    def __init__(self, proxy, host="a.test"):
        self.channel = grpc.secure_channel(
            f"127.0.0.1:{proxy.tls_port}", grpc.ssl_channel_credentials((proxy.folder / "certificates" / "cert").read_bytes()),
            (("grpc.ssl_target_name_override", "a.test"), ("grpc.default_authority", host), ("grpc.enable_retries", 0),
             ("grpc.use_local_subchannel_pool", 1)))
        self.one = lambda name: self.channel.unary_unary("/test.Test/" + name)
        self.many = lambda name: self.channel.unary_stream("/test.Test/" + name)
        self.of_many = lambda name: self.channel.stream_unary("/test.Test/" + name)
        self.chat = self.channel.stream_stream("/test.Test/Chat")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()


def failure(call, *arguments, **named):
    """(code, details) of a call that fails; (OK, what came) of one that does not."""
    try:
        return grpc.StatusCode.OK, call(*arguments, timeout=named.pop("timeout", PATIENCE), **named)
    except grpc.RpcError as error:
        return error.code(), error.details()


def check_calls(tap, proxy, app, how):
    with Channel(proxy) as client:
        answer, call = client.one("Echo").with_call(b"hello", timeout=PATIENCE, metadata=(("x-test", "a"), ("x-test-bin", b"\xff\0")))
        tap.check(f"{how}: a call is answered", answer == b"hello", answer)
        first, last = dict(call.initial_metadata()), dict(call.trailing_metadata())
        tap.check(f"{how}: metadata go both ways, before and after the answer, binary ones too", first.get("x-test") == "a"
                  and first.get("x-test-bin") == b"\xff\0" and last.get("x-last") == "1" and last.get("x-last-bin") == b"\0\xff",
                  first, last)
        large = b"x" * LARGE
        tap.check(f"{how}: large messages", client.one("Echo")(large, timeout=PATIENCE) == large)
        came = list(client.many("Count")(b"2000", timeout=PATIENCE))
        tap.check(f"{how}: a stream of answers", came == [b"%d" % n for n in range(2000)], len(came))
        joined = client.of_many("Join")(iter([b"a" * 1000] * 500), timeout=PATIENCE)
        tap.check(f"{how}: a stream of requests", joined == b"a" * 500_000, len(joined))
        said = queue.SimpleQueue()
        talk = client.chat(iter(said.get, None), timeout=PATIENCE)
        heard = []
        for word in (b"one", b"two", b"three"):
            said.put(word)
            heard.append(next(talk))
        said.put(None)
        tap.check(f"{how}: both at once, word by word", heard == [b"ONE", b"TWO", b"THREE"] and list(talk) == [], heard)
        tap.check(f"{how}: an error comes with its code and its text",
                  failure(client.one("Fail"), b"") == (grpc.StatusCode.NOT_FOUND, "there is no such thing: é%\n"),
                  failure(client.one("Fail"), b""))
        early = failure(client.of_many("Early"), iter(said.get, None))
        tap.check(f"{how}: so does one before the request is through", early == (grpc.StatusCode.RESOURCE_EXHAUSTED, "no more"), early)
        said.put(None)
        code, details = failure(client.one("Nothing"), b"")
        tap.check(f"{how}: a method that is not there", code == grpc.StatusCode.UNIMPLEMENTED, code, details)
        code, details = failure(client.one("Hang"), b"", timeout=0.5)
        tap.check(f"{how}: a deadline ends a call", code == grpc.StatusCode.DEADLINE_EXCEEDED, code, details)
        tap.check(f"{how}: at the application, too", app.cancelled.acquire(timeout=PATIENCE))
        hanging = client.one("Hang").future(b"", timeout=PATIENCE)
        begun = app.begun.acquire(timeout=PATIENCE) and app.begun.acquire(timeout=PATIENCE)
        hanging.cancel()
        tap.check(f"{how}: the application hears that a call was cancelled", begun and app.cancelled.acquire(timeout=PATIENCE))
        ticks = client.many("Ticks")(b"", timeout=PATIENCE)
        tick = next(ticks)
        ticks.cancel()
        tap.check(f"{how}: also in the middle of its answer", tick == b"tick" and app.cancelled.acquire(timeout=PATIENCE))
        before = len(app.peers)
        calls = [client.one("Echo").future(b"%d" % n, timeout=PATIENCE) for n in range(200)]
        answers = [call.result() for call in calls]
        tap.check(f"{how}: many calls at once, over few connections",
                  answers == [b"%d" % n for n in range(200)] and len(app.peers) - before <= 4, len(app.peers) - before)


def check_own_answers(tap, proxy, gone):
    unavailable = grpc.StatusCode.UNAVAILABLE
    for host, name, wanted, words in (
            ("none.test", "no instance", unavailable, "No instance is running"),
            ("unknown.test", "no application", grpc.StatusCode.UNIMPLEMENTED, "No application here"),
            ("gone.test", "an instance that does not answer", unavailable, "The application does not answer"),
            ("closed.test", "maintenance", unavailable, "Under maintenance"),
            ("secret.test", "a password that is missing", grpc.StatusCode.UNAUTHENTICATED, "A password is needed"),
            ("late.test", "an application that is silent", unavailable, "no answer within 2 seconds"),
            ("untrusted.test", "a certificate that is not accepted", unavailable, "its certificate is not accepted")):
        with Channel(proxy, host) as client:
            code, details = failure(client.one("Hang"), b"hello")
            tap.check(f"the proxy's own words to gRPC: {name}", code == wanted and words in str(details), code, details)
            code, details = failure(client.of_many("Join"), iter([b"x" * 20_000] * 20))
            tap.check(f"the same in the middle of a request: {name}", code == wanted or host in ("late.test", "gone.test"), code, details)
    del gone


def check_leaving(tap, proxy, first, second):
    """An application that stops in good order (GOAWAY) while calls come costs none of them."""
    with Channel(proxy, "two.test") as client:
        seen, failed = set(), []
        stopping = None
        for number in range(600):
            code, said = failure(client.one("Who"), b"")
            if code == grpc.StatusCode.OK:
                seen.add(said)
            else:
                failed.append((number, code, said))
            if number == 200:
                stopping = first.server.stop(PATIENCE)
        tap.check("an application that stops in good order costs no call", not failed and seen == {b"one", b"two"}, failed[:5], seen)
        tap.check("and it does stop", stopping.wait(PATIENCE))
        del second


def certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", folder / f"{name}.key",
                    "-out", folder / f"{name}.cert"], check=True, capture_output=True, timeout=60)
    return (folder / f"{name}.key").read_bytes(), (folder / f"{name}.cert").read_bytes()


def main():
    tap = Tap()
    h2c = {"instance": {"protocol": "h2c"}}
    with tempfile.TemporaryDirectory(prefix="karreg-grpc-test.") as folder:
        key, chain = certificate(pathlib.Path(folder), "inside.test")
        _, other = certificate(pathlib.Path(folder), "other.test")
    plain, first, second, gone = Application(), Application(name=b"one"), Application(name=b"two"), Application()
    gone.server.stop(0).wait(PATIENCE)
    secure = Application(grpc.ssl_server_credentials(((key, chain),)))
    trusting = {"instance": {"protocol": "h2", "ca": chain.decode(), "name": "inside.test"}}
    wary = {"instance": {"protocol": "h2", "ca": other.decode()}}
    closed = h2c | {"maintenance": {"on": True, "html": "<p>back at noon</p>"}}
    secret = h2c | {"basic_auth": {"users": {"anna": "$2b$10$mk3t.57mVmCoy1QOb4tYAuNtJOGeCBVIhtI8jQj2xFgJT2T72ctH."}}}
    with Proxy([route("a.test", h2c, plain), route("two.test", h2c, first, second), route("none.test", h2c),
                route("gone.test", h2c, gone), route("closed.test", closed, plain), route("secret.test", secret, plain),
                route("untrusted.test", wary, secure)]) as proxy:
        check_calls(tap, proxy, plain, "in clear to the application")
        check_leaving(tap, proxy, first, second)
        tap.check("the proxy lives on", proxy.is_alive())
    with Proxy([route("a.test", trusting, secure)]) as proxy:
        check_calls(tap, proxy, secure, "by TLS to the application")
        tap.check("the proxy lives on", proxy.is_alive())
    with Proxy([route("none.test", h2c), route("gone.test", h2c, gone), route("closed.test", closed, plain),
                route("secret.test", secret, plain), route("untrusted.test", wary, secure), route("late.test", h2c, plain)],
               ANSWER_TIMEOUT="2s") as proxy:
        check_own_answers(tap, proxy, gone)
        tap.check("the proxy lives on", proxy.is_alive())
    for application in (plain, second, secure):
        application.server.stop(0)
    return tap.code()


if __name__ == "__main__":
    sys.exit(main())
