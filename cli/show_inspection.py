"""An inspection as a tree on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from assay.cli.show import ITEMS, VALUE_CHARS, Pen, put

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree


def show_inspection(found: Mapping[str, Any], console: Console) -> None:
    """Print everything that an inspection found as a tree; empty values are left out."""
    from rich.tree import Tree

    pen = Pen(console)
    asset = found.get("asset") or {}
    tree = Tree(pen(asset.get("path", "a file"), "bold", limit=400))
    for key, value in found.items():
        if key != "type":
            _branch(tree, key, value, pen)
    put(console, tree)
    if (found.get("manifest") or {}).get("identities"):
        from assay.provenance.identity import PROVES

        put(console, pen(PROVES, "dim"))


def _branch(tree: Tree, key: str, value: object, pen: Pen) -> None:
    name = pen(key.replace("_", " "), "bold", limit=120)
    if isinstance(value, Mapping):
        kept = {k: v for k, v in value.items() if v not in (None, "", [], {})}
        node = tree.add(name if kept else pen.line(name, pen("nothing", "dim")))
        for inner, item in list(kept.items())[:ITEMS]:
            _branch(node, str(inner), item, pen)
        _more(node, len(kept), pen)
    elif isinstance(value, (list, tuple)) and any(isinstance(v, (Mapping, list, tuple)) for v in value):
        node = tree.add(name)
        for number, item in enumerate(value[:ITEMS], 1):
            _branch(node, str(number), item, pen)
        _more(node, len(value), pen)
    elif isinstance(value, (list, tuple)):
        tree.add(pen.line(name, pen(", ".join(str(v) for v in value) or "none", limit=VALUE_CHARS * 3)))
    else:
        tree.add(pen.line(name, pen(value, limit=VALUE_CHARS)))


def _more(node: Tree, total: int, pen: Pen) -> None:
    if total > ITEMS:
        node.add(pen(f"and {total - ITEMS} more", "dim"))
