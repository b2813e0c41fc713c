"""A whole stack through decoding, registration and a method: what is used, what is left out, what is told, what is kept."""

from __future__ import annotations

import threading
import weakref
from itertools import pairwise

import numpy as np
import pytest

from stackcore import alignment, lineup, pipeline
from stackcore.aligned import IDENTITY, AlignedFrame, reduced_matrix
from stackcore.alignment import BadAlignment
from stackcore.depth import DepthMap
from stackcore.files import Arrays, StackError, open_source, source
from stackcore.files.source import BaseSource, Entry
from stackcore.growing import GrowingPreview
from stackcore.methods import Fused
from stackcore.pipeline import Cancelled, FuseOptions, fuse
from stackcore.registration.geometry import calibrate
from stackcore.registration.orthographic import orthographic
from stackcore.slabs import spans
from tests.unit._stacks import (
    FRAMES,
    HEIGHT,
    WIDTH,
    FakeMeasure,
    FakeMethod,
    stack_pixels,
    truth,
    write_stack,
)

AS_THEY_ARE = FuseOptions(method="argmax", align=False, even=False, threads=1)


@pytest.fixture
def measure(monkeypatch):
    fake = FakeMeasure()
    monkeypatch.setattr(lineup, "_make_measure", lambda options: fake)
    return fake


@pytest.fixture
def method(monkeypatch):
    """The method is one that remembers; returns a list of those made."""

    def use(passes: int = 1) -> list[FakeMethod]:
        FakeMethod.made = []
        monkeypatch.setattr(pipeline, "make", lambda name, setting, **options: FakeMethod(setting, passes))
        return FakeMethod.made

    return use


def decoding_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_a_stack_becomes_its_sharp_picture_and_its_depth():
    result = fuse(Arrays(stack_pixels()), AS_THEY_ARE)
    inside = np.abs(result.picture.astype(int) - truth())[4:-4, 4:-4]
    assert (inside > 0).mean() < 0.15  # the seams between two strips
    assert [frame.used for frame in result.frames] == [True] * FRAMES
    assert result.depth is not None
    middles = [round((k + 0.5) * WIDTH / FRAMES) for k in range(FRAMES)]
    found = np.nanmedian(result.depth.frame_index[8:-8][:, middles], axis=0)
    np.testing.assert_allclose(found, range(FRAMES), atol=0.5)


def test_the_result_is_the_same_for_any_number_of_threads():
    results = [
        fuse(Arrays(stack_pixels()), FuseOptions(method="argmax", align=False, even=False, threads=n))
        for n in (1, 2, 5)
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(other.picture, results[0].picture)
        np.testing.assert_array_equal(other.depth.frame_index, results[0].depth.frame_index)


def test_a_second_pass_reuses_the_registration_of_the_first(measure, method):
    made = method(passes=2)
    result = fuse(Arrays(stack_pixels()), FuseOptions(threads=1))
    assert measure.seen == list(range(FRAMES))
    (one,) = made
    assert one.added == [(p, k) for p in (0, 1) for k in range(FRAMES)]
    np.testing.assert_array_equal(one.matrices[0], one.matrices[1])
    assert one.matrices[1][3][0, 2] == 3
    assert one.closed == 1
    assert result.frames[3].gain[0] == pytest.approx(1.03)


def test_a_frame_that_cannot_be_registered_is_left_out_of_both_passes_and_reported(measure, method):
    made = method(passes=2)
    measure.lost = frozenset({2})
    result = fuse(Arrays(stack_pixels()), FuseOptions(threads=1))
    assert [k for _, k in made[0].added] == [0, 1, 3, 4, 5] * 2
    (out,) = result.left_out
    assert (out.index, out.reason) == (2, "not registered: too little in common")
    assert len(result.used) == FRAMES - 1


def test_without_aligning_nothing_moves_and_nothing_is_lost(measure, method):
    made = method()
    measure.lost = frozenset({2})
    fuse(Arrays(stack_pixels()), FuseOptions(threads=1, align=False))
    assert [k for _, k in made[0].added] == list(range(FRAMES))
    assert all(np.array_equal(matrix, np.eye(3)[:2]) for matrix in made[0].matrices[0])
    measure.seen.clear()
    fuse(Arrays(stack_pixels()), FuseOptions(threads=1, align=False, even=False))
    assert measure.seen == []


def test_unreadable_frames_are_left_out_with_their_reason(tmp_path):
    paths = write_stack(tmp_path)
    paths[1].write_bytes(paths[1].read_bytes()[:100])
    paths[4].write_bytes(b"")
    result = fuse(open_source(paths), AS_THEY_ARE)
    assert [frame.name for frame in result.left_out] == ["f001.png", "f004.png"]
    assert "empty" in result.left_out[1].reason
    assert [frame.index for frame in result.used] == [0, 2, 3, 5]
    assert all(frame.matrix is not None for frame in result.used)


def test_a_frame_of_another_kind_is_left_out_with_its_reason():
    pixels = stack_pixels()
    pixels[3] = pixels[3][:20]
    pixels[4] = pixels[4][..., 0]
    pixels[5] = pixels[5].astype(np.uint16)
    result = fuse(Arrays(pixels), AS_THEY_ARE)
    reasons = [frame.reason for frame in result.left_out]
    assert reasons[0] == f"64 x 20 px, the stack has {WIDTH} x {HEIGHT}"
    assert "gray" in reasons[1]
    assert "16 bits" in reasons[2]


def test_a_first_frame_that_is_the_odd_one_is_an_error_that_names_it():
    pixels = stack_pixels()
    pixels[0] = pixels[0][:20]
    with pytest.raises(StackError, match=r"do not fit the first, frame 0.*64 x 48 px"):
        fuse(Arrays(pixels), AS_THEY_ARE)


def test_one_frame_alone_is_its_own_result():
    (pixels,) = stack_pixels(1)
    result = fuse(Arrays([pixels]), AS_THEY_ARE)
    np.testing.assert_array_equal(result.picture, pixels)
    assert len(result.used) == 1


def test_no_frame_that_can_be_used_is_an_error_that_names_them(tmp_path):
    paths = write_stack(tmp_path, 3)
    for path in paths:
        path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(StackError, match=r"none of 3 frames can be used: f000\.png: .*f002\.png"):
        fuse(open_source(paths), AS_THEY_ARE)
    assert not decoding_threads()


def test_a_frame_that_is_gone_in_the_second_pass_is_an_error_that_names_it(
    tmp_path, measure, method, monkeypatch
):
    monkeypatch.setattr(lineup, "KEPT_BYTES", 0)
    method(passes=2)
    paths = write_stack(tmp_path)

    def spoil(progress):
        if progress.phase == "second pass":
            paths[5].write_bytes(b"")

    with pytest.raises(StackError, match=r"f005\.png could be read before"):
        fuse(open_source(paths), FuseOptions(threads=1), progress=spoil)
    assert FakeMethod.made[0].closed == 1


@pytest.mark.parametrize("kept", [False, True])
def test_a_small_stack_is_decoded_once_for_two_passes(tmp_path, monkeypatch, kept):
    paths = write_stack(tmp_path)
    size = stack_pixels()[0].nbytes * len(paths)
    monkeypatch.setattr(lineup, "KEPT_BYTES", size if kept else size - 1)
    decoded = []
    decode = source.decode_frame
    monkeypatch.setattr(
        source, "decode_frame", lambda *args, **options: decoded.append(args[1]) or decode(*args, **options)
    )
    stack = open_source(paths)
    options = FuseOptions(method="depth", align=False, even=False, threads=2)
    result = fuse(stack, options)
    names = sorted(path.name for path in paths)
    assert sorted(decoded) == (names if kept else sorted(names * 2))
    again = fuse(Arrays(stack_pixels()), options)
    assert (result.picture == again.picture).all()
    np.testing.assert_array_equal(result.depth.frame_index, again.depth.frame_index)


def test_slabs_of_a_small_stack_keep_their_own_frames(tmp_path, monkeypatch):
    paths = write_stack(tmp_path)
    options = FuseOptions(method="depth", align=False, even=False, threads=2, slab_frames=4, slab_overlap=1)
    pictures = []
    for most in (0, lineup.KEPT_BYTES):
        monkeypatch.setattr(lineup, "KEPT_BYTES", most)
        pictures.append(fuse(open_source(paths), options).picture)
    assert (pictures[0] == pictures[1]).all()


class Counted(BaseSource):
    """A source that knows how many of its arrays are alive."""

    def __init__(self, frames: int) -> None:
        self.names = tuple(f"frame {k}" for k in range(frames))
        self.positions_um = None
        self.notices = []
        self.alive = weakref.WeakValueDictionary()
        self.most = 0

    def __len__(self):
        return len(self.names)

    def entries(self):
        for index, name in enumerate(self.names):
            pixels = np.full((HEIGHT, WIDTH), index % 200, np.uint8)
            self.alive[index] = pixels
            self.most = max(self.most, len(self.alive))
            entry = Entry(index, name, pixels=pixels)
            del pixels
            yield entry
            del entry


@pytest.mark.parametrize("threads", [1, 2])
def test_only_a_few_decoded_frames_are_alive_however_long_the_stack(method, threads):
    made = method(passes=2)
    source = Counted(60)
    fuse(source, FuseOptions(threads=threads, align=False, even=False))
    assert len(made[0].added) == 120
    assert (
        source.most <= lineup.AHEAD + 3
    )  # being decoded, in the method, and one that each decoder just let go of


def test_progress_counts_every_frame_of_every_pass_and_ends_at_the_end(measure, method):
    method(passes=2)
    told = []
    fuse(Arrays(stack_pixels()), FuseOptions(threads=1), progress=told.append)
    frames = [one for one in told if one.phase in {"fusing", "second pass"}]
    assert [one.done for one in frames] == list(range(1, 2 * FRAMES + 1))
    assert {one.total for one in frames} == {2 * FRAMES}
    assert frames[0].seconds_left is None
    assert frames[-1].seconds_left == 0
    assert told[-1].phase == "done"


def test_cancelled_it_stops_at_once_and_leaves_no_thread(measure, method):
    made = method()
    with pytest.raises(Cancelled):
        fuse(Arrays(stack_pixels()), FuseOptions(threads=2), cancelled=lambda: len(measure.seen) == 2)
    assert [k for _, k in made[0].added] == [0, 1]
    assert made[0].closed == 1
    assert not decoding_threads()


def test_a_preview_is_handed_out_at_once_and_then_now_and_then(measure, method):
    method()
    shown = []
    fuse(Arrays(stack_pixels()), FuseOptions(threads=1, preview_s=1e-9), preview=shown.append)
    assert len(shown) == FRAMES
    np.testing.assert_array_equal(shown[2], stack_pixels()[2])
    shown.clear()
    fuse(Arrays(stack_pixels()), FuseOptions(threads=1, preview_s=3600), preview=shown.append)
    assert len(shown) == 1


@pytest.mark.parametrize("slab", [None, 3])
def test_a_method_without_a_preview_of_its_own_gets_a_small_one_that_grows(monkeypatch, method, slab):
    method(passes=2)
    monkeypatch.setattr(FakeMethod, "preview", lambda self: None)
    monkeypatch.setattr("stackcore.growing.MEGAPIXELS", 64 * 48 / 4 / 1e6)
    shown = []
    options = FuseOptions(threads=1, align=False, even=False, preview_s=1e-9, slab_frames=slab)
    fuse(Arrays(stack_pixels()), options, preview=lambda picture: shown.append(picture.copy()))
    assert {picture.shape for picture in shown} == {(HEIGHT // 2, WIDTH // 2, 3)}
    spread = [picture[4:-4].astype(float).std() for picture in shown]
    assert spread[-1] > 1.5 * spread[0]  # strip after strip gets its texture
    assert not [thread for thread in threading.enumerate() if "merge" in thread.name]


@pytest.mark.parametrize("factor", [1, 2, 3, 8])
def test_a_map_between_frames_is_the_same_between_reduced_frames(factor):
    matrix = np.array([[1.01, 0.02, 5.0], [-0.02, 1.01, -3.0]])
    block = np.array([7.0, 4.0])  # of the reference, reduced
    middle = block * factor + (factor - 1) / 2
    seen = matrix[:, :2] @ middle + matrix[:, 2]
    small = reduced_matrix(matrix, factor)
    np.testing.assert_allclose(small[:, :2] @ block + small[:, 2], (seen - (factor - 1) / 2) / factor)


def test_a_reduced_preview_lies_on_the_reference_and_is_even():
    pixels = np.random.default_rng(2).integers(0, 200, (60, 80, 3), np.uint8)
    pixels = np.repeat(np.repeat(pixels, 4, 0), 4, 1)
    matrix = np.array([[1.0, 0, 8], [0, 1, 4]])
    growing = GrowingPreview(240, 320, 3, 1)
    growing._factor, growing._size = 4, (80, 60)
    small = growing._reduced(AlignedFrame(0, pixels, matrix, np.full(3, 1.1, np.float32)))
    expected = np.rint(pixels[::4, ::4].astype(np.float32) * np.float32(1.1))
    np.testing.assert_allclose(small[:-1, :-2], expected[1:, 2:], atol=1)
    growing.close()


# ------------------------------------------------------------------------------------------------------- seen from infinity


class Zooming(FakeMeasure):
    """Finds each frame a little larger than the one before."""

    def add(self, pixels, index, **_):
        place = super().add(pixels, index)
        zoom = 1 / (1 - 0.02 * index)
        centre = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
        place.matrix[:] = np.column_stack([np.eye(2) * zoom, centre * (1 - zoom)])
        return place


def test_the_orthographic_view_follows_the_stacks_own_zoom(monkeypatch):
    monkeypatch.setattr(lineup, "_make_measure", lambda options: Zooming())
    monkeypatch.setattr(pipeline, "make", lambda name, setting, **options: Tilted(setting))
    told = []
    result = fuse(Arrays(stack_pixels()), FuseOptions(threads=1, orthographic=True), progress=told.append)
    law = calibrate(range(FRAMES), [frame.matrix for frame in result.frames])
    plain = Tilted(None)
    plain.add(AlignedFrame(5, stack_pixels()[5]))
    expected = orthographic(plain.picture, plain.finish().depth.frame_index, law)
    np.testing.assert_array_equal(result.picture, expected.picture)
    known = np.isfinite(result.depth.frame_index)
    np.testing.assert_array_equal(result.depth.frame_index[known], expected.depth[known])
    assert 0.5 < known.mean() < 0.99
    assert not known[: HEIGHT // 4, : WIDTH // 4].any()  # the hole stays one
    assert result.depth.confidence[~known].max() <= 1
    assert "orthographic" in {one.phase for one in told}


class Tilted(FakeMethod):
    """Its depth falls from left to right, with a hole at the top left."""

    def finish(self):
        depth = np.broadcast_to(np.linspace(0, 5, WIDTH, dtype=np.float32), (HEIGHT, WIDTH)).copy()
        depth[: HEIGHT // 3, : WIDTH // 3] = np.nan
        return Fused(self.picture, DepthMap(depth, np.full_like(depth, 0.75)))


def test_without_depth_there_is_no_orthographic_view(monkeypatch, measure):
    monkeypatch.setattr(pipeline, "make", lambda name, setting, **options: FakeMethod(setting))
    monkeypatch.setattr(FakeMethod, "finish", lambda self: Fused(self.picture, None))
    with pytest.raises(StackError, match="needs depth"):
        fuse(Arrays(stack_pixels()), FuseOptions(threads=1, orthographic=True))
    monkeypatch.undo()
    options = FuseOptions(method="argmax", threads=1, orthographic=True, align=False, even=False)
    with pytest.raises(StackError, match="no orthographic view"):
        fuse(Arrays(stack_pixels(1)), options)


def test_frames_too_small_to_be_registered_are_an_error_that_says_what_to_do():
    with pytest.raises(StackError, match=r"frame 0: .*too small.*without aligning"):
        fuse(Arrays([np.full((6, 6), 9, np.uint8)] * 3), FuseOptions(method="argmax", threads=1))


def test_a_method_that_finds_out_which_end_is_near_says_so(measure, method):
    method()
    assert fuse(Arrays(stack_pixels()), FuseOptions(threads=1)).near_first is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeMethod, "near_first", False, raising=False)
        assert fuse(Arrays(stack_pixels()), FuseOptions(threads=1)).near_first is False


def test_positions_come_from_the_options_or_the_source():
    pixels = stack_pixels()
    known = Arrays(pixels, positions_um=[10.0 * k * k for k in range(FRAMES)])
    assert fuse(Arrays(pixels), AS_THEY_ARE).heights_um() is None
    of_source = fuse(known, AS_THEY_ARE)
    assert of_source.positions_um == (0.0, 10.0, 40.0, 90.0, 160.0, 250.0)
    stepped = fuse(known, FuseOptions(method="argmax", align=False, even=False, step_um=-5.0))
    heights = stepped.heights_um()
    np.testing.assert_allclose(heights, -5 * stepped.depth.frame_index, rtol=1e-5)
    too_few = FuseOptions(method="argmax", align=False, even=False, positions_um=(1.0, 2.0))
    told = []
    with pytest.raises(StackError, match="2 positions were given for 6 frames"):
        fuse(known, too_few, progress=told.append)
    assert not told  # before the work, not after it


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"threads": 0}, "threads"),
        ({"slab_frames": 1}, "slab"),
        ({"slab_frames": 4, "slab_overlap": 4}, "0 to 3"),
        ({"step_um": 0.0}, "step_um"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong, why):
    with pytest.raises(ValueError, match=why):
        FuseOptions(**wrong)


# ---------------------------------------------------------------------------------------------------------- kept alignment


def test_a_kept_registration_gives_the_same_result_and_measures_nothing(tmp_path, measure, method):
    made = method()
    measure.lost = frozenset({2})
    paths = write_stack(tmp_path / "stack")
    first = fuse(open_source(paths), FuseOptions(threads=1))
    alignment.save(tmp_path / "kept.json", first.alignment)
    measure.seen.clear()
    kept = alignment.load(tmp_path / "kept.json")
    again = fuse(open_source(paths), FuseOptions(threads=1, alignment=kept))
    assert measure.seen == []
    np.testing.assert_array_equal(made[0].matrices[0], made[1].matrices[0])
    assert [frame.name for frame in again.left_out] == ["f002.png"]
    assert again.left_out[0].reason == first.left_out[0].reason
    np.testing.assert_array_equal(again.frames[4].gain, first.frames[4].gain)

    some = fuse(open_source([paths[4], paths[3]]), FuseOptions(threads=1, alignment=kept))  # found by name
    assert [frame.matrix[0, 2] for frame in some.used] == [4, 3]


def test_a_kept_registration_of_another_stack_is_refused(tmp_path, measure, method):
    method()
    result = fuse(open_source(write_stack(tmp_path / "stack")), FuseOptions(threads=1))
    kept = result.alignment
    other = [path.rename(path.with_name(f"x{path.name}")) for path in write_stack(tmp_path / "other")]
    as_many = fuse(open_source(other), FuseOptions(threads=1, alignment=kept))  # taken again: in order
    assert [frame.matrix[0, 2] for frame in as_many.used] == list(range(FRAMES))
    with pytest.raises(BadAlignment, match=r"6 frames, the stack 4, and xf000\.png"):
        fuse(open_source(other[:4]), FuseOptions(threads=1, alignment=kept))
    with pytest.raises(BadAlignment, match="64 x 48"):
        fuse(Arrays([p[:20] for p in stack_pixels()]), FuseOptions(threads=1, alignment=kept))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"kind": "something"}',
        '{"kind": "stackcore registration", "format": 1}',
        '{"kind": "stackcore registration", "format": 99}',
    ],
)
def test_what_is_no_registration_is_said_so_with_its_name(tmp_path, text):
    path = tmp_path / "reg.json"
    path.write_text(text)
    with pytest.raises(BadAlignment, match=r"reg\.json"):
        alignment.load(path)


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((2, 3)),
        [[1, 0, 1e9], [0, 1, 0]],
        [[1, 0, 0], [0, -1, 0]],
        [[-1, 0, 9], [0, -1, 9]],
        [[0, 1, 0], [-1, 0, 9]],
    ],
)
def test_a_place_where_no_frame_can_lie_is_no_registration(tmp_path, matrix):
    placed = alignment.Placed(0, "f", True, "", np.asarray(matrix, float), np.ones(3, np.float32))
    alignment.save(tmp_path / "reg.json", alignment.Alignment(4, 4, (placed,)))
    with pytest.raises(BadAlignment, match="no place"):
        alignment.load(tmp_path / "reg.json")


# ------------------------------------------------------------------------------------------------------------------ slabs


@pytest.mark.parametrize(
    ("frames", "slab", "overlap", "expected"),
    [
        (5, 8, 2, [(0, 5)]),
        (8, 8, 2, [(0, 8)]),
        (9, 8, 2, [(0, 8), (1, 9)]),
        (20, 8, 2, [(0, 8), (6, 14), (12, 20)]),
        (21, 8, 2, [(0, 8), (6, 14), (12, 20), (13, 21)]),
        (6, 2, 0, [(0, 2), (2, 4), (4, 6)]),
    ],
)
def test_slabs_cover_the_stack_and_overlap(frames, slab, overlap, expected):
    found = spans(frames, slab, overlap)
    assert found == expected
    assert all(stop - start <= slab for start, stop in found)
    assert {k for start, stop in found for k in range(start, stop)} == set(range(frames))
    assert all(before[1] - after[0] >= overlap for before, after in pairwise(found))


def test_a_stack_in_slabs_is_sharp_and_its_depth_is_in_frames_of_the_whole():
    frames = 8
    source = Arrays(stack_pixels(frames))
    result = fuse(
        source,
        FuseOptions(method="argmax", align=False, even=False, threads=1, slab_frames=4, slab_overlap=2),
    )
    inside = np.abs(result.picture.astype(int) - truth())[4:-4, 4:-4]
    assert (inside > 0).mean() < 0.3
    middles = [round((k + 0.5) * WIDTH / frames) for k in range(frames)]
    found = np.nanmedian(result.depth.frame_index[8:-8][:, middles], axis=0)
    np.testing.assert_allclose(found, range(frames), atol=0.6)
    assert [frame.index for frame in result.frames] == list(range(frames))


def test_where_no_frame_of_a_slab_shows_anything_it_shows_what_the_one_before_does():
    """The later frames are narrower than the first: their repeated edge pixels are streaks, as sharp as anything."""
    rng = np.random.default_rng(7)
    texture = rng.integers(40, 216, (HEIGHT, WIDTH, 3), np.uint8)
    soft = np.full_like(texture, 128)
    narrow = np.array([[1.25, 0, -0.125 * WIDTH], [0, 1.25, -0.125 * HEIGHT]])
    placed = tuple(
        alignment.Placed(k, f"frame {k}", True, "", IDENTITY if k < 2 else narrow, np.ones(3, np.float32))
        for k in range(4)
    )
    options = FuseOptions(
        method="argmax",
        threads=1,
        slab_frames=2,
        slab_overlap=0,
        alignment=alignment.Alignment(HEIGHT, WIDTH, placed),
    )
    result = fuse(Arrays([soft, soft, texture, soft]), options)
    assert (result.picture[20:-20, 24:-24] != 128).mean() > 0.9
    for border in (result.picture[:4], result.picture[-4:], result.picture[:, :5], result.picture[:, -5:]):
        assert (border == 128).all()


def test_slabs_measure_each_frame_once_and_make_a_method_each(measure, method):
    made = method(passes=2)
    told = []
    options = FuseOptions(threads=1, slab_frames=4, slab_overlap=2)
    fuse(Arrays(stack_pixels(8)), options, progress=told.append)
    assert measure.seen == list(range(8))
    assert [sorted({k for _, k in one.added}) for one in made] == [
        [0, 1, 2, 3],
        [2, 3, 4, 5],
        [4, 5, 6, 7],
        [0, 1, 2],
    ]
    assert all(one.closed == 1 for one in made)
    last = told[-1]
    assert last.done == last.total == 24
