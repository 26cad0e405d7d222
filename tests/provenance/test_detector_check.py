"""What detectors say leans and never decides; what is silent, missing or broken is said and harms nothing."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace

import pytest
from PIL import Image

from assay.provenance.checks.detector import DetectorCheck
from assay.provenance.decide import settled
from assay.provenance.errors import ConfigurationError, UsageError
from assay.provenance.evidence import Evidence, Fact, Status
from assay.provenance.looks import plot
from assay.provenance.opinion import Answered, Calibration, Explanation, Opinion, Region, Spectrum
from assay.provenance.page import page, spectrum_svg
from assay.provenance.policy import NEWSROOM, choose_policy
from assay.provenance.preview import Preview, maps
from assay.provenance.protocols import Detector, ExplainingDetector
from assay.provenance.subject import Subject
from assay.provenance.verify import verify
from tests.reports import CLASH, EACH, HOSTILE, KNOWN_MARK, NOTHING, NOW, build, credentials, looked
from tests.reports import found as led_to

SPECTRUM = Spectrum((0.1, 0.3, 0.5), (4.0, 0.5, -6.0), (3.0, 0.0, -3.0), "the pictures learned from")


@dataclass
class Opinionated:
    """A plug-in of somebody else's that says what it is told to."""

    opinion: Opinion
    name: str = "image"
    version: str = "theirs-1"
    asked: list[tuple[int, ...]] = field(default_factory=list)

    def examine(self, picture):
        self.asked.append(picture.pixels.shape)
        return self.opinion


@dataclass
class Talkative(Opinionated):
    drawing: bytes = b""

    def explain(self, picture):
        return Explanation(self.examine(picture), ("Towards generated pictures: the noise.",), {}, SPECTRUM)

    def draw(self, picture, opinion):
        return self.drawing


def opinion(llr=-0.7, **changes):
    score = None if llr is None else 1 / (1 + 10**llr)
    plain = Opinion("image", "theirs-1", Answered.OK, score=score, llr=llr, says=("It looks so.",), ms=12.0)
    return replace(plain, **changes)


@pytest.fixture
def subject(tmp_path):
    path = tmp_path / "picture.png"
    Image.new("RGB", (40, 30), (90, 120, 60)).save(path)
    with Subject.open(path) as opened:
        yield opened


def ask(subject, detector, *seen):
    return DetectorCheck("image", lambda: detector)(subject, seen)


# ------------------------------------------------------------------------------------- it never decides


@pytest.mark.parametrize("llr", [-9.0, -0.7, 0.0, 0.7, 9.0])
@pytest.mark.parametrize("make", EACH, ids=lambda f: f.__name__)
def test_no_opinion_however_sure_changes_a_verdict(make, llr):
    before = make()
    after = build(*before.evidence, looked(llr), trusting=bool(before.trust))
    assert after.verdict is before.verdict
    assert after.headline == before.headline
    assert after.without["detector:image"] == str(before.verdict)
    assert after.conflicts == before.conflicts
    assert before.verdict == "inconclusive" or after.leaning == before.leaning


@pytest.mark.parametrize(
    "seen",
    [
        credentials("trusted", Fact.INTACT, Fact.TRUSTED),
        KNOWN_MARK,
        led_to(),
        CLASH,
        Evidence("manifest", "1", Status.FAIL, "", facts=frozenset({Fact.ALTERED})),
    ],
    ids=lambda e: e.check,
)
def test_it_does_not_weigh_beside_what_settles_the_matter(subject, seen):
    alone = ask(subject, Opinionated(opinion(-0.7)))
    beside = ask(subject, Opinionated(opinion(-0.7)), seen)
    assert settled([seen])
    assert (alone.llr, alone.facts) == (-0.7, {Fact.LEANS_AI})
    assert (beside.llr, beside.facts) == (None, frozenset())
    assert beside.details["leaning"] == "ai", "it is shown all the same"
    assert any("does not weigh" in reason for reason in beside.reasons)


@pytest.mark.parametrize(("llr", "leaning"), [(-0.7, "ai"), (-0.2, "none"), (0.2, "none"), (0.7, "captured")])
def test_a_leaning_is_said_in_words_and_only_from_a_ratio_of_two(llr, leaning):
    report = build(*NOTHING, looked(llr), trusting=False)
    assert report.leaning == leaning
    assert report.synthesis == ("none" if leaning == "none" else f"leaning-{leaning}")
    assert report.verdict == "inconclusive"
    assert ("support that" in report.score.band) is (leaning != "none")
    text = page([(report, None)], "t")
    assert ("which proves nothing" in text) is (leaning != "none")
    for word in ("fake", "authentic", "manipulated", "suspicious"):
        assert (
            word
            not in text.replace("Do not write", "").lower().split("<style>")[0]
            + text.lower().split("</style>")[1]
        )


def test_detectors_that_contradict_each_other_lean_nowhere():
    other = replace(looked(0.7), check="detector:second")
    report = build(looked(-0.7), other)
    assert (report.leaning, report.synthesis) == ("none", "none")
    assert report.score.log10_lr == 0


def test_a_claim_of_ai_is_not_taken_for_a_detectors_leaning():
    claim = Evidence("metadata", "1", Status.PASS, "Claims AI.", facts=frozenset({Fact.CLAIMED_AI}))
    assert "anyone could have written" in page([(build(claim, looked(0.7)), None)], "t")
    assert build(claim, looked(0.7)).leaning == "ai"


def test_the_score_keeps_within_what_the_calibration_can_carry():
    score = build(looked(-0.7)).score
    assert score.log10_lr == -0.7
    assert score.interval == (-1.4, -0.7)
    assert score.false_alarms_per_1000 == 8.5
    assert score.calibration["worst_per_1000"] == 48.2


# ------------------------------------------------------------------------------------ silence and faults


def test_silence_is_told_with_its_reason_and_carries_nothing(subject):
    quiet = opinion(None, answered=Answered.NOT_APPLICABLE, reason="too small", says=())
    said = ask(subject, Opinionated(quiet))
    assert said.status is Status.ABSENT
    assert said.summary == "No opinion: too small."
    assert (said.details["reason"], said.details["why"]) == ("not-applicable", "too small")
    assert build(said).score is None
    assert "No opinion: too small." in page([(build(said), None)], "t")


def test_an_uncalibrated_opinion_does_not_weigh(subject):
    said = ask(subject, Opinionated(opinion(None)))
    assert (said.status, said.llr, said.facts) == (Status.ABSENT, None, frozenset())


def test_where_there_is_no_detector_it_was_not_looked_and_nothing_failed(subject):
    def none():
        raise UsageError("no detectors are calibrated here", hint="assay detect train makes one")

    said = DetectorCheck("image", none)(subject, ())
    assert said.status is Status.ABSENT
    assert said.summary == "Not looked: no detectors are calibrated here."
    assert said.reasons == ("assay detect train makes one",)


def test_what_cannot_be_used_is_an_error_that_stops_nobody_else(subject):
    def broken():
        raise ConfigurationError("the panel of detectors cannot be read: nonsense", hint="make it again")

    other = replace(NEWSROOM, checks=("detector:broken", "detector:image"))
    checks = [DetectorCheck("broken", broken), DetectorCheck("image", lambda: Opinionated(opinion()))]
    report = verify(subject, checks, other, now=NOW)
    first, second = report.evidence
    assert (first.status, first.reasons[-1]) == (Status.ERROR, "make it again")
    assert second.status is Status.PASS
    assert report.verdict == "inconclusive"


def test_a_detector_that_failed_is_not_heard(subject):
    said = ask(subject, Opinionated(opinion(-9.0, answered=Answered.ERROR, reason="it broke")))
    assert (said.status, said.llr, said.summary) == (Status.ERROR, None, "Could not look: it broke.")


def test_nothing_is_opened_before_there_is_a_picture(tmp_path):
    def never():
        raise AssertionError("opened")

    for name, data in (("note.txt", b"words\n"), ("broken.png", b"\x89PNG\r\n\x1a\n" + bytes(50))):
        path = tmp_path / name
        path.write_bytes(data)
        with Subject.open(path) as subject:
            report = verify(subject, [DetectorCheck("image", never)], NEWSROOM, now=NOW)
        (item,) = report.evidence
        assert item.status in (Status.ABSENT, Status.ERROR)


def test_the_same_picture_gives_the_same_report_however_long_it_took(subject):
    slow, quick = (
        opinion(ms=ms, parts=(opinion(ms=ms, detector="one", parts=(opinion(ms=ms),)),))
        for ms in (900.0, 1.0)
    )
    reports = [
        verify(subject, [DetectorCheck("image", lambda o=o: Opinionated(o))], NEWSROOM, now=NOW).dumps()
        for o in (slow, quick)
    ]
    assert reports[0] == reports[1]


def test_policies_take_up_what_the_settings_name_and_say_so():
    named = choose_policy("newsroom", None, ("image", "acme"))
    assert named.checks == (*NEWSROOM.checks, "detector:acme")
    assert named.id != NEWSROOM.id
    assert choose_policy("newsroom", None, ("image",)).id == choose_policy("newsroom").id == NEWSROOM.id
    assert choose_policy("newsroom", ("detector:acme",), ("acme",)).checks == ("detector:acme",)
    with pytest.raises(UsageError):
        choose_policy("newsroom", ("detector:acme",), ("image",))


# ------------------------------------------------------------------------------------------- the page


def drawing(size=(20, 15)):
    memory = io.BytesIO()
    Image.new("RGB", size, (200, 120, 40)).save(memory, "PNG")
    return memory.getvalue()


@pytest.mark.parametrize("png", [True, False])
def test_maps_are_drawn_only_from_png(subject, png):
    detector = Talkative(opinion(), drawing=drawing() if png else b"<svg onload=alert(1)>")
    assert isinstance(detector, ExplainingDetector)
    report = verify(subject, [DetectorCheck("image", lambda: detector)], NEWSROOM, now=NOW)
    picture = subject.picture()
    drawn = maps(report, picture, lambda name: detector)
    assert set(drawn) == ({"detector:image"} if png else set())
    text = page([(report, replace(Preview.of(picture), maps=drawn))], "t")
    assert ("its examined parts tinted" in text) is png
    assert "onload" not in text
    assert text.count('class="spectrum"') == 1
    assert "Towards generated pictures: the noise." in text


def test_a_detector_that_can_no_longer_be_opened_costs_its_map_only(subject):
    detector = Talkative(opinion(), drawing=drawing())
    report = verify(subject, [DetectorCheck("image", lambda: detector)], NEWSROOM, now=NOW)

    def gone(name):
        raise ConfigurationError("its weights were changed")

    assert maps(report, subject.picture(), gone) == {}


def test_an_unexplaining_detector_is_shown_in_words_alone(subject):
    detector = Opinionated(opinion())
    assert isinstance(detector, Detector)
    assert not isinstance(detector, ExplainingDetector)
    report = verify(subject, [DetectorCheck("image", lambda: detector)], NEWSROOM, now=NOW)
    text = page([(report, Preview.of(subject.picture()))], "t")
    assert "It looks so." in text
    assert 'class="spectrum"' not in text


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    "spectrum",
    [
        Spectrum((), ()),
        Spectrum((0.1,), (1.0,)),
        Spectrum((0.1, 0.2), (1.0, NAN)),
        Spectrum((0.1, 0.2), (1.0, INFINITE)),
        Spectrum((0.1, NAN), (1.0, 2.0)),
        Spectrum((0.1, 0.2), (1.0, 2.0, 3.0)),
        Spectrum((0.1, 0.2), (1.0, 2.0), (1.0,)),
    ],
)
def test_a_spectrum_that_is_none_is_not_drawn(spectrum):
    assert plot(spectrum) is None
    assert spectrum_svg(spectrum) == ""


def test_what_is_stronger_is_drawn_higher_and_a_flat_line_stays_flat():
    drawn = plot(SPECTRUM)
    heights = [float(point.split()[1]) for point in drawn["picture"].removeprefix("M").split("L")]
    assert heights == sorted(heights), "an SVG counts from the top, and this spectrum falls"
    flat = plot(Spectrum((0.1, 0.2), (0.0, 0.1)))
    first, last = (float(p.split()[1]) for p in flat["picture"].removeprefix("M").split("L"))
    assert abs(first - last) < 3


@pytest.mark.parametrize("s", HOSTILE, ids=lambda s: ascii(s[:24]))
def test_hostile_words_in_a_plot_stay_words(s):
    from lxml import etree

    svg = spectrum_svg(replace(SPECTRUM, usual_of=s))
    tree = etree.fromstring(svg.encode())
    assert {etree.QName(e).localname for e in tree.iter()} == {"svg", "path", "text"}
    assert len(tree.attrib) == 11


def test_regions_of_an_opinion_are_json():
    regions = (Region(0, 0, 8, 8, 1.23456),)
    assert opinion(regions=regions).to_json()["regions"] == [[0, 0, 8, 8, 1.235]]


@pytest.mark.parametrize(("worst", "leaning"), [(50.0, "ai"), (50.1, "none"), (None, "ai")])
def test_nothing_leans_to_generated_as_some_kind_of_photographs_often_does(worst, leaning):
    counted = Calibration("theirs-1", "real photographs", "fine", 900, 1.4, 3.0, worst)
    assert opinion(-0.7, calibration=counted).leaning == leaning
    assert opinion(0.7, calibration=counted).leaning == "captured"
