#!/usr/bin/python3
"""The vectors of llhttp, the parser of Node, read by the parser of the proxy. Prints TAP.

The vectors are not ours and not in this tree: KARREG_LLHTTP_VECTORS names a checkout of nodejs/llhttp (the folder that has
test/request). Its pages of Markdown hold a message and the log of what llhttp read. What a vector says is compared with what
build/PRESET/tests/read_messages says: the method, target, status, fields and body of each message, and whether it is refused.

Where we refuse what llhttp takes, STRICTER says why; where we take what it refuses, LOOSER does. A vector that differs and is in
neither fails, and so does a line of them that no vector needs. Modes of llhttp that forgive (lenient-*) are not ours: there the
message is only read, so that it is seen to end neither in a crash nor in a wait.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from proxy_process import programs_folder  # noqa: E402
from tap import Tap  # noqa: E402

STRICTER = {
    "until the application has said 101, what follows is the next request, also after one that asks for another protocol: nobody "
    "may hide one there (RFC 9110 section 7.8)": [
        "request/connection: Multiple tokens with folding and LWS", "request/connection: Upgrade GET request",
        "request/connection: Upgrade POST request", "request/connection: Emitting part of body and pausing"],
    "the head is cut off in a field's name; here the verdict comes with the empty line that ends it": [
        "request/finish: It should be unsafe to finish inside of the header"],
    "CONNECT asks for a tunnel, which the proxy does not offer (RFC 9110 section 9.3.6: 405)": [
        "request/method: CONNECT request", "request/method: CONNECT request with CAPS", "request/method: CONNECT with body",
        "request/uri: Underscore in hostname"],
    "another protocol: ICE, RTSP, HTTP/2 without TLS, HTTP/0.9 (RFC 9112 section 2.3)": [
        "request/method: SOURCE request with ICE", "request/method: OPTIONS request with RTSP",
        "request/method: ANNOUNCE request with RTSP", "request/method: PRI request HTTP2", "request/sample: No HTTP version",
        "response/sample: RTSP response", "response/sample: ICE response", "response/sample: HTTP version 0.9"],
    "a coding besides chunked, which is not understood here and must not be guessed at (RFC 9112 section 6.1: 501)": [
        "request/transfer-encoding: POST with `chunked` as last transfer-encoding",
        "request/transfer-encoding: POST with `chunked` as last transfer-encoding (multiple headers)",
        "response/transfer-encoding: `chunked` before other transfer-encoding",
        "response/transfer-encoding: multiple transfer-encoding where chunked is not the last one",
        "response/transfer-encoding: `chunkedchunked` transfer-encoding does not enable chunked enconding"],
    "empty lines may stand before a request, but before no answer (RFC 9112 section 2.2)": [
        "response/connection: HTTP 304 with Content-Length", "response/connection: HTTP 100 first, then 400",
        "response/pipelining: Should parse multiple events", "response/sample: Response starting with CRLF"],
}
LOOSER = {
    "what comes after the last message of a connection is never looked at, nor passed on (RFC 9112 section 9.6)": [
        "request/connection: No restart when keep-alive is off (1.0)",
            "request/connection: CRLF between requests, explicit `close`",
        "request/connection: CRLF between requests, explicit `close` followed by tab",
        "response/connection: HTTP/1.1 with keep-alive disabled and 204 status",
        "response/connection: HTTP/1.1 with keep-alive disabled, content-length"],
    "a method is any token, and the application's to know (RFC 9110 section 9.1)": [
        "request/invalid: HTTP protocol and ANNOUNCE method", "request/invalid: Invalid method"],
    "chunk extensions are read over and dropped whatever they say; only where their line ends counts (RFC 9112 section 7.1.1)": [
        "request/transfer-encoding: No extension after semicolon",
        "request/transfer-encoding: Unbalanced chunk extensions quoting",
        "response/transfer-encoding: No extension after semicolon",
        "response/transfer-encoding: Unbalanced chunk extensions quoting"],
    "bytes over 0x7f of a target are passed on as they came, so that they mean what they mean to the application; this target is "
    "refused for its fragment (RFC 9112 section 3.2)": ["request/uri: Disallow UTF-8 in URI path in strict mode"],
}


def names_in(table):
    return {name for names in table.values() for name in names}


class Vector:
    def __init__(self, page, title, kind, meta, message, log):
        self.page, self.title, self.kind, self.meta, self.message, self.log = page, title, kind, meta, message, log
        self.name = f"{page}: {title}"


def bytes_of(text):
    """The message as llhttp's own runner makes it (test/md-test.ts)."""
    text = text.removesuffix("\n")
    text = re.sub(r"\\(\r\n|\r|\n)", "", text)
    text = re.sub(r"\r\n|\r|\n", "\r\n", text)
    for escaped, meant in ((r"\r", "\r"), (r"\n", "\n"), (r"\t", "\t"), (r"\f", "\f")):
        text = text.replace(escaped, meant)
    text = re.sub(r"\\x([0-9a-fA-F]+)", lambda m: chr(int(m[1], 16) & 0xFF), text)
    text = re.sub(r"\\([0-7]{1,3})", lambda m: chr(int(m[1], 8) & 0xFF), text)
    # Of the JavaScript in them there is one form: 'text'.repeat(number).
    text = re.sub(r"\$\{'(.*?)'\.repeat\((\d+)\)\}", lambda m: m[1] * int(m[2]), text)
    if "${" in text:
        raise ValueError("JavaScript that is not understood here")
    return text.encode("utf-8" if any(ord(c) > 0xFF for c in text) else "latin-1")


def vectors_of(folder):
    for page in sorted(folder.glob("re*/*.md")):
        text = page.read_text()
        headings = [(m.start(), m[1]) for m in re.finditer(r"^#+ (.*)$", text, re.MULTILINE)]
        found = re.finditer(r"<!-- *meta=(\{.*?\}) *-->\s*```http\n((?:(?!^```).)*)^```(?:(?!```).)*```log\n(.*?)^```", text,
            re.MULTILINE | re.DOTALL)
        seen = {}
        for match in found:
            title = [t for at, t in headings if at < match.start()][-1].strip()
            seen[title] = seen.get(title, 0) + 1
            meta = json.loads(match[1])
            if seen[title] > 1:
                title += f" ({seen[title]})"
            yield Vector(f"{page.parent.name}/{page.stem}", title, page.parent.name, meta, bytes_of(match[2]), match[3])


class Expected:
    """What llhttp's log says: messages as read, and the error at the end."""

    def __init__(self, log):
        self.messages, self.error = [], None
        name = value = ""
        for line in log.splitlines():
            span = re.match(r'off=\d+ len=\d+ span\[([\w.]+)\]=(?:"(.*)"|(lf|cr))$', line)
            if span:
                text = {"lf": "\n", "cr": "\r"}.get(span[3], span[2])
                text = "" if text is None else text.replace("\\t", "\t").replace("\\f", "\f")
                self._span(span[1], text)
            elif line.endswith(" message begin"):
                self.messages.append({"fields": [], "body": "", "complete": False, "head": False, "method": "", "url": "",
                                      "status": "", "name": "", "value": ""})
            elif line.endswith(" header_value complete"):
                last = self.messages[-1]
                if not last["head"]:
                    last["fields"].append((last["name"], last["value"].strip(" \t")))
                last["name"] = last["value"] = ""
            elif re.match(r"off=\d+ headers complete", line):
                self.messages[-1]["head"] = True
                code = re.search(r" status=(\d+)", line)
                self.messages[-1]["code"] = int(code[1]) if code else 0
            elif line.endswith(" message complete"):
                self.messages[-1]["complete"] = True
            else:
                error = re.match(r'off=\d+ error code=(\d+) reason="(.*)"', line)
                # 21 to 23: pauses that were asked for, or because another protocol follows.
                if error and int(error[1]) not in (21, 22, 23):
                    self.error = error[2]

    def _span(self, kind, text):
        key = {"method": "method", "url": "url", "status": "status", "header_field": "name", "header_value": "value",
               "body": "body"}.get(kind)
        if key and self.messages:
            self.messages[-1][key] += text


def difference(vector, expected, ours):
    """What of the messages that both have taken was read in two ways; None: nothing."""
    for theirs, mine in zip(expected.messages, ours):
        if not theirs["head"] or "fields" not in mine:
            continue
        if vector.kind == "request" and (theirs["method"], theirs["url"]) != (mine["method"], mine["target"]):
            return f"request line: {theirs['method']} {theirs['url']} there, {mine['method']} {mine['target']} here"
        if vector.kind == "response" and theirs["code"] != mine["status"]:
            return f"status: {theirs['code']} there, {mine['status']} here"
        if [list(f) for f in theirs["fields"]] != mine["fields"]:
            return f"fields: {theirs['fields']} there, {mine['fields']} here"
        if theirs["complete"] and mine["complete"] and theirs["body"] != mine["body"]:
            return f"body: {theirs['body']!r} there, {mine['body']!r} here"
    return None


def main():
    tap = Tap()
    sentence = "the proxy reads llhttp's vectors as llhttp does, or is stricter for a reason"
    named = os.environ.get("KARREG_LLHTTP_VECTORS")
    folder = pathlib.Path(named) / "test" if named else None
    if folder is None or not (folder / "request").is_dir():
        where = f"there is no {folder}/request" if folder else "KARREG_LLHTTP_VECTORS is not set"
        tap.skip(sentence, f"{where}: give it the folder of a checkout of nodejs/llhttp")
        return tap.code()
    reader = programs_folder().parent / "tests" / "read_messages"
    count = dict.fromkeys(("vectors", "alike", "refused alike", "stricter", "looser", "lenient, only read"), 0)
    used, wrong = set(), []
    for vector in vectors_of(folder):
        count["vectors"] += 1
        done = subprocess.run([reader, vector.kind], input=vector.message, capture_output=True, timeout=20)
        ours = [json.loads(line) for line in done.stdout.splitlines()]
        # A head is judged when it is whole; a vector may end where llhttp has seen enough.
        if ours and not ours[-1]["complete"] and not ours[-1].keys() & {"refused", "fields"}:
            done = subprocess.run([reader, vector.kind], input=vector.message + b"\r\n\r\n", capture_output=True, timeout=20)
            whole = [json.loads(line) for line in done.stdout.splitlines()][:len(ours)]
            ours = whole if whole and "refused" in whole[-1] else ours
        if done.returncode != 0:
            wrong.append(f"{vector.name}: read_messages ended with {done.returncode}: {done.stderr.decode()}")
            continue
        if "lenient" in vector.meta["type"]:
            count["lenient, only read"] += 1
            continue
        expected = Expected(vector.log)
        refused = next((m["refused"]["why"] for m in ours if "refused" in m), None)
        apart = difference(vector, expected, ours)
        if apart:
            wrong.append(f"{vector.name}: {apart}")
        elif refused and not expected.error:
            used.add(vector.name)
            count["stricter"] += 1
            if vector.name not in names_in(STRICTER):
                wrong.append(f"{vector.name}: refused here, for {refused!r}")
        elif expected.error and not refused:
            used.add(vector.name)
            count["looser"] += 1
            if vector.name not in names_in(LOOSER):
                wrong.append(f"{vector.name}: refused there, for {expected.error!r}; here: {ours}")
        else:
            count["refused alike" if refused else "alike"] += 1
    wrong += [f"{name}: in a table of this file, but no vector needs it" for name in (names_in(STRICTER) | names_in(LOOSER)) - used]
    Tap.say(", ".join(f"{number} {what}" for what, number in count.items()))
    pages = "".join(page.read_text() for page in folder.glob("re*/*.md"))
    tap.check("every vector of its pages was found", count["vectors"] == len(re.findall("<!-- *meta=", pages)), count)
    tap.check(sentence, not wrong, "\n".join(wrong))
    return tap.code()


if __name__ == "__main__":
    sys.exit(main())
