"""The first image mark: quantised singular values of the Haar low band. Format: docs/formats/mark.md."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from assay.provenance.errors import LimitError
from assay.provenance.mark import Mark, Reading
from assay.provenance.media import Kind, Media, Samples
from assay.watermark import search
from assay.watermark.blocks import BLOCK, Plane, blocks_at, low_band, luma, spread, top_singular
from assay.watermark.layout import CELLS, Layout
from assay.watermark.payload import PUBLIC_KEY, Bits, Payload, Word
from assay.watermark.search import STEP, WINDOW_PIXELS, Hypothesis, View

MIN_BLOCKS = 2 * CELLS
"""Fewest blocks that a picture needs: each code bit twice, 208 x 208 pixels or so."""
CAP_FLAT, CAP_TEXTURE = 0.6, 0.4
"""Most grey levels by which a block of standard deviation s is moved: CAP_FLAT + CAP_TEXTURE * s."""
STRENGTHS = (1.0, 1.5, 2.25, 3.4, 5.0)
"""Factors of those caps tried in turn until the mark reads with a margin."""
MARGIN = 0.85
"""Correlation at which no more strength is tried."""
ALARM = 1e-9
"""Largest p-value at which an identifier is reported."""
TOP, POOL = 8, 24
"""Candidates decoded: TOP at the first look and among the gains, POOL of the search."""
TURNS = 4
"""Decodings a candidate."""


class DwtDctSvd:
    """Watermark for images: 48 bits in the singular values of 8x8 blocks, read after JPEG, crops and flips.

    ``key`` chooses layout and check bits; readers need the same one. Conforms to
    ``assay.provenance.protocols.Watermark``. After the dwtDctSvd method of invisible-watermark, with luma for
    chroma, nearest lattice points, soft decisions, a code, check bits, and a layout that can be found.
    """

    scheme = "io.assay.dwtdctsvd.1"
    id_bits = 48
    kinds = frozenset({Kind.IMAGE})

    def __init__(self, key: bytes = PUBLIC_KEY) -> None:
        self.payload = Payload(key=key)
        self.layout = Layout(key)

    def embed(self, media: Media, id: str) -> Media:
        """Return the picture with the identifier, 12 hexadecimal digits, in its luma.

        Raises LimitError where the picture is too small or too flat (nothing to move, as on a blank page),
        UsageError on a malformed identifier.
        """
        code = self.payload.encode(id)
        pixels = media.frame()
        if search.canonical_blocks(pixels) < MIN_BLOCKS:
            raise LimitError(
                f"the picture is too small for a mark ({pixels.shape[1]} x {pixels.shape[0]})",
                hint="about 208 x 208 pixels are needed",
            )
        halvings = search.halvings_for(pixels)
        plane = luma(pixels, halvings)
        best, marked = 0.0, pixels
        for strength in STRENGTHS:
            attempt = spread(pixels, self._change(plane, code, strength), halvings)
            correlation = self._correlation(luma(attempt, halvings), code)
            if correlation > best:
                best, marked = correlation, attempt
            if correlation >= MARGIN:
                break
        if self._p_value(best, self._tries(pixels)) >= ALARM:
            raise LimitError("the picture is too flat for a mark", hint="sign it without a watermark")
        return Media.still(marked)

    def read(self, media: Media) -> Reading:
        """Look for an identifier at the picture's own size, then cropped, turned, re-lit, resized.

        ``p_value`` bounds, over the choice of the key, the probability of so good a code word in a picture
        not marked with it: decodings x 2^48 x exp(-160 rho^2), rho the correlation (Hoeffding 1963).
        ``aligned`` tells a whole picture from one cropped by a block or more at any edge, flipped or turned.
        """
        pixels = media.frame()
        if search.canonical_blocks(pixels) < search.FEWEST_BLOCKS:
            return Reading(self.scheme, None, None, "too small")
        tries = self._tries(pixels)
        for hypotheses in self._search(pixels):
            word, hypothesis = self._decode(hypotheses)
            if word is None or hypothesis is None:
                continue
            p_value = self._p_value(word.correlation, tries)
            if p_value < ALARM:
                details = {"correlation": round(word.correlation, 4), **hypothesis.describe()}
                whole = hypothesis.aligned(View(search.halvings_for(pixels)).scale)
                return Reading(self.scheme, Mark(self.scheme, word.id), p_value, "", details, aligned=whole)
        return Reading(self.scheme, None, 1.0, "no mark")

    def _tries(self, pixels: Samples) -> int:
        """Return the most decodings that one search makes."""
        octaves = len(list(search.other_octaves(pixels)))
        return TURNS * (1 + TOP + POOL + octaves + TOP + TOP)

    def _p_value(self, correlation: float, tries: int) -> float:
        if correlation <= 0:
            return 1.0
        exponent = math.log(tries) + self.id_bits * math.log(2) - CELLS * correlation**2 / 2
        return min(1.0, math.exp(exponent))

    def _search(self, pixels: Samples) -> Iterator[list[Hypothesis]]:
        """Yield batches of hypotheses, the likeliest first."""
        own = View(search.halvings_for(pixels))
        values = search.singular_values(low_band(luma(pixels, own.halvings)))
        first = search.grids(self.layout, own.plane(pixels, WINDOW_PIXELS), own.scale, TOP + POOL)
        yield [search.unmoved(self.layout, values, own.scale), *first[:TOP]]
        pool, unmoved = first[TOP:], []
        for view in search.other_octaves(pixels):
            plane = view.plane(pixels, WINDOW_PIXELS // 2)
            pool += search.grids(self.layout, plane, view.scale, POOL)
            unmoved.append(search.unmoved(self.layout, search.singular_values(low_band(plane)), view.scale))
        yield search.best_first(pool)[:POOL] + unmoved
        yield search.relit(self.layout, values, own.scale, TOP)
        yield search.resized(self.layout, pixels, TOP)

    def _decode(self, hypotheses: Sequence[Hypothesis]) -> tuple[Word | None, Hypothesis | None]:
        """Decode a batch, each at its phase and the three quarter turns; return the best valid word, if any.

        The half turn is inherent in estimating from squares; the quarters are for coarse requantisation
        (JPEG 30), whose errors exceed a quarter of a step and turn the squares over.
        """
        if not hypotheses:
            return None, None
        soft = np.stack([self.layout.soft(h.candidate) for h in hypotheses])
        words = self.payload.decode(np.concatenate((soft.real, -soft.real, soft.imag, -soft.imag)))
        valid = [(w, h) for w, h in zip(words, (*hypotheses,) * TURNS, strict=True) if w]
        return max(valid, key=lambda pair: pair[0].correlation) if valid else (None, None)

    def _correlation(self, plane: Plane, code: Bits) -> float:
        """Return how well an untouched picture's soft bits agree with a code word, at phase 0."""
        candidate = self.layout.as_is(search.phasors(search.singular_values(low_band(plane))), phase=0)
        soft = self.layout.soft(candidate).real
        energy = float(np.linalg.norm(soft)) * math.sqrt(CELLS)
        return float((1.0 - 2.0 * code) @ soft) / energy if energy > 0 else 0.0

    def _change(self, plane: Plane, code: Bits, strength: float) -> Plane:
        """Return what to add to the canonical luma."""
        blocks = blocks_at(low_band(plane), 0, 0)
        value, left, right = top_singular(blocks)
        rows, columns = value.shape
        move = self.layout.targets(rows, columns, code) - value / np.float32(STEP)
        move -= np.round(move)
        # Where black or white leaves no room, the lattice point on the other side is taken.
        per_level = BLOCK / STEP
        above, below = (255 - blocks.max((0, 1)) / 2) * per_level, blocks.min((0, 1)) / 2 * per_level
        move = np.where(move > above + 0.15, move - 1, move)
        move = np.where(move < -below - 0.15, move + 1, move)
        cap = strength * per_level * (CAP_FLAT + CAP_TEXTURE * blocks.std((0, 1)) / 2)
        move = np.clip(move, -cap, cap) * np.float32(STEP)
        half = (left[:, None] * right[None, :] * move / 2).transpose(2, 0, 3, 1)
        change = np.zeros_like(plane)
        area = half.reshape(rows * BLOCK // 2, columns * BLOCK // 2).repeat(2, 0).repeat(2, 1)
        change[: rows * BLOCK, : columns * BLOCK] = area
        return change
