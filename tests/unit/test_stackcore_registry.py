"""The catalogue of methods: what it declares is what the classes take, and what it refuses it explains."""

from __future__ import annotations

import inspect
import typing

import numpy as np
import pytest

from rigd.config.model import Finish
from stackcore.aligned import AlignedFrame
from stackcore.catalogue import DEFAULT, METHODS, BadOption, Option, UnknownMethod, find
from stackcore.methods import Setting
from stackcore.methods.registry import NAMES, class_of, make
from tests.unit._stacks import stack_pixels


@pytest.mark.parametrize("name", METHODS)
def test_what_is_declared_is_what_the_class_takes(name):
    taken = {
        parameter.name: parameter
        for parameter in inspect.signature(class_of(name).__init__).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    hints = typing.get_type_hints(class_of(name).__init__)
    declared = {option.name: option for option in METHODS[name].options}
    assert declared.keys() == taken.keys()
    for option in declared.values():
        assert option.default == taken[option.name].default
        assert option.kind is hints[option.name]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_can_be_made_and_fuses_and_knows_depth_as_declared(name):
    pixels = stack_pixels(5)
    setting = Setting(*pixels[0].shape[:2], threads=1, expected=5)
    method = make(name, setting)
    try:
        assert method.passes in {1, 2}
        for pass_number in range(method.passes):
            for k, frame in enumerate(pixels):
                method.add(AlignedFrame(k, frame), pass_number)
        fused = method.finish()
    finally:
        method.close()
    method.close()
    assert (fused.picture.shape, fused.picture.dtype) == (pixels[0].shape, np.uint8)
    assert (fused.depth is not None) == METHODS[name].depth
    assert fused.depth is None or fused.depth.frame_index.shape == pixels[0].shape[:2]


def test_every_method_has_a_line_about_it_and_the_default_is_one_of_them():
    assert DEFAULT in METHODS
    assert NAMES.keys() == METHODS.keys()
    assert all(summary and "\n" not in summary for summary in NAMES.values())


def test_the_daemon_knows_the_same_methods():
    assert typing.get_args(Finish.model_fields["method"].annotation) == tuple(METHODS)


def test_unknown_methods_are_refused_with_a_suggestion():
    with pytest.raises(
        UnknownMethod, match=r"no method 'wieghted'; did you mean 'weighted'\? There are: unveil, "
    ):
        find("wieghted")
    with pytest.raises(UnknownMethod, match=r"no method 'xyz'\. There are: unveil, "):
        find("xyz")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gama": 3}, r"option 'gama' of method 'weighted': there is none; did you mean 'gamma'\?"),
        ({"wings": 3}, "it has gamma, measure, radius"),
        ({"gamma": 0}, r"0 is not allowed; it is a number from 0.01 to 64"),
        ({"gamma": "nan"}, "'nan' is not allowed"),
        ({"gamma": True}, "True is not allowed"),
        ({"radius": 2.5}, r"2.5 is not allowed; it is a whole number from 1 to 5"),
        ({"radius": "three"}, "'three' is not allowed"),
        ({"measure": "blur"}, "one of sml, laplacian2"),
        ({"measure": 3}, "3 is not allowed"),
    ],
)
def test_bad_options_name_the_option_the_method_and_what_is_allowed(options, words):
    with pytest.raises(BadOption, match=words):
        make("weighted", Setting(8, 8), **options)


def test_text_is_read_as_the_options_kind():
    assert find("weighted").values({"gamma": "2", "radius": "3"}) == {"gamma": 2.0, "radius": 3}
    truth = Option("x", bool, False, "")
    assert [truth.value_of("m", text) for text in ("true", "No", "on", "0", True)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    with pytest.raises(BadOption, match="true or false"):
        truth.value_of("m", "maybe")


def test_what_only_the_method_can_tell_is_a_bad_option_too():
    with pytest.raises(BadOption, match="0 x 8 px has no pixels"):
        make("depth", Setting(0, 8), cell_px=2)


def test_a_number_can_be_one_of_a_few():
    assert find("labels").values({"cell_px": "4"}) == {"cell_px": 4}
    for name, given, words in (("labels", 0, "one of 1, 2, 4, 8"), ("depth", 3, "one of 0, 1, 2, 4, 8")):
        with pytest.raises(BadOption, match=f"{given} is not allowed; it is {words}"):
            find(name).values({"cell_px": given})
