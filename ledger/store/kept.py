"""The tables of what is kept beside the log: recovery records, cosigned checkpoints, anchors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from assay.ledger.likeness.bands import bands
from assay.ledger.store.schema import (
    anchors_table,
    bands_table,
    checkpoints_table,
    prints_table,
    recoveries_table,
)
from assay.ledger.store.values import number, raw, text
from assay.provenance.anchor import AnchorRecord
from assay.provenance.canonical import load_json
from assay.provenance.entry import Fingerprint, Recovery
from assay.provenance.errors import LedgerError

_PAGE = 64
LAST_INDEX = (1 << 63) - 1
"""Largest index that a column holds."""
_BANDS = 32768
_PRINTS = {"pdq": prints_table.c.pdq, "io.iscc.v0": prints_table.c.iscc}


class RecoveryRows:
    """Recovery records by entry index, erasable one by one, with their fingerprints and the bands that lead there.

    Implements ``assay.ledger.likeness.near.Prints``.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, recoveries: Mapping[int, Recovery], prints: Mapping[int, Mapping[str, bytes]]) -> None:
        """Insert recovery records by entry index, and what they are looked up near: values by algorithm."""
        if recoveries:
            rows = [{"idx": idx, **_columns(recovery)} for idx, recovery in recoveries.items()]
            self._connection.execute(sa.insert(recoveries_table), rows)
        if rows := [{"idx": idx, **_prints_columns(values)} for idx, values in prints.items() if values]:
            self._connection.execute(sa.insert(prints_table), rows)
        keys = [
            {"band": band, "idx": idx}
            for idx, values in prints.items()
            for alg, value in values.items()
            for band in bands(value, alg)
        ]
        if keys:
            self._connection.execute(sa.insert(bands_table), keys)

    def get(self, idx: int) -> Recovery | None:
        """Return what is kept for an entry, None if nothing is or it was erased."""
        if not 0 <= idx <= LAST_INDEX:
            return None
        query = sa.select(recoveries_table).where(recoveries_table.c.idx == idx)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _recovery(row)

    def all(self) -> Iterator[tuple[int, Recovery, dict[str, bytes]]]:
        """Iterate over (index, recovery record, what it is looked up near by algorithm) in order."""
        at = -1
        joined = recoveries_table.outerjoin(prints_table, prints_table.c.idx == recoveries_table.c.idx)
        query = sa.select(recoveries_table, *_PRINTS.values()).select_from(joined)
        while True:
            page = query.where(recoveries_table.c.idx > at).order_by(recoveries_table.c.idx).limit(_PAGE)
            rows = self._connection.execute(page).all()
            for row in rows:
                values = zip(_PRINTS, row[-len(_PRINTS) :], strict=True)
                yield row.idx, _recovery(row), {alg: value for alg, value in values if value is not None}
            if len(rows) < _PAGE:
                return
            at = rows[-1].idx

    def stray_prints(self) -> int:
        """Return how many rows of fingerprints stand beside no recovery record."""
        joined = prints_table.outerjoin(recoveries_table, recoveries_table.c.idx == prints_table.c.idx)
        query = sa.select(sa.func.count()).select_from(joined).where(recoveries_table.c.idx.is_(None))
        return int(self._connection.execute(query).scalar_one())

    def bands(self) -> Iterator[list[tuple[int, int]]]:
        """Iterate over all (band, index) rows, many at a time."""
        query = sa.select(bands_table.c.band, bands_table.c.idx).execution_options(yield_per=_BANDS)
        for part in self._connection.execute(query).partitions():
            yield [(number(band), number(idx)) for band, idx in part]

    def fingerprints(self, start: int = 0, limit: int | None = None) -> Iterator[tuple[int, str, bytes]]:
        """Iterate over (index, algorithm, value) of what is looked up near, from an index on, in order."""
        start = min(start, LAST_INDEX)
        query = sa.select(prints_table.c.idx, *_PRINTS.values()).where(prints_table.c.idx >= start)
        rows = self._connection.execute(query.order_by(prints_table.c.idx).limit(limit))
        yield from islice(
            (
                (idx, alg, bytes(value))
                for idx, *values in rows
                for alg, value in zip(_PRINTS, values, strict=True)
                if value is not None
            ),
            limit,
        )

    def by_bands(self, alg: str, keys: Sequence[int], since: int = 0) -> list[tuple[int, bytes]]:
        """Return (index, value) of the entries from ``since`` on that are stored under one of the band keys."""
        c, value = bands_table.c, _PRINTS[alg]
        query = sa.select(c.idx, value).join(prints_table, prints_table.c.idx == c.idx)
        query = query.where(c.band.in_(keys), c.idx >= since, value.is_not(None))
        return [(idx, bytes(found)) for idx, found in self._connection.execute(query)]

    def prints(self, alg: str) -> Iterator[tuple[int, bytes]]:
        """Iterate over (index, value) of all entries, ascending."""
        value = _PRINTS[alg]
        query = sa.select(prints_table.c.idx, value).where(value.is_not(None)).order_by(prints_table.c.idx)
        for idx, found in self._connection.execute(query.execution_options(yield_per=4096)):
            yield idx, bytes(found)

    def prints_of(self, alg: str, indices: Sequence[int]) -> list[tuple[int, bytes]]:
        """Return (index, value) of those of the entries that have one."""
        value = _PRINTS[alg]
        query = sa.select(prints_table.c.idx, value).where(value.is_not(None))
        rows = self._connection.execute(query.where(prints_table.c.idx.in_(indices)))
        return [(idx, bytes(found)) for idx, found in rows]

    def erase(self, idx: int, keys: Sequence[int]) -> None:
        """Delete an entry's recovery record, its fingerprints and their band keys."""
        self._connection.execute(
            sa.delete(bands_table).where(bands_table.c.idx == idx, bands_table.c.band.in_(keys))
        )
        self._connection.execute(sa.delete(prints_table).where(prints_table.c.idx == idx))
        self._connection.execute(sa.delete(recoveries_table).where(recoveries_table.c.idx == idx))

    def bands_of(self, idx: int, keys: Sequence[int]) -> int:
        """Return how many of the band keys lead to an entry."""
        query = sa.select(sa.func.count()).where(bands_table.c.idx == idx, bands_table.c.band.in_(keys))
        return int(self._connection.execute(query).scalar_one())


def _prints_columns(values: Mapping[str, bytes]) -> dict[str, bytes | None]:
    return {column.name: values.get(alg) for alg, column in _PRINTS.items()}


def _columns(recovery: Recovery) -> dict[str, object]:
    mark = recovery.fingerprint
    return {
        "fingerprint_alg": mark.alg if mark else None,
        "fingerprint": mark.value if mark else None,
        "quality": mark.quality if mark else None,
        "salt": recovery.salt,
        "sketch": recovery.sketch,
        "manifest": recovery.manifest,
        "bindings": json.dumps(recovery.bindings) if recovery.bindings else None,
    }


def _recovery(row: Any) -> Recovery:
    fingerprint = None
    if row.fingerprint_alg is not None:
        fingerprint = Fingerprint(text(row.fingerprint_alg), raw(row.fingerprint), number(row.quality))
    return Recovery(raw(row.salt), fingerprint, raw(row.sketch), raw(row.manifest), _bindings(row.bindings))


def _bindings(stored: object) -> tuple[tuple[str, str], ...]:
    """Read soft bindings; what cannot be read becomes one that no record has, so that its digest is wrong."""
    if stored is None:
        return ()
    try:
        return tuple((str(alg), str(value)) for alg, value in load_json(raw(stored)))
    except (ValueError, TypeError):
        return (("unreadable", ""),)


class CheckpointRows:
    """Checkpoint notes that carry more than the log's own signature, by tree size."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def put(self, size: int, note: str) -> None:
        """Store a note, replacing the one of its size."""
        self._connection.execute(sa.delete(checkpoints_table).where(checkpoints_table.c.size == size))
        self._connection.execute(sa.insert(checkpoints_table).values(size=size, note=note))

    def newest(self, least: int = 0) -> str | None:
        """Return the note of the largest size, None if there is none of at least ``least``."""
        c = checkpoints_table.c
        query = sa.select(c.note).where(c.size >= least).order_by(c.size.desc()).limit(1)
        found = self._connection.execute(query).scalar()
        return None if found is None else text(found)

    def get(self, size: int) -> str | None:
        """Return the note of a size."""
        query = sa.select(checkpoints_table.c.note).where(checkpoints_table.c.size == size)
        found = self._connection.execute(query).scalar()
        return None if found is None else text(found)

    def all(self) -> list[tuple[int, str]]:
        """Return all notes with their sizes, smallest first."""
        query = sa.select(checkpoints_table).order_by(checkpoints_table.c.size)
        return [(size, text(note)) for size, note in self._connection.execute(query)]


class AnchorRows:
    """The anchors' records, each with a version that grows when it is changed."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, record: AnchorRecord) -> int:
        """Insert a record and return its new id; its version is 1."""
        values = _anchor_columns(record)
        made = self._connection.execute(sa.insert(anchors_table).values(version=1, **values))
        assert made.inserted_primary_key is not None
        return int(made.inserted_primary_key[0])

    def replace(self, record: AnchorRecord, version: int) -> bool:
        """Replace the record with this id if it still has the version; says whether it had."""
        c = anchors_table.c
        change = sa.update(anchors_table).where(c.id == record.id, c.version == version)
        values = {**_anchor_columns(record), "version": version + 1}
        return self._connection.execute(change.values(**values)).rowcount == 1

    def all(self, name: str = "") -> list[tuple[int, AnchorRecord]]:
        """Return (version, record) of one anchor, or of all, oldest first."""
        query = sa.select(anchors_table).order_by(anchors_table.c.id)
        if name:
            query = query.where(anchors_table.c.name == name)
        return [(row.version, _anchor(row)) for row in self._connection.execute(query)]


_ANCHOR_COLUMNS = ("name", "kind", "target", "size", "root", "checkpoint", "state", "created", "updated")


def _anchor_columns(record: AnchorRecord) -> dict[str, Any]:
    return {
        **{name: getattr(record, name) for name in _ANCHOR_COLUMNS},
        "detail": json.dumps(dict(record.detail), sort_keys=True),
    }


def _anchor(row: Any) -> AnchorRecord:
    values = {name: text(getattr(row, name)) for name in _ANCHOR_COLUMNS if name not in ("size", "root")}
    try:
        detail = load_json(raw(row.detail))
        if not isinstance(detail, dict):
            raise TypeError("not an object")
    except (ValueError, TypeError) as error:
        raise LedgerError(
            f"the record of anchor {row.id} cannot be read: its detail is no JSON object",
            hint="it was changed",
        ) from error
    return AnchorRecord(**values, size=number(row.size), root=raw(row.root), detail=detail, id=row.id)
