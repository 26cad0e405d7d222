"""Reading and extending XMP packets (ISO 16684-1) with a hardened XML parser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from assay.provenance.errors import MalformedError

X = "adobe:ns:meta/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC_EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/"
SOURCE_TYPE_URI = "http://cv.iptc.org/newscodes/digitalsourcetype/"

MAX_PACKET = 16 << 20
_WRAPPER = re.compile(rb"<\?xpacket\s[^>]*\?>")
_HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'.encode()
_TAIL = b'\n<?xpacket end="w"?>'


def load_parser() -> None:
    """Import the XML parser; done in the parent, because a sealed child can import nothing."""
    import lxml.etree  # noqa: F401


def parse(packet: bytes) -> Any:
    """Return the root element of a packet.

    No entity is resolved, no DTD or network address is read, and the library's own limits on depth and size
    stay on. Raises MalformedError.
    """
    from lxml import etree

    if len(packet) > MAX_PACKET:
        raise MalformedError(f"has an XMP packet of {len(packet)} bytes")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, dtd_validation=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(_WRAPPER.sub(b"", packet).strip(b"\0 \t\r\n\xef\xbb\xbf"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedError("has an XMP packet that is not well-formed XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedError("has an XMP packet that declares a document type")
    return root


def properties(root: Any) -> Iterator[tuple[str, str, str]]:
    """Yield (namespace, name, value) of every simple property at any depth, elements and attributes alike."""
    for element in root.iter("*"):
        for key, value in element.attrib.items():
            yield (*_split(key), str(value))
        text = (element.text or "").strip()
        if text and len(element) == 0:
            owner = element
            while _split(owner.tag) in ((RDF, "li"), (RDF, "Alt"), (RDF, "Bag"), (RDF, "Seq")):
                owner = owner.getparent()
                if owner is None:
                    break
            else:
                yield (*_split(owner.tag), text)


def extend(packet: bytes, source_type: str, label: dict[str, str]) -> bytes:
    """Return a packet with the digital source type and, unless one is there, the AIGC label; all else stays.

    ``packet`` may be empty. An earlier source type is replaced, for two would contradict each other; an
    earlier AIGC label stays, for it is its maker's. Raises MalformedError where the packet cannot be parsed:
    it is then better left alone.
    """
    from lxml import etree

    root = parse(packet) if packet.strip(b"\0 \t\r\n") else etree.Element(f"{{{X}}}xmpmeta", nsmap={"x": X})
    rdf = root if root.tag == f"{{{RDF}}}RDF" else root.find(f".//{{{RDF}}}RDF")
    if rdf is None:
        rdf = etree.SubElement(root, f"{{{RDF}}}RDF", nsmap={"rdf": RDF})
    name = f"{{{IPTC_EXT}}}DigitalSourceType"
    first = rdf.find(f"{{{RDF}}}Description")
    about = first.get(f"{{{RDF}}}about", "") if first is not None else ""
    labelled = False
    for element in list(rdf.iter("*")):
        labelled |= element.tag == f"{{{TC260}}}AIGC" or f"{{{TC260}}}AIGC" in element.attrib
        if _describes_file(element, rdf):
            element.attrib.pop(name, None)
            for old in element.findall(name):
                element.remove(old)
    added = etree.SubElement(
        rdf, f"{{{RDF}}}Description", {f"{{{RDF}}}about": about}, {"Iptc4xmpExt": IPTC_EXT, "TC260": TC260}
    )
    if source_type:
        etree.SubElement(added, name).text = source_type_uri(source_type)
    if label and not labelled:
        etree.SubElement(added, f"{{{TC260}}}AIGC").text = json.dumps(label, ensure_ascii=False)
    return bytes(_HEAD + etree.tostring(root, encoding="utf-8") + _TAIL)


def source_type_uri(source_type: str) -> str:
    """Return the IPTC URI of a digital source type's short name; a URI stays as it is."""
    return source_type if "://" in source_type else SOURCE_TYPE_URI + source_type


def _describes_file(element: Any, rdf: Any) -> bool:
    """Whether an element is a top-level description, not one nested inside an ingredient or artwork."""
    return element.tag == f"{{{RDF}}}Description" and element.getparent() is rdf


def _split(tag: object) -> tuple[str, str]:
    text = str(tag)
    if not text.startswith("{"):
        return "", text
    namespace, _, name = text[1:].partition("}")
    return namespace, name
