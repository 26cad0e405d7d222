"""Where models lie, shipped ones and a workspace's own; what may be added to them. Format: docs/formats/model.md."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from assay.detect import runtime, tensors
from assay.detect.card import (
    CROPS,
    FRAMES,
    MAX_CARD_BYTES,
    MAX_WEIGHTS_BYTES,
    NAME,
    UNMEASURED,
    VECTORS,
    Card,
    Input,
    Weights,
)
from assay.detect.graph import read_graph
from assay.provenance.errors import (
    AssayError,
    ConfigurationError,
    InputError,
    LimitError,
    MalformedError,
    UnsupportedError,
    UsageError,
)
from assay.provenance.files.atomic import atomic_output
from assay.provenance.files.sniff import open_regular
from assay.provenance.text import safe_text

SHIPPED = Path(__file__).with_name("models")
"""Models that come with Assay: a folder each."""
FOLDER = "models"
"""The folder of a workspace's own models."""
CARD = "card.json"
"""A shipped model's card, and the card looked for in a folder that is added."""
PANEL_FILE = "panel.json"
"""What fuses them (``panels``): it lies beside the cards, and no model may have its name."""
_SAFETENSORS_HEADER = 100_000_000  # bytes; the format's own limit
_ARCHITECTURE = "name the right architecture and its settings in the card, or use weights made for this one"
# What other files of weights begin with, and what to say of them.
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "is a zip archive, in which torch.save puts a pickle: a program that runs when it is opened"),
    (0, b"\x89HDF", "is HDF5"),
    (0, b"\x1f\x8b", "is compressed with gzip"),
    (0, b"\x93NUMPY", "is an array of numpy"),
    (0, b"GGUF", "is GGUF"),
    (4, b"ORTM", "is in ONNX Runtime's own format"),
    (4, b"TFL3", "is TensorFlow Lite"),
)  # fmt: skip
_CONVERT = "ask its maker for ONNX or safetensors"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is there: its card, where its weights are, whether it ships with Assay."""

    card: Card
    path: Path
    shipped: bool

    def read(self) -> bytes:
        """Return the weights, whose SHA-256 was taken of these very bytes; raises ConfigurationError."""
        weights = self.card.weights
        again = "install Assay again" if self.shipped else "remove the model and add it again"
        try:
            data = read_file(self.path, weights.bytes)
        except LimitError:
            data = b""
        except InputError as error:
            raise ConfigurationError(
                f"the weights of {self.card.name}: {error.message}", hint=again, path=self.path
            ) from error
        if len(data) != weights.bytes or hashlib.sha256(data).hexdigest() != weights.sha256:
            raise ConfigurationError(
                f"the weights of {self.card.name} were changed: their SHA-256 is not the card's",
                hint=again,
                path=self.path,
            )
        return data


class Store:
    """The models of a workspace: its own, in ``folder``, and the shipped ones; without a folder, the shipped ones.

    Nothing is kept in memory: each answer is read from the disk.
    """

    def __init__(self, folder: Path | None = None, shipped: Path = SHIPPED) -> None:
        self.folder = folder
        self.shipped = shipped

    def names(self) -> list[str]:
        """Return the names of all models, sorted."""
        return sorted({*self._own_names(), *self._shipped_names()})

    def models(self) -> list[Model]:
        """Return all models, by name; raises ConfigurationError for a card that cannot be read."""
        return [self.find(name) for name in self.names()]

    def find(self, name: str) -> Model:
        """Return a model by name, a workspace's own before a shipped one.

        Raises UsageError where there is none, ConfigurationError where its card cannot be read.
        """
        if name in self._own_names():
            card = _installed(self._own_card(name), name, f"assay models remove {name}")
            return Model(card, self._weights(card), shipped=False)
        if name in self._shipped_names():
            return self._shipped_model(name)
        known = ", ".join(self.names()) or "there are none"
        raise UsageError(f"there is no model {safe_text(name, 80)!r}", hint=f"models: {known}")

    def verify(self, name: str) -> Model:
        """Read a model's card and weights as if to use them and return it; raises ConfigurationError."""
        model = self.find(name)
        data = model.read()
        try:
            refuse_unfit(model.card, data, trial=False)
        except InputError as error:
            raise ConfigurationError(error.message, hint=error.hint, path=model.path) from error
        return model

    def add(self, card: Card, data: bytes, *, replace: bool = False) -> Model:
        """Check a card and its weights, and keep them.

        ``replace`` lets it take the place of a card of the same name. Raises MalformedError, UnsupportedError or
        LimitError for what is refused, UsageError where the name is taken or there is no folder.
        """
        if self.folder is None:
            raise UsageError("shipped models are not changed", hint="name a workspace")
        text = card.to_bytes()
        self._refuse_taken(card, replace)
        refuse_unfit(card, data)
        self.folder.mkdir(exist_ok=True)
        path = self._weights(card)
        if path.parent == self.folder:  # else it ships with Assay
            with atomic_output(path, overwrite=True) as stream:
                stream.write(data)
        with atomic_output(self._own_card(card.name), overwrite=True) as stream:
            stream.write(text)
        return self.find(card.name)

    def remove(self, name: str) -> None:
        """Remove a workspace's own model, its weights too where no other card names them.

        Raises UsageError where there is none of that name. A card that cannot be read goes too.
        """
        if name not in self._own_names():
            self.find(name)
            raise UsageError(f"the model {name!r} ships with Assay and stays", hint="nothing uses it unasked")
        files = self._files(name)
        self._own_card(name).unlink()
        for path in files - {p for other in self._own_names() for p in self._files(other)}:
            path.unlink(missing_ok=True)

    def _refuse_taken(self, card: Card, replace: bool) -> None:
        if f"{card.name}.json" == PANEL_FILE:
            raise UsageError(
                f"no model is called {card.name!r}: {PANEL_FILE} is what weighs them all",
                hint="choose another --name",
            )
        shipped = card.name in self._shipped_names()
        if shipped and self._shipped_model(card.name).card.weights.sha256 != card.weights.sha256:
            raise UsageError(
                f"a model that ships with Assay is called {card.name!r}", hint="choose another --name"
            )
        if card.name in self._own_names() and not replace:
            raise UsageError(
                f"there is a model {card.name!r} already",
                hint=f"'assay models remove {card.name}' first, or choose another --name",
            )

    def _own_names(self) -> list[str]:
        if self.folder is None or not self.folder.is_dir():
            return []
        paths = (p for p in self.folder.glob("*.json") if p.name != PANEL_FILE)
        return [p.stem for p in paths if NAME.fullmatch(p.stem)]

    def _shipped_names(self) -> list[str]:
        return [p.parent.name for p in self.shipped.glob(f"*/{CARD}") if NAME.fullmatch(p.parent.name)]

    def _own_card(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{name}.json"

    def _shipped_model(self, name: str) -> Model:
        folder = self.shipped / name
        card = _installed(folder / CARD, name, "install Assay again")
        return Model(card, folder / card.weights.file, shipped=True)

    def _weights(self, card: Card) -> Path:
        """Return where a card's weights lie or would lie: shipped ones are not copied."""
        for name in self._shipped_names():
            shipped = self._shipped_model(name)
            if shipped.card.weights.sha256 == card.weights.sha256:
                return shipped.path
        assert self.folder is not None
        return self.folder / f"{card.weights.sha256}.{card.weights.format}"

    def _files(self, name: str) -> set[Path]:
        """Return the files of weights in the folder that a card of its own names."""
        with suppress(AssayError):
            path = self.find(name).path
            return {path} if path.parent == self.folder else set()
        return set()


def read_file(path: Path, most: int) -> bytes:
    """Return a regular file's bytes; raises InputError, LimitError where it has more than ``most``."""
    try:
        with open_regular(path) as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=safe_text(path)) from error
    if len(data) > most:
        raise LimitError(f"has more than {most} bytes", path=safe_text(path))
    return data


def read_card(path: Path) -> tuple[Card, bytes]:
    """Return a card that is offered, by its file or its folder, and the bytes of the weights beside it.

    Raises InputError, with the path of the file that is wrong.
    """
    file = path / CARD if path.is_dir() else path
    try:
        card = Card.from_bytes(read_file(file, MAX_CARD_BYTES))
    except InputError as error:
        raise type(error)(error.message, hint=error.hint, path=file) from error
    return card, read_file(file.with_name(card.weights.file), MAX_WEIGHTS_BYTES)


def bare_card(
    data: bytes, *, name: str, kind: str, side: int, crops: int, family: str, architecture: str, licence: str,
    made: str,
) -> Card:  # fmt: skip
    """Return a card for weights of which nothing else is known: uncalibrated, unmeasured.

    What it takes is read from an ONNX file; else it is crops, of a film frames. Raises InputError.
    """
    form = format_of(data)
    takes, length = (FRAMES if kind == "video" else CROPS), 0
    if form == "onnx":
        port = read_graph(data).input
        if port.name == VECTORS and len(port.shape) == 2:
            takes, length = VECTORS, port.shape[1] or 0
    card = Card(
        name=name,
        version="1",
        kind=kind,
        family=family,
        architecture=architecture,
        settings={},
        weights=Weights(f"{name}.{form}", form, hashlib.sha256(data).hexdigest(), len(data)),
        input=Input(takes, side, crops, side, length=length),
        calibration=None,
        sources=(),
        licence=licence,
        fails=(UNMEASURED,),
        measured=(),
        made=made,
    )
    return Card.from_bytes(card.to_bytes())


def is_card(path: Path) -> bool:
    """Say whether a path is a card's: a folder, or a file that begins like JSON; raises InputError."""
    if path.is_dir():
        return True
    with open_regular(path) as stream:
        start = stream.read(64)
    return (
        start.lstrip()[:1] == b"{" and b"\0" not in start
    )  # the length before a safetensors header has zeros


def format_of(data: bytes) -> str:
    """Say by content whether a file of weights is ``onnx`` or ``safetensors``; raises UnsupportedError, MalformedError.

    What is neither by its beginning is taken for ONNX, which has no mark of its own; reading it will tell.
    """
    if not data:
        raise MalformedError("is empty", hint="get it again from its source")
    if data[0] == 0x80 and data[1:2] in (b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"):
        raise UnsupportedError("is a pickle: a program that runs when it is opened", hint=_CONVERT)
    for offset, magic, what in _OTHERS:
        if data[offset : offset + len(magic)] == magic:
            raise UnsupportedError(f"{what}, not ONNX or safetensors", hint=_CONVERT)
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= _SAFETENSORS_HEADER:
        return "safetensors"
    return "onnx"


def refuse_unfit(card: Card, data: bytes, *, trial: bool = True) -> None:
    """Raise MalformedError, UnsupportedError or LimitError where weights are not their card's, or not to be used.

    With ``trial`` an ONNX network is run once, in a child process that may die.
    """
    weights = card.weights
    digest = hashlib.sha256(data).hexdigest()
    if (len(data), digest) != (weights.bytes, weights.sha256):
        raise MalformedError(
            f"its weights have {len(data)} bytes and SHA-256 {digest}, where the card says {weights.bytes} and "
            f"{weights.sha256}",
            hint="they were changed or cut short: get card and weights again, together",
        )
    found = format_of(data)
    if found != weights.format:
        raise UnsupportedError(f"its weights are {found}, where the card says {weights.format}")
    if found == "safetensors":
        _refuse_other_tensors(card, tensors.load(data))
    elif trial:
        runtime.try_out(data, card.input)
    else:
        runtime.refuse_at_sight(data, card.input)


def _refuse_other_tensors(card: Card, held: tensors.Tensors) -> None:
    """Raise MalformedError where tensors are not the state of the card's architecture, whole and no more.

    Raises UnsupportedError where that is not known, or does not take what the card says.
    """
    wanted = runtime.torch_runtime().outline(card)
    have = {name: array.shape for name, array in held.items()}
    if wanted == have:
        return
    wrong = sorted(name for name in wanted.keys() | have.keys() if wanted.get(name) != have.get(name))
    name = wrong[0]
    raise MalformedError(
        f"its weights are of another architecture than {card.architecture}: {len(wrong)} tensors differ, as "
        f"{safe_text(name, 80)}, which is {have.get(name, 'missing')}, not {wanted.get(name, 'there at all')}",
        hint=_ARCHITECTURE,
    )


def _installed(path: Path, name: str, again: str) -> Card:
    """Read the card of a model that is kept; raises ConfigurationError."""
    try:
        card = Card.from_bytes(read_file(path, MAX_CARD_BYTES))
    except InputError as error:
        raise ConfigurationError(f"the card of {name}: {error.message}", hint=again, path=path) from error
    if card.name != name:
        raise ConfigurationError(f"the card of {name} is another's: {card.name}", hint=again, path=path)
    return card
