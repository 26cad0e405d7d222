"""What signing and verifying cost, step by step, against a bare c2pa-python call in the same process.

    python bench/core.py [--megapixels 12] [--runs 15] [--json FILE]

The photograph is enlarged from one that ships with scikit-image, with sensor-like noise, as a 12 MP camera JPEG.
Bare calls run with thumbnails off, as ours do; the default with thumbnails is printed too. Medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import skimage
from PIL import Image

from assay.provenance.asset import Digest
from assay.provenance.claim import Claim
from assay.provenance.credentials import engine
from assay.provenance.files.disclosure import read_disclosures_isolated
from assay.provenance.files.picture import decode_isolated
from assay.provenance.files.worker import Answer, run
from assay.provenance.files.write import encode_like
from assay.provenance.plugins import load_plugin
from assay.provenance.subject import Subject
from assay.provenance.workspace import SignOptions, Workspace

CLAIM = Claim(source_type="digitalCapture")
BARE = {
    "claim_generator_info": [{"name": "bare", "version": "1"}],
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "created": True,
            "data": {
                "actions": [
                    {
                        "action": "c2pa.created",
                        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
                    }
                ]
            },
        }
    ],
}


def photograph(path: Path, megapixels: float) -> None:
    """Write a camera-like JPEG of about ``megapixels``."""
    with Image.open(Path(skimage.__file__).parent / "data" / "rocket.jpg") as small:
        width = round((megapixels * 1e6 * 4 / 3) ** 0.5)
        large = small.convert("RGB").resize((width, width * 3 // 4), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(1).normal(0, 4, (large.height, large.width, 1))
    pixels = np.clip(np.asarray(large) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=92, subsampling=0)


def median(call: Callable[[], Any], runs: int) -> float:
    """Return the median time of a call in milliseconds, after one that is not counted."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


class Bench:
    """One workspace, one photograph, and the calls that are timed."""

    def __init__(self, folder: Path, megapixels: float) -> None:
        self.source, self.signed, self.bare = folder / "photo.jpg", folder / "signed.jpg", folder / "bare.jpg"
        photograph(self.source, megapixels)
        self.workspace = Workspace.init(folder / "workspace")
        authority = self.workspace.home / "keys" / "development-authority.pem"
        self.authority = authority.read_bytes()
        self.workspace.trust.add(
            self.authority, name="dev", kind="signer", source="bench", date=self.workspace.now().date()
        )
        self.signer, _ = self.workspace.signer()

    def sign(self, *, mark: bool, ledger: bool) -> None:
        """Our sign line."""
        options = SignOptions(mark=mark, ledger=ledger, overwrite=True)
        self.workspace.sign_file(self.source, self.signed, CLAIM, options)

    def bare_sign(self, *, thumbnail: bool) -> None:
        """The library's own call, into a file."""
        settings = {"builder": {"thumbnail": {"enabled": thumbnail}}}
        with (
            c2pa.Context.from_dict(settings) as context,
            c2pa.Signer.from_callback(
                self.signer.sign, c2pa.C2paSigningAlg.ES256, self.signer.chain.decode(), None
            ) as signer,
            c2pa.Builder(json.dumps(BARE), context=context) as builder,
            self.source.open("rb") as source,
            self.bare.open("w+b") as target,
        ):
            builder.sign(signer, "image/jpeg", source, target)

    def bare_read(self) -> None:
        """The library's own call, with our trust list."""
        anchors = [{"trust_kind": "manifest", "trust_uri": "dev", "trust_anchors": self.authority.decode()}]
        settings = {"trust": {"anchors": anchors}, "verify": {"remote_manifest_fetch": False}}
        with (
            c2pa.Context.from_dict(settings) as context,
            self.signed.open("rb") as source,
            c2pa.Reader("image/jpeg", source, context=context) as reader,
        ):
            reader.json()

    def steps(self, runs: int) -> list[tuple[str, float]]:
        """Time each step alone."""
        marks, known = self.workspace.watermark(), load_plugin("assay.knownmarks", "imwatermark")()
        anchors, _ = self.workspace.anchors()
        with Subject.open(self.source) as subject, Subject.open(self.signed) as signed:
            picture = subject.picture()
            media = picture.media
            marked = marks.embed(media, "0123456789ab")
            finger = self.workspace.fingerprinter
            return [
                ("SHA-256 of the file", median(lambda: Digest.of_file(signed.stream), runs)),
                ("an empty worker", median(lambda: run(lambda s: Answer({}), signed.stream), runs)),
                (
                    "manifest, in process",
                    median(lambda: engine.read(signed.stream, "image/jpeg", anchors), runs),
                ),
                (
                    "metadata, in a worker",
                    median(lambda: read_disclosures_isolated(signed.stream, "image/jpeg"), runs),
                ),
                ("decode, in a worker", median(lambda: decode_isolated(signed.stream), max(3, runs // 5))),
                (
                    "encode like the original",
                    median(lambda: encode_like(picture, marked.frame()), max(3, runs // 5)),
                ),
                ("mark: embed", median(lambda: marks.embed(media, "0123456789ab"), max(3, runs // 5))),
                ("mark: read, marked", median(lambda: marks.read(marked), max(3, runs // 5))),
                ("mark: read, unmarked", median(lambda: marks.read(media), max(3, runs // 5))),
                ("known marks", median(lambda: known.read(media), max(3, runs // 5))),
                ("fingerprint", median(lambda: finger.fingerprint(media), runs)),
                ("sketch", median(lambda: finger.sketch(media), runs)),
            ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    runs = arguments.runs
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), arguments.megapixels)
        size = bench.source.stat().st_size
        lean = ("manifest",)
        sign_bare, sign_thumb = (
            median(lambda: bench.bare_sign(thumbnail=False), runs),
            median(lambda: bench.bare_sign(thumbnail=True), 3),
        )
        sign_ours = median(lambda: bench.sign(mark=False, ledger=False), runs)
        read_bare = median(bench.bare_read, runs)
        verify_ours = median(lambda: bench.workspace.verify(bench.signed, checks=lean), runs)
        sign_all = median(lambda: bench.sign(mark=True, ledger=True), 3)
        verify_all = median(lambda: bench.workspace.verify(bench.signed), 3)
        steps = bench.steps(runs)
    rows = [
        ("sign: bare c2pa-python, thumbnail off", sign_bare, ""),
        ("sign: bare c2pa-python, its default (thumbnail)", sign_thumb, ""),
        (
            "sign: Assay, mark and ledger off",
            sign_ours,
            f"{sign_ours / sign_bare:.2f} x bare, {sign_ours / sign_thumb:.2f} x its default",
        ),
        ("sign: Assay, all of it", sign_all, f"{sign_all / sign_bare:.2f} x bare"),
        ("verify: bare c2pa-python", read_bare, ""),
        ("verify: Assay, manifest check only", verify_ours, f"{verify_ours / read_bare:.2f} x bare"),
        ("verify: Assay, all checks", verify_all, f"{verify_all / read_bare:.2f} x bare"),
    ]
    print(f"{arguments.megapixels:g} MP JPEG, {size / 1e6:.1f} MB; medians in ms")
    for title, value, note in rows:
        print(f"  {title:50} {value:9.1f}  {note}")
    print("steps alone")
    for title, value in steps:
        print(f"  {title:50} {value:9.1f}")
    if arguments.json:
        document = {"bytes": size, "ms": {t: v for t, v, _ in rows} | dict(steps)}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
