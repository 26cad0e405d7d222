"""The witness's HTTP interface (C2SP tlog-witness): add-checkpoint, and the last checkpoint for monitors."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from assay.ledger.witness.witness import Reply, Witness
from assay.provenance.errors import LedgerError


def application(witness: Witness) -> ASGIApp:
    """Return the web application of a witness; submission and monitoring prefix are its root."""

    async def add_checkpoint(request: Request) -> Response:
        body = await request.body()
        return await _answer(lambda: witness.add_checkpoint(body))

    async def checkpoint(request: Request) -> Response:
        origin_hash = request.path_params["origin_hash"]
        return await _answer(lambda: witness.checkpoint(origin_hash))

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{origin_hash}/checkpoint", checkpoint, methods=["GET"]),
        ]
    )


async def _answer(make: Callable[[], Reply]) -> Response:
    """Make a reply on a thread, for it waits for the disk; a memory that fails is answered 503."""
    try:
        reply = await run_in_threadpool(make)
    except LedgerError as error:
        reply = Reply(503, f"{error.message}\n")
    return Response(reply.body.encode(), reply.status, headers={"Content-Type": reply.media_type})
