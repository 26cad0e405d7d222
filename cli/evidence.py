"""Writing evidence bundles, and making their reports again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from assay.provenance.media import Kind
    from assay.provenance.replay import RecordingKeeper, RecordingLog
    from assay.provenance.report import Report
    from assay.provenance.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Recorder:
    """Notes what a workspace's ledger and anchors answer while it verifies."""

    log: RecordingLog
    keeper: RecordingKeeper | None

    @classmethod
    def of(cls, workspace: Workspace) -> Recorder:
        """Put recorders in the places of a workspace's ledger and anchors."""
        from assay.provenance.anchor import Keeper
        from assay.provenance.protocols import Log
        from assay.provenance.replay import RecordingKeeper, RecordingLog

        kept = workspace.keeper
        made = cls(RecordingLog(workspace.log), RecordingKeeper(kept) if kept else None)
        workspace.log = cast(Log, made.log)
        workspace.keeper = cast("Keeper | None", made.keeper)
        return made


def write_evidence(
    path: Path,
    report: Report,
    workspace: Workspace,
    recorder: Recorder,
    checks: Sequence[str] | None,
    policy: str | None = None,
) -> None:
    """Write a report and all that it rests on.

    ``checks`` are those that were asked for, None for all; ``policy`` the policy that was, None for the workspace's.
    """
    from assay.provenance.dossier import Dossier, write_dossier
    from assay.provenance.files.atomic import atomic_output
    from assay.provenance.furnish import TRUST
    from assay.provenance.page import page
    from assay.provenance.policy import policy_bytes
    from assay.provenance.sign import VERSION
    from assay.provenance.testimony import explanations_in, readings_in

    html = page([(report, workspace.preview(report))], title="Assay report").encode()
    settings = workspace.settings
    models = _own_models(workspace)
    replay: dict[str, Any] = {
        "time": report.time,
        "checks": None if checks is None else list(checks),
        "settings": {
            "policy": report.policy.partition("/")[0],
            "read_marks": list(settings.read_marks),
            "detectors": list(settings.detectors),
        },
        "origin": recorder.log.log.origin,
        "ledger": recorder.log.memory,
        "anchors": recorder.keeper.memory if recorder.keeper else None,
        "marks": readings_in(report.evidence) if settings.mark_keys else None,
        "detectors": explanations_in(report.evidence) if models else None,
    }
    given = Dossier(
        report=report,
        html=html,
        replay=replay,
        policy=policy_bytes(policy or settings.policy),
        trust=workspace.home / TRUST,
        vkey=recorder.log.log.vkey,
        software=f"Assay/{VERSION}",
        ledger=_proofs(workspace, recorder),
        models=models,
    )
    with atomic_output(path, overwrite=True) as stream:
        write_dossier(stream, given)


def _own_models(workspace: Workspace) -> dict[str, bytes]:
    """Return the cards and the panel of a workspace's own detectors, by file name; {} where it has none."""
    from assay.detect.card import MAX_CARD_BYTES
    from assay.detect.store import FOLDER, read_file

    folder = workspace.home / FOLDER
    return {path.name: read_file(path, MAX_CARD_BYTES) for path in sorted(folder.glob("*.json"))}


def _proofs(workspace: Workspace, recorder: Recorder) -> dict[str, bytes]:
    """Return the ledger's own bundle of the entries that it led to, unpacked; {} where it is elsewhere or has none."""
    import tempfile
    import zipfile

    from assay.cli.export import anchored_of, policy_of
    from assay.ledger.custody.bundle import Item, export
    from assay.ledger.log import SqlLog
    from assay.provenance.errors import LedgerError
    from assay.provenance.replay import receipts_in
    from assay.provenance.sign import VERSION

    log, indices = recorder.log.log, sorted(receipts_in(recorder.log.memory))
    if not isinstance(log, SqlLog) or not indices:
        return {}
    with suppress(LedgerError), tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bundle.zip"
        anchored = anchored_of(workspace) if recorder.keeper else []
        items = [Item(index) for index in indices]
        export(
            log, out, items, policy=policy_of(workspace, log), software=f"Assay/{VERSION}", anchored=anchored
        )
        with zipfile.ZipFile(out) as archive:
            return {m.filename.partition("/")[2]: archive.read(m) for m in archive.infolist()}
    return {}


@dataclass(frozen=True, slots=True)
class Layer:
    """What came of checking one layer of a bundle: ``ok``, ``failed`` or ``not checked``, and why in words."""

    name: str
    state: str
    says: str


CONDITIONS = ("engines", "sandbox")
"""Fields of a report that say by what and how it was made, not what was found."""


def check_evidence(path: Path) -> tuple[list[Layer], list[str]]:
    """Check a bundle and make its report again; return the layers, and the fields that differ.

    Raises InputError where the bundle cannot be read at all.
    """
    import tempfile

    from assay.provenance.dossier import read_replay, unpack_dossier
    from assay.provenance.errors import MalformedError

    with tempfile.TemporaryDirectory(prefix="assay-") as name:
        folder = Path(name) / "evidence"
        folder.mkdir()
        try:
            count = unpack_dossier(path, folder)
        except MalformedError as error:
            if "was changed" not in error.message:
                raise
            return [Layer("files", "failed", error.message)], []
        layers = [Layer("files", "ok", f"{count} files, as the manifests list them")]
        replay = read_replay(folder)
        layers.append(_ledger(folder, replay))
        layers += _recorded(folder, replay)
        layer, differ = _report(folder, Path(name) / "home", replay)
        return [*layers, layer], differ


def _ledger(folder: Path, replay: dict[str, Any]) -> Layer:
    from assay.ledger.tlog.proof import verify_receipt
    from assay.provenance.replay import receipts_in

    key = (folder / "data/ledger/keys").read_text("ascii", "replace").strip()
    receipts = receipts_in(replay["ledger"])
    for index, text in sorted(receipts.items()):
        problem = verify_receipt(text, [key])
        if problem:
            return Layer("ledger", "failed", f"entry {index}: {problem}")
    if not receipts:
        return Layer("ledger", "not checked", "it led to no entry")
    return Layer("ledger", "ok", f"{len(receipts)} receipts verify with the key that came along")


def _recorded(folder: Path, replay: dict[str, Any]) -> list[Layer]:
    """Return a layer for what cannot be made again here and is taken as it was recorded."""
    layers = []
    if replay["marks"] is not None:
        says = "read with secret keys, which are not in here: what was read with them is taken as recorded"
        layers.append(Layer("marks", "not checked", says))
    if replay["detectors"] is not None:
        says = f"not in here, what they said is taken as recorded: {_weights(folder)}"
        layers.append(Layer("models", "not checked", says))
    return layers


def _weights(folder: Path) -> str:
    """Return the names of the models that a bundle holds cards of, with the digests of their weights."""
    from assay.detect.card import Card
    from assay.provenance.errors import InputError

    names = []
    for path in sorted((folder / "data/models").glob("*.json")):
        try:
            names.append(f"{path.stem} (weights sha256:{Card.from_bytes(path.read_bytes()).weights.sha256})")
        except InputError:  # the panel, or what an older program wrote
            names.append(path.stem)
    return ", ".join(names) or "models without a card"


def _report(folder: Path, home: Path, replay: dict[str, Any]) -> tuple[Layer, list[str]]:
    from assay.provenance.canonical import load_json
    from assay.provenance.dossier import differences, report_bytes
    from assay.provenance.text import safe_text

    kept = (folder / "data/report.json").read_bytes()
    made = report_bytes(_make_again(folder, home, replay))
    if made == kept:
        return Layer("report", "ok", "made again, it is the same byte for byte"), []
    try:
        differ = list(differences(load_json(made), load_json(kept))) or ["its spelling"]
    except ValueError as error:
        return Layer("report", "failed", f"it cannot be read: {safe_text(error, 120)}"), []
    if all(place.partition(".")[0] in CONDITIONS for place in differ):
        words = "the same result, made by other versions or under other conditions"
        return Layer("report", "not checked", words), differ
    return Layer("report", "failed", f"made again, it differs in {len(differ)} places"), differ


def _make_again(folder: Path, home: Path, replay: dict[str, Any]) -> Report:
    """Examine the bundle's file at its time, with its lists and the answers that it recorded."""
    import datetime as dt
    import shutil
    from dataclasses import replace

    from assay.ledger.remote.wire import parse_json, recovery_from_json
    from assay.ledger.tlog.proof import read_receipt, verify_receipt
    from assay.provenance.anchor import Keeper
    from assay.provenance.errors import MalformedError
    from assay.provenance.furnish import TRUST
    from assay.provenance.protocols import Log
    from assay.provenance.replay import ReplayedKeeper, ReplayedLog
    from assay.provenance.settings import Settings

    key = (folder / "data/ledger/keys").read_text("ascii", "replace").strip()
    home.mkdir()
    shutil.copytree(folder / "data/trust", home / TRUST)
    try:
        now = dt.datetime.fromisoformat(replay["time"])
        named = replay["settings"]
        settings = Settings(
            ledger="none",
            origin=replay["origin"],
            log_key="",
            key="",
            chain="",
            read_marks=tuple(map(str, named["read_marks"])),
            detectors=tuple(map(str, named["detectors"])),
            policy=str(folder / "data/policy.toml"),
        )
        checks = None if replay["checks"] is None else tuple(map(str, replay["checks"]))
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedError("its replay.json cannot be read") from error
    workspace = _replaying(replay)(home, settings, now=lambda: now)
    log = ReplayedLog(
        replay["origin"],
        replay["ledger"],
        lambda data: recovery_from_json(parse_json(data, "a recovery record")),
        read_receipt,
        lambda receipt: verify_receipt(receipt, [key]),
    )
    anchors = replay.get("anchors")
    workspace.log = cast(Log, log)
    workspace.keeper = None if anchors is None else cast(Keeper, ReplayedKeeper(anchors))
    report = workspace.verify(folder / f"data/asset.{replay['suffix']}", checks=checks)
    return replace(report, asset=replace(report.asset, path=Path(replay["path"])))


def _replaying(replay: dict[str, Any]) -> type[Workspace]:
    """Return a workspace whose own keys' readings, and own models' opinions, are those that were recorded."""
    from assay.provenance.plugins import detector_kinds
    from assay.provenance.protocols import Detector, TimedDetector, Watermark
    from assay.provenance.testimony import RecordedDetector, RecordedReader, RecordedTimedDetector
    from assay.provenance.workspace import Workspace

    marks, detectors = replay["marks"], replay["detectors"]

    class Replaying(Workspace):
        def readers(self, kind: Kind) -> list[Watermark]:
            if marks is None:
                return super().readers(kind)
            return [RecordedReader(record) for record in marks]

        def detector(self, name: str) -> Detector | TimedDetector:
            if detectors is None or name not in detectors:
                return super().detector(name)
            timed = RecordedTimedDetector.kinds & detector_kinds(name)
            return (RecordedTimedDetector if timed else RecordedDetector)(name, detectors[name])

    return Replaying
