"""The film mark on moving pictures made of photographs: passages, splices, wrong keys, hostile shapes, streams."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from assay.provenance.errors import LimitError, UsageError
from assay.provenance.media import Kind, Media
from assay.provenance.protocols import KeyedWatermark
from assay.watermark.film.scheme import FilmMark
from assay.watermark.film.voice import FilmVoice
from assay.watermark.payload import PUBLIC_KEY

ID = "0011223344556677"
RATE = 8
Photo = Callable[[str], np.ndarray]


def panned(
    picture: np.ndarray, seconds: float, start: float = 0.0, size: tuple[int, int] = (216, 288)
) -> Media:
    """Move a window over a photograph, a film of RATE frames a second."""
    rows, columns = size
    reach = picture.shape[1] - columns - 1
    frames = []
    for number in range(int(seconds * RATE)):
        left = round(abs((number * 3) % (2 * reach) - reach))
        frame = np.ascontiguousarray(picture[20 : 20 + rows, left : left + columns])
        frames.append((Fraction(start) + Fraction(number, RATE), frame))
    return Media.film(frames, Fraction(RATE))


def frames_of(media: Media) -> list[np.ndarray]:
    return [frame for _, frame in media.timed()]


def changed(media: Media, change: Callable[[np.ndarray], np.ndarray], shift: float = 0.0) -> Media:
    return Media.film([(at - Fraction(shift), change(frame)) for at, frame in media.timed()], Fraction(RATE))


def jpeg(quality: int, scale: float = 1.0) -> Callable[[np.ndarray], np.ndarray]:
    def change(frame: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
        Image.fromarray(frame).resize(size).save(file, "JPEG", quality=quality)
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))

    return change


@pytest.fixture(scope="module")
def scheme() -> FilmMark:
    return FilmMark()


@pytest.fixture(scope="module")
def film(photo: Photo) -> Media:
    return panned(photo("coffee.png"), 2)


@pytest.fixture(scope="module")
def marked(scheme: FilmMark, film: Media) -> Media:
    return Media.film(list(scheme.embed(film, ID).timed()), Fraction(RATE))


def test_it_is_a_keyed_mark_of_films(scheme: FilmMark) -> None:
    assert isinstance(scheme, KeyedWatermark)
    assert scheme.kinds == {Kind.VIDEO}


def test_the_change_is_faint_and_the_frames_keep_their_times(film: Media, marked: Media) -> None:
    errors = []
    for (before_at, before), (at, after) in zip(film.timed(), marked.timed(), strict=True):
        assert at == before_at
        assert after.shape == before.shape
        assert after.dtype == np.uint8
        errors.append(float(((after.astype(float) - before) ** 2).mean()))
    assert 10 * np.log10(255**2 / np.mean(errors)) >= 40.5


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f,
        jpeg(30),
        jpeg(60, 0.5),
        lambda f: np.ascontiguousarray(f[10:163, 40:244]),
        lambda f: np.ascontiguousarray(f[:, ::-1]),
    ],
    ids=["as it is", "jpeg 30", "half size", "half the area", "mirrored"],
)
def test_two_seconds_are_read_after_a_passage(
    scheme: FilmMark, marked: Media, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    reading = scheme.read(changed(marked, change))
    assert reading.mark is not None
    assert reading.mark.id == ID
    assert reading.p_value is not None
    assert reading.p_value < 1e-9
    assert reading.details is not None
    assert reading.details["intervals"] == [[0.0, 2.0]]


def test_a_cut_in_which_the_pattern_moves_on_is_read(scheme: FilmMark, photo: Photo) -> None:
    late = scheme.embed(panned(photo("coffee.png"), 2, start=7.0), ID)  # the pattern moves on at 8 seconds
    reading = scheme.read(changed(late, jpeg(40), shift=7.0))
    assert reading.mark is not None
    assert reading.mark.id == ID
    assert reading.details is not None
    assert reading.details["intervals"] == [[0.0, 2.0]]


def test_nothing_is_read_without_the_mark_or_under_another_key(
    scheme: FilmMark, film: Media, marked: Media
) -> None:
    other = FilmMark([b"somebody else's secret"])
    for reading in (scheme.read(film), other.read(marked)):
        assert reading.mark is None
        assert reading.reason == "no mark"
        assert reading.details is not None
        assert reading.details["intervals"] == []
        assert reading.details["heard"] == [[0.0, 2.0]]


def test_each_of_several_keys_is_tried(marked: Media) -> None:
    reading = FilmMark().with_keys([b"a new secret of ours", b""]).read(marked)
    assert reading.mark is not None
    assert reading.mark.id == ID


def test_a_foreign_scene_shows_as_a_gap(scheme: FilmMark, photo: Photo) -> None:
    ours = list(scheme.embed(panned(photo("coffee.png"), 7), ID).timed())
    foreign = list(panned(photo("chelsea.png"), 3, start=2).timed())
    spliced = [*ours[: 2 * RATE], *foreign, *ours[5 * RATE :]]
    reading = scheme.read(changed(Media.film(spliced, Fraction(RATE)), jpeg(60)))
    assert reading.mark is not None
    assert reading.details is not None
    assert reading.details["heard"] == [[0.0, 7.0]]
    carried = [
        second for start, stop in reading.details["intervals"] for second in np.arange(start, stop, 0.5)
    ]
    expected = [*np.arange(0, 2, 0.5), *np.arange(5, 7, 0.5)]
    assert len(set(carried) & set(expected)) >= 7
    assert set(carried) <= set(expected)


def test_marking_is_lazy_and_holds_no_more_than_a_frame(scheme: FilmMark) -> None:
    drawn = 0

    def source(start: Fraction, stop: Fraction | None) -> Iterator[tuple[Fraction, np.ndarray]]:
        nonlocal drawn
        for number in range(10**9):
            drawn += 1
            yield Fraction(number, RATE), np.full((128, 128, 3), 90, np.uint8)

    endless = scheme.embed(Media(Kind.VIDEO, source, Fraction(RATE), None, (128, 128, 3)), ID).timed()
    assert drawn == 0
    for _ in range(3):
        next(endless)
    assert drawn == 3


@pytest.mark.parametrize("shape", [(1, 1), (47, 600), (600, 47)])
def test_films_too_small_are_refused_and_not_read(scheme: FilmMark, shape: tuple[int, int]) -> None:
    tiny = Media.film(
        [(Fraction(n, RATE), np.zeros((*shape, 3), np.uint8)) for n in range(3)], Fraction(RATE)
    )
    with pytest.raises(LimitError):
        list(scheme.embed(tiny, ID).timed())
    reading = scheme.read(tiny)
    assert reading.mark is None
    assert reading.reason == "too small"


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [(Fraction(0), np.zeros((64, 64, 3), np.uint8))],
        [(Fraction(0), np.zeros((64, 4000, 3), np.uint8)), (Fraction(0), np.zeros((64, 4000, 3), np.uint8))],
        [
            (Fraction(5), np.full((80, 80, 3), 255, np.uint8)),
            (Fraction(10**9), np.zeros((80, 80, 3), np.uint8)),
        ],
        [(Fraction(0), np.zeros((64, 64, 3), np.uint8)), (Fraction(1, 10), np.zeros((100, 64, 3), np.uint8))],
    ],
    ids=["none", "one", "equal times", "a leap in time", "another size"],
)
def test_odd_films_are_read_as_unmarked(scheme: FilmMark, frames: list[tuple[Fraction, np.ndarray]]) -> None:
    assert scheme.read(Media.film(frames, Fraction(RATE))).mark is None


def test_a_black_film_is_marked_below_the_loudest(scheme: FilmMark) -> None:
    black = Media.film([(Fraction(0), np.zeros((120, 160, 3), np.uint8))], Fraction(RATE))
    (frame,) = frames_of(scheme.embed(black, ID))
    assert frame.max() <= 8
    assert float((frame.astype(float) ** 2).mean()) < 255**2 / 10**4.1


def test_the_vector_of_the_format() -> None:
    voice = FilmVoice(PUBLIC_KEY)
    assert voice.key.hex() == "d39403ada890b1b7f7997dfc02408f9e17c65c8c272aec36da1a46d1641be7da"
    assert (
        np.packbits(voice.payload.encode(ID))
        .tobytes()
        .hex()
        .startswith("b4704b194024a5914bc1785455a9015d2e7e2da9")
    )
    assert [voice.corner(ID, number) for number in (0, 1, 32)] == [(1006, 455), (398, 743), (1006, 455)]
    assert [tuple(tone) for tone in voice.pattern.tones[0][:2].tolist()] == [(-126, 60), (16, 87)]


def test_a_malformed_identifier_is_refused_at_once(scheme: FilmMark, film: Media) -> None:
    with pytest.raises(UsageError):
        scheme.embed(film, "not an identifier")
    with pytest.raises(UsageError):
        FilmMark([b"short"])


def test_of_a_long_film_a_part_of_each_minute_is_listened_to(scheme, photo):
    marked = scheme.embed(panned(photo("coffee.png"), 24), ID)
    frames = frames_of(marked)

    def source(start: Fraction, stop: Fraction | None) -> Iterator[tuple[Fraction, np.ndarray]]:
        for number in range(int(start * RATE), int((stop or 660) * RATE)):
            asked.append(number)
            yield Fraction(number, RATE), frames[number % len(frames)]

    asked: list[int] = []
    long = Media(Kind.VIDEO, source, Fraction(RATE), Fraction(660), frames[0].shape)
    reading = scheme.read(long)
    assert reading.mark is not None
    assert reading.mark.id == ID
    assert len(asked) < 660 * RATE / 4
    heard = (reading.details or {})["heard"]
    assert [round(start) for start, _ in heard] == list(range(0, 660, 60))
    assert all(stop - start < 13 for start, stop in heard)
