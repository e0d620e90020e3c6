"""One order at an ACME server (RFC 8555), by certbot's library (Debian's package python3-acme).

The scheduler runs this as a child process (scheduler/certificates/acme_client.cpp) and speaks with it in lines of JSON. In: what
to order. Out: the challenges. In: whether they may be answered. Out: the chain, or what went wrong. The account's key comes in by
the pipe and the certificate's never comes here, so nothing secret is on a disk.
"""
import datetime
import json
import sys

import josepy
import requests
from acme import client, errors, messages
from cryptography.hazmat.primitives import serialization

# The server is asked again within these for as long as it checks the challenges and makes the certificate.
REQUEST_SECONDS = 30
NONCES = 5


class Refused(Exception):
    """A sentence for the owner of the name."""


class Network(client.ClientNetwork):
    """Takes a fresh nonce as often as the server wants one (RFC 8555 §6.5); the library does so once."""

    def post(self, *args, **kwargs):
        for _ in range(NONCES - 1):
            try:
                return self._post_once(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return self._post_once(*args, **kwargs)


def say(**message):
    print(json.dumps(message), flush=True)


def hear():
    line = sys.stdin.readline()
    if not line:
        raise Refused("the scheduler has gone away")
    return json.loads(line)


def join_account(acme, key, order):
    """The account of the key; made when the server does not know it. To ask each time costs one request and nothing is kept."""
    binding = None
    if order["eab_key_id"]:
        binding = messages.ExternalAccountBinding.from_data(key.public_key(), order["eab_key_id"], order["eab_hmac_key"], acme.directory)
    wish = messages.NewRegistration.from_data(email=order["email"] or None, terms_of_service_agreed=True, external_account_binding=binding)
    try:
        acme.new_account(wish)
    except errors.ConflictError as known:
        acme.net.account = messages.RegistrationResource(uri=known.location, body=messages.Registration())


def pending_challenges(made, kind):
    """Of each name that is not proven yet, the challenge of the kind that we answer."""
    for authorization in made.authorizations:
        if authorization.body.status == messages.STATUS_VALID:
            continue
        offered = {challenge.chall.typ: challenge for challenge in authorization.body.challenges}
        name = authorization.body.identifier.value
        if kind not in offered:
            raise Refused(f"the certificate authority does not offer {kind} for {name}, only {', '.join(sorted(offered))}")
        yield name, offered[kind]


def obtain(order):
    # All of it: what prepares the answer takes its part.
    deadline = datetime.datetime.now() + datetime.timedelta(seconds=order["seconds"])
    private = serialization.load_pem_private_key(order["account_key"].encode(), None)
    key = josepy.JWKEC(key=private)
    net = Network(key, alg=josepy.ES256, verify_ssl=order["ca_file"] or True, user_agent="karreg", timeout=REQUEST_SECONDS)
    acme = client.ClientV2(client.ClientV2.get_directory(order["directory"], net), net)
    join_account(acme, key, order)
    made = acme.new_order(order["csr"].encode())
    answered = list(pending_challenges(made, order["challenge"]))
    say(challenges=[
        {"host": name, "token": body.chall.encode("token"), "key_authorization": body.chall.key_authorization(key)}
        for name, body in answered
    ])
    ready = hear()
    if "failed" in ready:
        raise Refused(ready["failed"])
    for _, body in answered:
        acme.answer_challenge(body, body.chall.response(key))
    return acme.poll_and_finalize(made, deadline).fullchain_pem


def in_words(problem):
    """A problem document (RFC 7807) in one line."""
    told = str(problem.detail or problem.description or problem.typ)
    parts = [f"{part.identifier.value}: {part.detail}" for part in problem.subproblems or () if part.identifier]
    return "; ".join([told, *parts])


def why(error):
    if isinstance(error, errors.ValidationError):
        lines = []
        for authorization in error.failed_authzrs:
            for challenge in authorization.body.challenges:
                if challenge.error is not None:
                    lines.append(f"it could not check {authorization.body.identifier.value} by {challenge.chall.typ}: {in_words(challenge.error)}")
        return "; ".join(lines)
    if isinstance(error, errors.IssuanceError):
        return in_words(error.error)
    if isinstance(error, messages.Error):
        return in_words(error)
    if isinstance(error, errors.TimeoutError):
        return "it did not decide in time"
    if isinstance(error, requests.exceptions.SSLError):
        return f"its own certificate is not trusted here: {error}"
    if isinstance(error, requests.exceptions.RequestException):
        return f"it cannot be reached: {error}"
    return f"{error}" or type(error).__name__


def main():
    order = hear()
    try:
        chain = obtain(order)
    except Refused as refused:
        say(error=str(refused))
    except Exception as error:  # whatever it is, the owner reads it; a stack would tell him nothing
        say(error=f"the certificate authority at {order['directory']} gave no certificate: {why(error)}")
    else:
        say(chain=chain)


main()
