"""Rules about the file itself: what its bytes hold besides the one picture that was examined. They never decide."""

from __future__ import annotations

from assay.provenance.contradictions.layers import Layers
from assay.provenance.contradictions.rule import Rule, Says, notice
from assay.provenance.manifest import Manifest, ManifestState
from assay.provenance.text import safe_text

PADDING = 64
"""Fewer appended bytes than these are taken for padding, unless they begin like a file."""
UNKNOWN = "application/octet-stream"
_EXAMINED = "One picture in this file was examined, the one that its format shows."
_CUT = frozenset(
    {"c2pa.cropped", "c2pa.edited", "c2pa.orientation", "c2pa.resized", "c2pa.placed", "c2pa.drawing"}
)


@notice(
    "small-picture-differs",
    ("file", "metadata"),
    "Programs that crop or retouch often leave the old small picture in place. It may show what was there before.",
)
def small_picture(layers: Layers) -> Says:
    """A thumbnail or a second picture in the file shows something else, and no edit is declared."""
    unlike = layers.structure.unlike
    if not unlike or _edited(layers.manifest):
        return None
    return (
        _EXAMINED,
        f"The file also holds a {safe_text(' and a '.join(unlike), 120)} that shows something else.",
    )


@notice(
    "appended-bytes",
    ("file", "metadata"),
    "Phones append films, depth maps and settings to their photographs. Another program may show what is there.",
)
def appended_bytes(layers: Layers) -> Says:
    """Bytes follow the end of the format: more than padding."""
    found = layers.structure
    known = bool(found.appended_type) and found.appended_type != UNKNOWN
    if not found.appended or (found.appended < PADDING and not known):
        return None
    kind = f", which look like {safe_text(found.appended_type, 80)}" if known else ""
    return _EXAMINED, f"{found.appended} bytes follow after its end{kind}."


@notice(
    "second-format",
    ("file", "metadata"),
    "Archives and documents are sometimes joined to a picture on purpose, for fun or to hide them. "
    "A program that reads the other format shows something that was not examined.",
)
def second_format(layers: Layers) -> Says:
    """The same bytes are a file of another format too."""
    formats = layers.structure.second_formats
    if not formats:
        return None
    return _EXAMINED, f"The same bytes can also be read as {safe_text(', '.join(formats), 120)}."


RULES: tuple[Rule, ...] = (small_picture, appended_bytes, second_format)


def _edited(manifest: Manifest | None) -> bool:
    """Whether intact credentials declare an edit, or an ancestor that the small picture may be of."""
    if not manifest or manifest.state not in (ManifestState.TRUSTED, ManifestState.UNTRUSTED):
        return False
    return bool(manifest.ingredients or _CUT & {a.action for a in manifest.actions})
