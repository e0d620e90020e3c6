#!/usr/bin/python3
"""The stories of http2jp/hpack-test-case: heads as other encoders compress them, read by the proxy. Prints TAP.

The stories are not ours and not in this tree: KARREG_HPACK_STORIES names a checkout. Those of requests, of every encoder that keeps to
the table of 4 096 bytes that the proxy allows, are sent to a running karreg-proxy as the requests they are, each story on one
connection; its application must get the fields that the story says. All stories, also those of answers and of other tables, are read
by the decoder of the library that the proxy uses.
"""
import json
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from http2_wire import CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PROTOCOL_ERROR, Client, Inflater, frame  # noqa: E402
from proxy_process import App, Proxy, hello, route  # noqa: E402
from tap import Tap  # noqa: E402

SENTENCES = ("the decoder reads every story of every encoder",
    "applications get the fields of every request that other encoders compressed")
LARGEST = 16384
# Fields that the proxy does not pass on, or says itself.
NOT_PASSED = {
    b"host", b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"forwarded", b"x-request-id",
    b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"transfer-encoding", b"content-length",
    b"traceparent"}
# Of one connection only: a request with one is malformed and its stream reset (RFC 9113 section 8.2.2). The stories have such.
FORBIDDEN = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}


def stories(folder):
    for file in sorted(folder.glob("*/story_*.json")):
        cases = json.loads(file.read_text())["cases"]
        if all("wire" in case for case in cases):
            yield f"{file.parent.name}/{file.stem}", cases


def fields_of(case):
    return [(name.encode(), value.encode()) for header in case["headers"] for name, value in header.items()]


def check_decoder(tap, all_stories):
    heads, wrong = 0, []
    for name, cases in all_stories:
        decoder = Inflater()
        for case in cases:
            if case.get("header_table_size"):
                decoder.allow_table(case["header_table_size"])
            try:
                got = decoder.fields(bytes.fromhex(case["wire"]))
            except ValueError as error:
                wrong.append(f"{name}, {case['seqno']}: {error}")
                break
            heads += 1
            if got != fields_of(case):
                wrong.append(f"{name}, {case['seqno']}: {got}")
                break
    tap.say(f"{len(all_stories)} stories, {heads} heads through the decoder")
    tap.check(SENTENCES[0], heads > 0 and not wrong, "\n".join(wrong))


def requests_that_can_be_sent(all_stories):
    for name, cases in all_stories:
        usual = all((case.get("header_table_size") or 4096) == 4096 for case in cases)
        if usual and all(b":authority" in dict(fields_of(case)) for case in cases):
            yield name, cases


def passed_on(fields):
    """What an application must get of them, in any order; a cookie's crumbs are one (RFC 9113 section 8.2.3)."""
    out = [(name, value.strip(b" \t")) for name, value in fields if not name.startswith(b":") and name not in NOT_PASSED
        and name != b"cookie"]
    crumbs = [value for name, value in fields if name == b"cookie"]
    return sorted(out + ([(b"cookie", b"; ".join(crumbs))] if crumbs else []))


def received(request):
    line, *rest = request.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
    fields = [tuple(part.strip(b" ") for part in field.split(b":", 1)) for field in rest]
    lower = [(name.lower(), value) for name, value in fields]
    return line, dict(lower).get(b"host"), passed_on(lower)


def send_head(client, stream, wire):
    client.send(frame(HEADERS, END_STREAM | (END_HEADERS if len(wire) <= LARGEST else 0), stream, wire[:LARGEST]))
    for at in range(LARGEST, len(wire), LARGEST):
        client.send(frame(CONTINUATION, END_HEADERS if at + LARGEST >= len(wire) else 0, stream, wire[at:at + LARGEST]))


def tell(proxy, app, cases):
    """What was not as it should be of one story; None: nothing."""
    client = Client(proxy.tls_client())
    try:
        for number, case in enumerate(cases):
            stream, fields = 1 + 2 * number, fields_of(case)
            send_head(client, stream, bytes.fromhex(case["wire"]))
            client.until(lambda: client.is_done(stream))
            got = app.taken()
            if FORBIDDEN & dict(fields).keys():
                if client.reset(stream) != PROTOCOL_ERROR or got:
                    return f"{number}: a field that is forbidden was taken: {fields}, {got}"
                continue
            if client.status(stream) != 200 or len(got) != 1:
                return f"{number}: status {client.status(stream)}, reset {client.reset(stream)}, GOAWAY {client.goaway()}, {got}"
            line, host, rest = received(got[0])
            said = dict(fields)
            if line != said[b":method"] + b" " + said[b":path"] + b" HTTP/1.1" or host != said[b":authority"] or rest != passed_on(fields):
                return f"{number}: {fields} became {got[0]}"
        return None
    finally:
        client.close()


def check_requests(tap, all_stories):
    chosen = list(requests_that_can_be_sent(all_stories))
    hosts = {dict(fields_of(case))[b":authority"].decode() for _, cases in chosen for case in cases}
    app = App(hello)
    wrong, requests, refused = [], 0, 0
    with Proxy([route(re.sub(r":\d+$", "", host).lower(), app) for host in hosts]) as proxy:
        for name, cases in chosen:
            problem = tell(proxy, app, cases)
            requests += len(cases)
            refused += sum(1 for case in cases if FORBIDDEN & dict(fields_of(case)).keys())
            if problem:
                wrong.append(f"{name}, {problem}")
    app.stop()
    tap.say(f"{len(chosen)} stories of {len({name.split('/')[0] for name, _ in chosen})} encoders, "
            f"{requests} requests through the proxy, {refused} of them with fields that are refused")
    tap.check(SENTENCES[1], requests > refused and not wrong, "\n".join(wrong[:10]))


def main():
    tap = Tap()
    named = os.environ.get("KARREG_HPACK_STORIES")
    all_stories = list(stories(pathlib.Path(named))) if named else []
    if not all_stories:
        where = f"there is no story in {named}" if named else "KARREG_HPACK_STORIES is not set"
        for sentence in SENTENCES:
            tap.skip(sentence, f"{where}: give it the folder of a checkout of http2jp/hpack-test-case")
        return tap.code()
    check_decoder(tap, all_stories)
    check_requests(tap, all_stories)
    return tap.code()


if __name__ == "__main__":
    sys.exit(main())
