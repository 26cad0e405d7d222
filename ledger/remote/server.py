"""The ledger as a web application: tiles, proofs, look-ups by prefix, appends behind a token.

Format and what each answer gives away: docs/formats/remote.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from assay.ledger.lookup import leaf_keys
from assay.ledger.remote.guard import Guard
from assay.ledger.remote.static import Readable, chosen_note, content
from assay.ledger.remote.tokens import Tokens
from assay.ledger.remote.wire import (
    GROUP,
    MAX_PREFIX_BITS,
    PAGE_BYTES,
    PAGE_FINGERPRINTS,
    PAGE_RECEIPTS,
    parse_json,
    recovery_from_json,
    recovery_to_json,
)
from assay.ledger.tlog.layout import Resource
from assay.ledger.tlog.merkle import leaf_hash
from assay.ledger.tlog.note import Checkpoint, decode_base64, parse_decimal
from assay.ledger.writer import Pending
from assay.provenance.anchor import AnchorRecord
from assay.provenance.entry import Recovery
from assay.provenance.errors import AssayError, InputError, LedgerError, LimitError, UsageError
from assay.provenance.leaf import Leaf, read_leaf
from assay.provenance.receipt import Receipt

IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
FRESH = {"Cache-Control": "no-cache"}
PRIVATE = {"Cache-Control": "no-store"}


class Served(Readable, Protocol):
    """What the server asks of the log; ``assay.ledger.log.SqlLog`` has it."""

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """Return PROOF(old, D[new])."""
        ...

    def receipt(self, index: int, checkpoint: str | None = None) -> Receipt:
        """Return an entry's receipt against a checkpoint of this log."""
        ...

    def find_prefix(self, prefix: int, bits: int) -> Sequence[int]:
        """Return the indices of entries with a key that begins with these bits, ascending."""
        ...

    def fingerprints(self, start: int, limit: int) -> Sequence[tuple[int, str, bytes]]:
        """Return (index, algorithm, value) of the fingerprints kept from an index on, ascending."""
        ...

    def recovery(self, index: int) -> Recovery | None:
        """Return what is kept beside an entry."""
        ...

    def submit(self, entry: Leaf, recovery: Recovery | None = None) -> Pending:
        """Queue one leaf."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """How a ledger is served.

    ``hosts`` are the names by which it may be addressed; ``tokens`` says who may append (None: nobody may);
    ``recovery`` whether recovery records and fingerprints are handed out; ``policy`` is the tlog-policy to show;
    ``anchors`` gives the anchors' records; ``say`` takes a line of the access log, already safe to print.
    """

    hosts: frozenset[str]
    tokens: Tokens | None = None
    recovery: bool = True
    policy: str = ""
    anchors: Callable[[], Sequence[AnchorRecord]] = tuple
    say: Callable[[str], None] = lambda line: None


def application(log: Served, terms: Terms) -> ASGIApp:
    """Return the application; run it with ``assay.ledger.serving.Server`` and ``MAX_APPEND_BYTES``."""
    desk = _Desk(log, terms)
    get = {
        "/checkpoint": desk.checkpoint,
        "/vkey": desk.vkey,
        "/policy": desk.policy,
        "/tile/{rest:path}": desk.tile,
        "/v1/receipt/{index}": desk.receipt,
        "/v1/consistency": desk.consistency,
        "/v1/find": desk.find,
        "/v1/recoveries": desk.recoveries,
        "/v1/fingerprints": desk.fingerprints,
        "/v1/anchors": desk.anchors,
    }
    routes = [Route(path, _answering(endpoint), methods=["GET"]) for path, endpoint in get.items()]
    routes.append(Route("/v1/append", desk.append, methods=["POST"]))
    app = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_thing, Exception: _fault})
    app.router.redirect_slashes = False
    return Guard(app, terms.hosts, terms.say)


class RefusedError(Exception):
    """An answer other than 200: its status, and what to say."""

    def __init__(
        self, status: int, message: str, hint: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self.answer = JSONResponse({"error": message, "hint": hint}, status, {**PRIVATE, **(headers or {})})
        super().__init__(message)


def _refusal(error: AssayError) -> Response:
    status = 400 if isinstance(error, InputError) else 404 if isinstance(error, UsageError) else 503
    return RefusedError(status, error.message, error.hint).answer


def _no_such_thing(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = {404: "there is nothing here", 405: "not with this method"}.get(status, "refused")
    return RefusedError(status, message, "docs/formats/remote.md lists what there is").answer


def _fault(request: Request, error: Exception) -> Response:
    return RefusedError(500, "the server failed").answer  # the error goes on to the guard, which notes it


def _answering(endpoint: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        try:
            return endpoint(request)
        except RefusedError as error:
            return error.answer
        except AssayError as error:
            return _refusal(error)

    return answer


def _number(request: Request, name: str, default: int | None = None) -> int:
    given = request.query_params.getlist(name)
    if not given and default is not None:
        return default
    if len(given) != 1:
        raise RefusedError(400, f"{name} is needed, once")
    try:
        return parse_decimal(given[0])
    except InputError as error:
        raise RefusedError(400, f"{name} is not a plain decimal number") from error


class _Desk:
    """The answers. Those to GET run in a pool of threads; each reads one or several views of the log."""

    def __init__(self, log: Served, terms: Terms) -> None:
        self._log, self._terms = log, terms
        self._appends = _Appends(log)

    def _note(self, request: Request) -> str:
        """Return the checkpoint that this question is about: the head, or with ``cosigned=1`` the newest cosigned."""
        return chosen_note(self._log, cosigned=_number(request, "cosigned", 0) == 1)

    # What tlog-tiles has

    def checkpoint(self, request: Request) -> Response:
        return PlainTextResponse(self._note(request), headers=FRESH)

    def vkey(self, request: Request) -> Response:
        return PlainTextResponse(f"{self._log.vkey}\n", headers=FRESH)

    def policy(self, request: Request) -> Response:
        if not self._terms.policy:
            raise RefusedError(404, "this ledger names no witnesses")
        return PlainTextResponse(self._terms.policy, headers=FRESH)

    def tile(self, request: Request) -> Response:
        try:
            resource = Resource.parse(f"tile/{request.path_params['rest']}")
        except InputError as error:
            raise RefusedError(404, "there is no such tile") from error
        data = content(self._log, resource)
        return Response(data, media_type="application/octet-stream", headers=IMMUTABLE)

    # Proofs and look-ups

    def receipt(self, request: Request) -> Response:
        try:
            index = parse_decimal(request.path_params["index"])
        except InputError as error:
            raise RefusedError(400, "the index is not a plain decimal number") from error
        return PlainTextResponse(self._log.receipt(index, self._note(request)).text, headers=PRIVATE)

    def consistency(self, request: Request) -> Response:
        old, new = _number(request, "old"), _number(request, "new")
        proof = self._log.consistency(old, new)
        return JSONResponse({"proof": [item.hex() for item in proof]}, headers=PRIVATE)

    def find(self, request: Request) -> Response:
        bits, prefix = _number(request, "bits"), _number(request, "prefix")
        if bits > MAX_PREFIX_BITS or prefix >> bits:
            raise RefusedError(
                400, f"a prefix has at most {MAX_PREFIX_BITS} bits, and is a number of so many"
            )
        start = _number(request, "start", 0)
        note = self._note(request)
        size = Checkpoint.peek(note).size
        waiting = [index for index in self._log.find_prefix(prefix, bits) if start <= index < size]
        receipts: list[str] = []
        room = PAGE_BYTES
        for index in waiting[:PAGE_RECEIPTS]:
            if room <= 0:
                break
            receipts.append(self._log.receipt(index, note).text)
            room -= len(receipts[-1])
        following = waiting[len(receipts)] if len(receipts) < len(waiting) else None
        return JSONResponse({"checkpoint": note, "receipts": receipts, "next": following}, headers=PRIVATE)

    # What is kept beside the log

    def _check_shared(self) -> None:
        if not self._terms.recovery:
            raise RefusedError(404, "this ledger does not hand out what it keeps for recovery")

    def recoveries(self, request: Request) -> Response:
        self._check_shared()
        wanted = request.query_params.getlist("index")
        if not 1 <= len(wanted) <= GROUP:
            raise RefusedError(400, f"give 1 to {GROUP} indices")
        indices = [parse_decimal(text) for text in wanted]
        found = [{"index": index, "record": self._record(index)} for index in indices]
        return JSONResponse({"recoveries": found}, headers=PRIVATE)

    def _record(self, index: int) -> Any:
        recovery = self._log.recovery(index)
        try:
            return recovery and recovery_to_json(recovery)
        except LimitError:  # as if it were not kept: it can only be had where it lies
            return None

    def fingerprints(self, request: Request) -> Response:
        self._check_shared()
        size = Checkpoint.peek(self._log.checkpoint()).size
        found = self._log.fingerprints(_number(request, "start", 0), PAGE_FINGERPRINTS)
        following = max(size, found[-1][0] + 1) if found else size  # the log may have grown in between
        if more := len(found) == PAGE_FINGERPRINTS:
            following = found[-1][0]  # of which there may be another, of another algorithm
            found = [item for item in found if item[0] < following]
        rows = [[index, alg, value.hex()] for index, alg, value in found]
        return JSONResponse({"fingerprints": rows, "next": following, "more": more}, headers=PRIVATE)

    def anchors(self, request: Request) -> Response:
        shown = ("name", "kind", "target", "size", "checkpoint", "state", "created", "updated")
        records = [
            {**{name: getattr(record, name) for name in shown}, "root": record.root.hex()}
            for record in self._terms.anchors()
        ]
        return JSONResponse({"anchors": records}, headers=FRESH)

    # Appending

    async def append(self, request: Request) -> Response:
        body = await request.body()
        try:
            return await run_in_threadpool(self._append, request, body)
        except RefusedError as error:
            return error.answer
        except AssayError as error:
            return _refusal(error)

    def _append(self, request: Request, body: bytes) -> Response:
        request.scope["assay.who"] = self._holder(request)
        document = parse_json(body, "the body")
        if not isinstance(document, dict) or set(document) != {"entry", "recovery"}:
            raise RefusedError(400, "the body is a JSON object of entry and recovery")
        try:
            leaf = decode_base64(str(document["entry"]))
            entry = read_leaf(leaf)
            canonical = entry.to_bytes()
        except (LedgerError, UsageError) as error:
            raise RefusedError(400, error.message) from error
        if canonical != leaf:
            raise RefusedError(400, "the entry is not in its canonical form, or has fields not known here")
        kept = None if document["recovery"] is None else recovery_from_json(document["recovery"])
        if (kept.digest if kept else None) != entry.recovery:
            raise RefusedError(400, "the entry does not name the digest of its recovery record")
        return PlainTextResponse(self._appends.append(entry, leaf, kept).text, headers=PRIVATE)

    def _holder(self, request: Request) -> str:
        if self._terms.tokens is None:
            raise RefusedError(403, "this server takes no entries")
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise RefusedError(401, "appending needs a token", headers={"WWW-Authenticate": "Bearer"})
        holder = self._terms.tokens.holder(secret.strip())
        if holder is None:
            raise RefusedError(
                401,
                "the token is not known here",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return holder


class _Appends:
    """Appends each leaf once, however often a client that heard no answer sends it."""

    def __init__(self, log: Served) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._under_way: dict[bytes, Pending] = {}

    def append(self, entry: Leaf, leaf: bytes, recovery: Recovery | None) -> Receipt:
        name = leaf_hash(leaf)
        with self._lock:
            pending = self._under_way.get(name)
            if pending is None:
                for index in self._log.find_prefix(leaf_keys(entry)[0], 64):
                    if list(self._log.leaves(index, index + 1)) == [leaf]:
                        return self._log.receipt(index)
                pending = self._under_way[name] = self._log.submit(entry, recovery)
        try:
            return pending.receipt()
        finally:
            with self._lock:
                self._under_way.pop(name, None)
