from __future__ import annotations

import base64
import io
import json
import re
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from lxml import html as lxml_html
from PIL import Image, ImageCms

from assay.provenance.errors import UsageError
from assay.provenance.evidence import Evidence, Fact, Status
from assay.provenance.keys.certificates import DEVELOPMENT
from assay.provenance.manifest import ManifestState, Revocation, SignerName
from assay.provenance.media import Picture
from assay.provenance.page import Preview, fragment, page
from assay.provenance.report import Report, Verdict
from assay.provenance.wording import DOES_NOT_MEAN, LABELS, MEANS, lookalike_warning, moment, region_words
from tests.reports import (
    CLASH,
    EACH,
    HOSTILE,
    build,
    confirmed,
    conflict,
    found,
    inconclusive,
    laced,
    manifest,
    marked_ai,
    recovered,
    untrusted,
)

ELEMENTS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "footer",
        "main",
        "nav",
        "article",
        "section",
    ),
    *("div", "p", "span", "b", "strong", "h1", "h2", "h3", "h4", "ul", "ol", "li", "dl", "dt", "dd"),
    *("table", "thead", "tbody", "tr", "th", "td", "a", "figure", "figcaption", "img", "blockquote"),
    *("details", "summary", "pre", "svg", "path", "rect", "ellipse", "text"),
}
ATTRIBUTES = {
    *(
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "id",
        "scope",
        "colspan",
        "style",
        "src",
        "alt",
    ),
    *("href", "aria-label", "aria-labelledby", "aria-hidden", "focusable", "viewbox", "width", "height", "d"),
    *("fill", "stroke", "stroke-width", "stroke-linecap", "cx", "cy", "rx", "ry"),
    *("xmlns", "role", "x", "y", "stroke-dasharray", "font-family", "font-size", "text-anchor", "tabindex"),
    "preserveaspectratio",
}
VALUES = {
    "href": re.compile(r"#report-\d+"),
    "src": re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+"),
    "style": re.compile(r"max-width:[\d.]+rem|left:[\d.]+%;top:[\d.]+%;width:[\d.]+%;height:[\d.]+%"),
    "http-equiv": re.compile("Content-Security-Policy"),
    "xmlns": re.compile(re.escape("http://www.w3.org/2000/svg")),
    "role": re.compile("img|group"),
    "tabindex": re.compile("0"),
    "d": re.compile(r"[MLHVCSAZ\d., -]*", re.I),
}
NEVER = re.compile(r"\b(authentic|genuine|fake|tampered|verified|probably)\b", re.I)


class Skeleton(HTMLParser):
    """Elements with their attributes, and declarations, as a parser other than lxml's sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[tuple[str, str], ...]]] = []
        self.declarations: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, tuple((k, v or "") for k, v in attrs)))

    def handle_comment(self, data):
        self.declarations.append(data)

    def handle_decl(self, decl):
        self.declarations.append(decl)

    unknown_decl = handle_pi = handle_comment


def preview() -> Preview:
    samples = np.random.default_rng(1).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    return Preview.of(_picture(samples), samples[::2, ::2])


def _picture(pixels, **changes) -> Picture:
    plain = Picture(pixels, None, "JPEG", "RGB", 1, 1, b"", b"", b"", {}, {})
    return replace(plain, **changes)


def assert_inert(text: str) -> None:
    seen = Skeleton(text)
    for tag, attributes in seen.elements:
        assert tag in ELEMENTS, tag
        for name, value in attributes:
            assert name in ATTRIBUTES, (tag, name)
            assert not (name in VALUES and not VALUES[name].fullmatch(value)), (tag, name, value[:200])
    assert seen.declarations == ["doctype html"]
    # A browser's parser repairs what HTMLParser lets pass: the two must agree on what there is.
    tree = lxml_html.document_fromstring(text)
    assert {e.tag for e in tree.iter() if isinstance(e.tag, str)} <= ELEMENTS
    assert not [
        a
        for e in tree.iter()
        for a in e.attrib
        if a.startswith("on") or a in ("srcdoc", "action", "formaction")
    ]
    unshown = {c for c in set(text) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")}
    assert unshown <= {"\n"}


def shape(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(tag, tuple(name for name, _ in attributes)) for tag, attributes in Skeleton(text).elements]


def words(report: Report, picture: Preview | None = None) -> str:
    """All that a reader of the page sees, without the raw JSON."""
    tree = lxml_html.document_fromstring(page([(report, picture)], "t"))
    for raw in tree.xpath("//details[@class='raw'] | //style"):
        raw.drop_tree()
    return " ".join(tree.text_content().split())


@pytest.mark.parametrize("s", HOSTILE, ids=lambda s: ascii(s[:24]))
def test_hostile_strings_in_every_field_change_nothing_but_text(s):
    hostile = page([(laced(s), preview())], s)
    assert_inert(hostile)
    assert shape(hostile) == shape(page([(laced("harmless"), preview())], "harmless"))
    assert len(hostile) < 600_000


def test_naughty_strings_of_others(corpus):
    strings = json.loads((corpus / "malformed/naughty-strings/blns.json").read_text("utf-8"))
    for attack in (corpus / "malformed/c2pa-attack-strings").glob("*.attack"):
        strings += attack.read_text("utf-8", "replace").splitlines()
    assert len(strings) > 500
    for start in range(0, len(strings), 25):
        assert_inert(page([(laced(s), None) for s in strings[start : start + 25]], strings[start]))


def test_hidden_characters_are_written_out():
    text = words(laced("photo\u202egpj.exe\x1b[2J"))
    assert "photo\\u{202e}gpj.exe\\u{1b}[2J" in text


def test_policy_of_the_document_forbids_everything_but_data_images_and_its_own_style():
    tree = lxml_html.document_fromstring(page([(confirmed(), preview())], "t"))
    (policy,) = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert tree.xpath("/html/@lang") == ["en"]
    style = tree.xpath("string(//style)")
    assert "url(" not in style
    assert "@import" not in style


def test_headings_descend_one_level_at_a_time_and_pictures_have_words():
    tree = lxml_html.document_fromstring(page([(r(), preview()) for r in EACH], "t"))
    levels = [int(e.tag[1]) for e in tree.iter("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    assert all(i.get("alt") for i in tree.iter("img"))
    ids = [e.get("id") for e in tree.iter() if e.get("id")]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("make", EACH, ids=lambda f: f.__name__)
def test_each_verdict_says_what_it_means_and_does_not_mean(make):
    report = make()
    text = words(report, preview())
    for part in (
        LABELS[report.verdict],
        MEANS[report.verdict],
        DOES_NOT_MEAN[report.verdict],
        report.headline,
    ):
        assert part in text
    for item in report.evidence:
        assert item.summary in text
        assert all(r in text for r in item.reasons)
    assert "What was not checked" in text
    assert report.policy in text
    # The page ends with the report itself.
    tree = lxml_html.document_fromstring(page([(report, None)], "t"))
    assert json.loads(tree.xpath("string(//details[@class='raw']/pre)")) == report.to_json()


def test_the_five_examples_are_the_five_verdicts():
    assert {make().verdict for make in EACH} == set(Verdict)


def test_the_same_report_gives_the_same_page():
    def whole() -> str:
        return page([(make(), preview()) for make in EACH], "t")

    assert whole() == whole()


def test_no_verdict_is_praised_or_blamed():
    for verdict in Verdict:
        assert not NEVER.search(LABELS[verdict] + MEANS[verdict] + DOES_NOT_MEAN[verdict])
    style = lxml_html.document_fromstring(page([], "t")).xpath("string(//style)")
    # One colour family: no rule of a label or glyph names a colour but the ink of the page.
    for rule in re.findall(r"\.(?:label|glyph)-[a-z]+ \{([^}]*)\}", style):
        assert not re.search(r"#|rgb|red|green|amber|orange", rule)


def test_the_words_are_those_of_the_documentation():
    text = " ".join((Path(__file__).parents[2] / "docs/verdicts.md").read_text("utf-8").split())
    for verdict in Verdict:
        assert f"(`{verdict}`)" in text
        assert f"**What it means.** {MEANS[verdict]}" in text
        assert f"**What it does not mean.** {DOES_NOT_MEAN[verdict]}" in text


def test_changed_regions_are_drawn_in_place_and_listed():
    report = recovered()
    tree = lxml_html.document_fromstring(page([(report, preview())], "t"))
    assert [e.get("style") for e in tree.find_class("region")] == [
        "left:62.00%;top:5.00%;width:25.00%;height:33.00%",
        "left:4.00%;top:71.00%;width:12.00%;height:14.00%",
    ]
    listed = [e.text for e in tree.xpath("//ol[@class='regions']/li")]
    assert listed == ["upper right, 8 % of the picture", "lower left, 2 % of the picture"]
    assert len(tree.xpath("//img")) == 2


def test_regions_of_another_picture_are_not_drawn():
    report = build(found(matches=False), CLASH)
    tree = lxml_html.document_fromstring(page([(report, preview())], "t"))
    assert not tree.find_class("region")
    assert "which does not match" in words(report, preview())


def test_regions_that_are_no_numbers_stay_inside_the_picture():
    nan = float("nan")
    item = found()
    broken = replace(item.found.comparison, regions=((nan, -1.0, 7.0, float("inf")), (0.9, 0.9, 0.5, nan)))
    report = build(replace(item, found=replace(item.found, comparison=broken)))
    tree = lxml_html.document_fromstring(page([(report, preview())], "t"))
    assert [e.get("style") for e in tree.find_class("region")] == [
        "left:0.00%;top:0.00%;width:100.00%;height:100.00%",
        "left:90.00%;top:90.00%;width:10.00%;height:0.00%",
    ]


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ((0.0, 0.0, 0.4, 0.3), "upper left, 12 % of the picture"),
        ((0.4, 0.4, 0.2, 0.2), "centre, 4 % of the picture"),
        ((0.0, 0.9, 1.0, 0.1), "across the bottom, 10 % of the picture"),
        ((0.0, 0.0, 1.0, 1.0), "nearly the whole picture, 100 % of the picture"),
        ((0.98, 0.98, 0.01, 0.01), "lower right, less than 1 % of the picture"),
    ],
)
def test_regions_in_words(region, said):
    assert region_words(region) == said


def test_the_name_of_an_unknown_signer_is_never_an_identity():
    for report in (untrusted(), build(broken(ManifestState.INVALID))):
        text = words(report)
        assert "Mallory News" in text
        for before in re.findall(r"(.{16})Mallory (?:News|Signing)", text):
            assert before.endswith("calls itself “"), before


def broken(state: ManifestState) -> Evidence:
    return Evidence(
        "manifest",
        "1",
        Status.FAIL,
        "No fit.",
        facts=frozenset({Fact.ALTERED}),
        found=manifest(state),
        conflicts=CLASH.conflicts,
    )


def test_a_trusted_name_is_an_identity_and_its_list_is_named():
    text = words(confirmed())
    assert "Mallory News signed it" in text
    assert "The list “press” names this signer." in text


def test_a_development_signer_is_called_one_wherever_it_shows():
    signer = SignerName(DEVELOPMENT, "Assay development signer", "1", certificate=None)
    report = untrusted(signer=signer)
    text = words(report).replace(report.headline, "")
    for after in re.findall(rf"{DEVELOPMENT}” ?(.{{20}})", text.split("Organisation")[0]):
        assert after.startswith("(development signer)"), after
    assert "Development signer. Anyone can make such a certificate" in text


def test_look_alike_letters_are_pointed_out():
    assert "Cyrillic and Latin" in lookalike_warning("BBС News")
    assert "Cyrillic" in lookalike_warning("ВВС")
    assert not lookalike_warning("BBC News")
    assert not lookalike_warning("株式会社NTT データ")
    assert not lookalike_warning("Süddeutsche Zeitung, Þórshöfn, Žižkov 4")
    text = words(untrusted(signer=SignerName("BBС News", "x")))
    assert "Look-alike letters" in text


def test_times_are_read_or_left_alone():
    assert moment("2026-11-18T14:02:09Z") == "18 November 2026, 14:02:09 UTC"
    assert moment("2026-11-18T14:02:09+05:30") == "18 November 2026, 14:02:09 UTC+0530"
    assert moment("2026-11-18") == "18 November 2026"
    assert moment("yesterday\x1b[2J") == "yesterday\\u{1b}[2J"


def test_a_score_is_words_and_counts_and_never_a_percentage():
    text = words(marked_ai())
    assert "strong support that it is generated" in text
    assert (
        "In 1,000 unmarked photographs, about 1 would wrongly get such a score (calibration known/1)." in text
    )
    assert "%" not in text


def test_what_was_not_checked_is_named():
    text = words(inconclusive()).split("What was not checked")[1]
    for part in (
        "the ledger is locked",
        "Metadata: not asked",
        "no list of signers has been chosen",
        "neural detector",
    ):
        assert part in text
    assert "revoked since: no authority was asked, or none answered" in words(confirmed())


def test_what_authorities_said_of_revocation_is_told_and_no_more():
    def told(**said):
        return words(untrusted(revocation=Revocation(**said)))

    asked = told(state="good", source="ocsp", time="2026-11-20T10:00:00Z")
    assert "not revoked, says its authority (OCSP) of 20 November 2026, 10:00:00 UTC" in asked
    assert "revoked since: last heard of on 20 November 2026" in asked
    later = told(state="revoked-later", source="crl", since="2026-11-21T00:00:00Z", reason="keyCompromise")
    assert "revoked on 21 November 2026, 00:00:00 UTC, after it signed (keyCompromise)" in later
    assert "revoked since" not in later
    assert "alert(1)" in told(state="revoked", source="<script>alert(1)</script>")


def test_the_sentence_comes_before_the_pictures():
    for make in EACH:
        text = page([(make(), preview())], "t")
        assert text.index('class="headline"') < text.index('<img src="data:')


def test_conflicts_stand_side_by_side_with_their_rule():
    tree = lxml_html.document_fromstring(page([(conflict(), None)], "t"))
    (clash,) = tree.find_class("clash")
    assert [q.findtext("p") for q in clash.iter("blockquote")] == [
        "Created here, say the credentials.",
        "Logged earlier.",
    ]
    assert "dropped-history" in clash.text_content()


def test_history_is_nested_as_deep_as_it_goes_and_bounded():
    deep = manifest(ManifestState.TRUSTED).ingredients[0]
    leaf = replace(deep, ingredients=())
    for depth in range(40):
        leaf = replace(leaf, title=f"generation {depth}", ingredients=(leaf,))
    wide = replace(leaf, title="wide", ingredients=tuple(replace(deep, ingredients=()) for _ in range(5_000)))
    text = page([(untrusted(ingredients=(leaf, wide)), None)], "t")
    tree = lxml_html.document_fromstring(text)
    (first,) = tree.xpath("//li[p/strong='generation 0']")
    assert len(list(first.iterancestors("ul"))) == 41
    assert len(tree.xpath("//li[p[@class='node']]")) <= 202
    assert "more ancestors" in tree.text_content()


def test_an_index_leads_to_each_of_several_reports():
    tree = lxml_html.document_fromstring(page([(make(), None) for make in EACH], "t"))
    targets = [a.get("href")[1:] for a in tree.xpath("//nav//a")]
    assert len(targets) == len(EACH)
    assert all(tree.xpath(f"//article[@id='{t}']") for t in targets)
    assert not lxml_html.document_fromstring(page([(confirmed(), None)], "t")).xpath("//nav")


def test_a_report_shows_itself_in_notebooks():
    report = confirmed()
    assert report._repr_html_() == fragment(report)
    assert LABELS[report.verdict] in fragment(report)


# ---------------------------------------------------------------------------------------------- the pictures


def _decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_preview_is_small_and_carries_nothing_of_the_file():
    samples = np.zeros((300, 2600, 3), np.uint8)
    shown = Preview.of(
        _picture(samples, exif=b"Exif\0\0secret", xmp=b"<secret/>", text={"comment": "secret"})
    )
    image = _decoded(shown.received)
    assert image.size == (1280, 148)
    assert (shown.width, shown.height) == (2600, 300)
    assert not image.getexif()
    assert not {"exif", "xmp", "icc_profile", "comment"} & set(image.info)


@pytest.mark.parametrize(
    "uri", ["https://evil.example/x.png", "data:image/svg+xml;base64,AAAA", 'data:image/png;base64,A">']
)
def test_a_preview_takes_no_other_addresses(uri):
    with pytest.raises(UsageError):
        Preview(uri, 1, 1)
    with pytest.raises(UsageError):
        Preview("data:image/png;base64,AAAA", 1, 1, original=uri)


def _swapped_profile() -> bytes:
    """An RGB profile whose red and blue primaries have changed places."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    head, table = data[:128], data[128:]
    return head + table.replace(b"rXYZ", b"tXYZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tXYZ", b"bXYZ", 1)


def test_colours_are_shown_as_the_profile_means_them():
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    plain = _decoded(Preview.of(_picture(red)).received).getpixel((4, 4))
    assert plain == (255, 0, 0)
    r, _, b = _decoded(Preview.of(_picture(red, icc=_swapped_profile())).received).getpixel((4, 4))
    assert b > 200 > r


@pytest.mark.parametrize(
    "icc", [b"no profile", b"\0" * 200, _swapped_profile()[:200]], ids=["words", "zeros", "cut"]
)
def test_a_broken_profile_is_left_out_with_a_note(icc):
    red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    shown = Preview.of(_picture(red, icc=icc))
    assert _decoded(shown.received).getpixel((4, 4)) == (255, 0, 0)
    assert any("colour profile" in note for note in shown.notes)


def test_transparency_and_further_frames_are_mentioned():
    pixels = np.zeros((8, 8, 3), np.uint8)
    shown = Preview.of(_picture(pixels, alpha=np.zeros((8, 8), np.uint8), frames=7))
    assert "drawn without its transparency" in shown.notes
    assert "the first of 7 frames" in shown.notes


def test_the_original_can_be_laid_over_a_picture_of_the_same_frame_and_no_other():
    def wipes(item, shape=(20, 30)):
        shown = Preview.of(_picture(np.zeros((40, 60, 3), np.uint8)), np.zeros((*shape, 3), np.uint8))
        return len(lxml_html.document_fromstring(page([(build(item), shown)], "t")).find_class("wipe"))

    def laid(alignment, matches=True):
        item = found(matches=matches)
        comparison = replace(item.found.comparison, alignment=alignment)
        return replace(item, found=replace(item.found, comparison=comparison))

    assert wipes(laid("as is")) == 1
    assert wipes(laid("cropped to 88%")) == 0
    assert wipes(laid("as is", matches=False)) == 0
    assert wipes(laid("as is"), shape=(30, 30)) == 0
