"""What happens to a photograph after it was published: the demonstration's histories, one function each."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from assay.provenance.claim import Claim
from assay.provenance.files.write import encode_like
from assay.provenance.keys.certificates import development_chain
from assay.provenance.keys.signers import write_key
from assay.provenance.report import Verdict
from assay.provenance.subject import Subject
from assay.provenance.workspace import SignOptions, Workspace


@dataclass(slots=True)
class Stage:
    """The demonstration's props: its workspace, folder, the signed photograph, and an unrelated one."""

    workspace: Workspace
    folder: Path
    signed: Path
    other: Path

    def pixels(self) -> Image.Image:
        """Return the signed photograph's pixels, and nothing else of the file."""
        with Image.open(self.signed) as image:
            return image.convert("RGB")

    def save(self, image: Image.Image, name: str, quality: int = 90) -> Path:
        """Write a picture as a platform would: no metadata, 4:2:0."""
        path = self.folder / name
        image.save(path, "JPEG" if path.suffix == ".jpg" else "PNG", quality=quality)
        return path


@dataclass(frozen=True, slots=True)
class History:
    """One thing that happens to the photograph, and the verdict it should get."""

    told: str
    expected: Verdict
    make: Callable[[Stage], Path]


def untouched(stage: Stage) -> Path:
    """Nothing happens."""
    return stage.signed


def stripped(stage: Stage) -> Path:
    """All metadata is lost, the pixels stay."""
    return stage.save(stage.pixels(), "2-stripped.png")


def recompressed(stage: Stage) -> Path:
    """A platform strips and recompresses."""
    return stage.save(stage.pixels(), "3-jpeg-q75.jpg", quality=75)


def halved(stage: Stage) -> Path:
    """A messenger shrinks it to half."""
    image = stage.pixels()
    small = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    return stage.save(small, "4-half-size.jpg", quality=80)


def cropped(stage: Stage) -> Path:
    """A layout crops it."""
    image = stage.pixels()
    box = (image.width // 10, image.height // 12, image.width, image.height - image.height // 8)
    return stage.save(image.crop(box), "5-cropped.jpg", quality=85)


def screenshot(stage: Stage) -> Path:
    """Someone takes a screenshot of it in an application."""
    image = stage.pixels()
    screen = Image.new("RGB", (image.width + 260, image.height + 170), (245, 246, 248))
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, screen.width, 56), fill=(38, 50, 72))
    for line in range(5):
        draw.rectangle(
            (image.width + 60, 100 + 60 * line, image.width + 230, 118 + 60 * line), fill=(205, 210, 218)
        )
    screen.paste(image, (30, 80))
    return stage.save(screen, "6-screenshot.png")


def edited(stage: Stage) -> Path:
    """A part is replaced by one of another photograph, and the credentials are stripped to hide it."""
    image = stage.pixels()
    left, top = int(image.width * 0.62), int(image.height * 0.05)
    with Image.open(stage.other) as other:
        stranger = other.convert("RGB").resize((image.width // 4, image.height // 3))
    image.paste(stranger, (left, top))
    return stage.save(image, "7-edited.jpg", quality=88)


def flipped(stage: Stage) -> Path:
    """One bit of the signed file's picture data is flipped."""
    data = bytearray(stage.signed.read_bytes())
    data[int(len(data) * 0.9)] ^= 1
    path = stage.folder / "8-one-bit.jpg"
    path.write_bytes(data)
    return path


def copied_mark(stage: Stage) -> Path:
    """Our watermark's identifier is written into another picture with the public key, to lend it our name."""
    found = stage.workspace.log.receipt(0).entry.mark
    assert found is not None
    with Subject.open(stage.other) as subject:
        picture = subject.picture()
        marked = stage.workspace.watermark().embed(picture.media, found.id).frame()
        path = stage.folder / "9-copied-mark.jpg"
        path.write_bytes(encode_like(picture, marked))
    return path


def resigned(stage: Stage) -> Path:
    """A stranger strips it and signs it as a capture of their own."""
    chain = development_chain(stage.workspace.now(), label="a stranger")
    key, certificates = stage.folder / "stranger.key", stage.folder / "stranger.pem"
    write_key(key, chain.signer_key, None)
    certificates.write_bytes(chain.chain)
    path = stage.folder / "10-re-signed.jpg"
    options = SignOptions(mark=False, ledger=False, key=f"file:{key}", chain=certificates)
    stage.workspace.sign_file(recompressed(stage), path, Claim(source_type="digitalCapture"), options)
    return path


def ai_edit(stage: Stage) -> Path:
    """The desk itself lets a model change the background, and says so under its signature."""
    path = stage.folder / "11-ai-edit.jpg"
    claim = Claim(
        source_type="compositeWithTrainedAlgorithmicMedia",
        generator="Example Fill",
        generator_version="1",
        edit="background replaced by a model",
    )
    stage.workspace.sign_file(stage.signed, path, claim)
    return path


def unrelated(stage: Stage) -> Path:
    """Another photograph, never signed by anyone."""
    return stage.other


HISTORIES = (
    History("as it was signed", Verdict.SOURCE_CONFIRMED, untouched),
    History("credentials stripped", Verdict.SOURCE_RECOVERED, stripped),
    History("stripped, recompressed at JPEG q75", Verdict.SOURCE_RECOVERED, recompressed),
    History("stripped, shrunk to half", Verdict.SOURCE_RECOVERED, halved),
    History("stripped, cropped", Verdict.SOURCE_RECOVERED, cropped),
    History("a screenshot of it", Verdict.SOURCE_RECOVERED, screenshot),
    History("stripped, a part replaced", Verdict.SOURCE_RECOVERED, edited),
    History("one bit of the signed file flipped", Verdict.CONFLICT, flipped),
    History("its watermark written into another photo", Verdict.CONFLICT, copied_mark),
    History("re-signed by a stranger as their own", Verdict.CONFLICT, resigned),
    History("changed by AI, declared and signed", Verdict.MARKED_AI, ai_edit),
    History("another photo, never signed", Verdict.INCONCLUSIVE, unrelated),
)


def publish(workspace: Workspace, folder: Path, photo: bytes, other: bytes) -> Stage:
    """Sign the photograph as a camera would, and set the stage."""
    source, signed, stranger = folder / "photo.jpg", folder / "1-signed.jpg", folder / "12-unrelated.jpg"
    source.write_bytes(photo)
    with Image.open(io.BytesIO(other)) as image:
        image.save(stranger, "JPEG", quality=92)
    workspace.sign_file(source, signed, Claim(source_type="digitalCapture", title="photo.jpg"))
    return Stage(workspace, folder, signed, stranger)
