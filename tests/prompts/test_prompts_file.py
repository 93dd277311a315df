"""Prompts files: written, read, refused, and in step with their schema."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_segnext.errors import PromptsFileError
from napari_segnext.prompts import (
    AnnotatedObject,
    Box,
    ChannelReference,
    Click,
    DraftPrompts,
    ImageReference,
    MaskPrompt,
    ModelReference,
    Polygon,
    Prompts,
    PromptsFile,
    PropagatedSlice,
    Scribble,
    SlicePrompts,
    read_prompts_file,
    write_prompts_file,
)
from napari_segnext.prompts.prompts_file import SCHEMA_PATH, prompts_file_from_json, prompts_file_to_json

SHA256 = "0123456789abcdef" * 4
MASK = np.array([[0, 1, 1], [0, 1, 0]], dtype=bool)

numbers = st.floats(allow_nan=False, allow_infinity=False)
points = st.tuples(numbers, numbers)
texts = st.text(max_size=8)
digests = st.sampled_from(["", SHA256])


def _is_box(edges: tuple[float, float, float, float]) -> bool:
    return edges[0] != edges[2] and edges[1] != edges[3]


prompts = st.one_of(
    st.builds(Click, numbers, numbers, st.booleans()),
    st.tuples(numbers, numbers, numbers, numbers).filter(_is_box).map(lambda edges: Box(*edges)),
    st.lists(points, min_size=3, max_size=5, unique=True).map(Polygon),
    st.builds(
        Scribble,
        st.lists(points, min_size=1, max_size=4),
        st.booleans(),
        st.floats(0, 1e6, exclude_min=True),
    ),
    arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=6)).filter(np.any).map(MaskPrompt),
)
masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=6)).filter(np.any).map(MaskPrompt)
slices = st.builds(
    SlicePrompts,
    st.integers(0, 2),
    st.integers(0, 999),
    st.lists(prompts, max_size=4).map(tuple).map(Prompts),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99)), max_size=1).map(tuple),
    st.none() | st.floats(0, 1, exclude_min=True, exclude_max=True),
    st.sampled_from([(), (("fills_holes", True), ("opening", 2.5), ("max_hole", None))]),
    st.none() | masks,
)
propagated = st.builds(
    PropagatedSlice,
    st.integers(0, 2),
    st.integers(0, 999),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99)), max_size=1).map(tuple),
    st.sampled_from(["between", "beyond", "stopped", "painted"]),
    st.floats(0, 1),
    texts,
    st.sampled_from(["", "edited", "accepted"]),
    st.sampled_from(["", SHA256[:16]]),
    st.sampled_from(["", SHA256[16:32]]),
)
channels = st.one_of(
    st.builds(
        ChannelReference,
        texts,
        st.just(None),
        st.just(0),
        st.none() | st.just((-1.5, 3.0)),
        st.sampled_from([1.0, 0.5]),
    ),
    st.builds(ChannelReference, texts, st.integers(0, 4), st.integers(0, 99)),
)
prompts_files = st.builds(
    PromptsFile,
    st.lists(
        st.builds(
            AnnotatedObject,
            st.integers(1, 2**40),
            texts,
            st.lists(slices, max_size=2, unique_by=lambda item: item.place).map(tuple),
            texts,
            st.booleans(),
            st.lists(propagated, max_size=3, unique_by=lambda item: item.place).map(tuple),
        ),
        max_size=3,
        unique_by=lambda item: item.label,
    ).map(tuple),
    st.none()
    | st.builds(
        ImageReference,
        texts,
        st.lists(st.integers(1, 4096), max_size=4).map(tuple),
        digests,
        st.lists(st.floats(0, 1e3, exclude_min=True), max_size=3).map(tuple),
        st.lists(channels, max_size=3).map(tuple),
        texts,
    ),
    st.none() | st.builds(ModelReference, texts, digests),
    st.none() | st.booleans(),
    st.lists(
        st.builds(DraftPrompts, slices, st.none() | st.integers(1, 9)),
        max_size=2,
        unique_by=lambda draft: draft.on.place,
    ).map(tuple),
)


@pytest.fixture
def file() -> PromptsFile:
    """One object with one prompt of each kind on a slice, and one with a click on a plain image."""
    everything = Prompts(
        (
            Click(120.5, 88.0),
            Box(10, 20, 90, 120),
            Polygon([(1, 2), (3, 4), (5, 0)]),
            Scribble([(1, 1), (2, 2)], is_positive=False, width=5),
            MaskPrompt(MASK),
        )
    )
    return PromptsFile(
        (
            AnnotatedObject(1, "mitochondrion", (SlicePrompts(0, 10, everything),)),
            AnnotatedObject(2, "", (SlicePrompts(0, 0, Prompts((Click(3, 4, False),))),)),
        ),
        ImageReference("case.nii.gz", (30, 200, 200), SHA256),
        ModelReference("segnext-tiny", SHA256),
    )


@pytest.fixture
def document(file) -> dict:
    """The same as JSON, ready to be spoiled."""
    return json.loads(json.dumps(prompts_file_to_json(file)))


@settings(max_examples=60, deadline=None)
@given(prompts_files)
def test_any_prompts_file_comes_back_exactly(tmp_path_factory, file):
    path = tmp_path_factory.mktemp("prompts") / "prompts.json"
    write_prompts_file(path, file)
    assert read_prompts_file(path) == file


def test_text_is_the_published_layout_with_one_prompt_per_line(tmp_path, file):
    write_prompts_file(tmp_path / "prompts.json", file)
    text = (tmp_path / "prompts.json").read_text(encoding="utf-8")
    assert '{"kind": "click", "row": 120.5, "column": 88.0, "is_positive": true},\n' in text
    assert '{"kind": "mask", "shape": [2, 3], "rle": [1, 2, 1, 1, 1]}\n' in text
    assert list(json.loads(text)) == ["format", "version", "image", "model", "objects"]


def test_hand_written_file_may_leave_out_what_has_a_default(tmp_path):
    path = tmp_path / "prompts.json"
    path.write_text(
        """{"format": "napari-segnext/prompts", "version": 1, "objects": [{"label": 3, "slices": [
        {"axis": 0, "index": 0, "prompts": [{"kind": "click", "row": 1, "column": 2},
                                            {"kind": "scribble", "path": [[0, 0]]}]}]}]}"""
    )
    prompts = Prompts((Click(1, 2, True), Scribble([(0, 0)], is_positive=True, width=1)))
    assert read_prompts_file(path) == PromptsFile((AnnotatedObject(3, "", (SlicePrompts(0, 0, prompts),)),))


@pytest.mark.parametrize("zoom", [True, False])
def test_zoom_is_written_where_it_is_known(tmp_path, zoom):
    write_prompts_file(tmp_path / "prompts.json", PromptsFile(zoom=zoom))
    assert json.loads((tmp_path / "prompts.json").read_text())["zoom"] is zoom
    assert read_prompts_file(tmp_path / "prompts.json").zoom is zoom


def test_file_without_zoom_is_read_and_says_that_it_is_unknown(document):
    assert "zoom" not in document
    assert prompts_file_from_json(document).zoom is None
    assert prompts_file_from_json({**document, "zoom": None}).zoom is None


def test_prompts_are_found_by_slice(file):
    assert file.objects[1].prompts_on() == Prompts((Click(3, 4, False),))
    assert file.objects[0].prompts_on(axis=0, index=11) == Prompts()


def test_name_that_is_no_text_survives(tmp_path):
    file = PromptsFile(image=ImageReference("Bild\udce4.png"))
    write_prompts_file(tmp_path / "prompts.json", file)
    assert read_prompts_file(tmp_path / "prompts.json") == file


def test_numpy_integers_are_written_as_numbers(tmp_path):
    file = PromptsFile((AnnotatedObject(np.int64(7), "", (SlicePrompts(np.int64(0), np.int64(2), Prompts()),)),))
    write_prompts_file(tmp_path / "prompts.json", file)
    assert read_prompts_file(tmp_path / "prompts.json") == file


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, file):
    path = tmp_path / "prompts.json"
    write_prompts_file(path, file)
    old = path.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_prompts_file(path, PromptsFile())
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_two_objects_of_one_label_are_not_written(tmp_path):
    file = PromptsFile((AnnotatedObject(1), AnnotatedObject(1)))
    with pytest.raises(PromptsFileError, match="objects\\[1\\] has the label 1 of an earlier entry"):
        write_prompts_file(tmp_path / "prompts.json", file)
    assert list(tmp_path.iterdir()) == []


def _put(document: dict, place: list, value: object) -> None:
    for step in place[:-1]:
        document = document[step]
    document[place[-1]] = value


PROMPTS = ["objects", 0, "slices", 0, "prompts"]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["format"], "cvat", 'format is "cvat"; expected "napari-segnext/prompts"'),
        (["version"], 2, "version is 2; expected 1. The file was written by a newer program"),
        (["version"], True, "version is true; expected a whole number"),
        (["objects"], {}, "objects is an object; expected a list"),
        (["extra"], 1, "extra is unknown; expected only"),
        (["zoom"], 1, "zoom is 1; expected true or false"),
        (["image", "sha256"], "xyz", 'image.sha256 is "xyz"; expected 64 hexadecimal digits'),
        (["image", "shape"], [0, 5], "image.shape[0] is 0; expected a whole number, at least 1"),
        (["image", "spacing"], [1, 0], "image.spacing[1] is 0; expected a number above 0"),
        (["image", "channels"], [{"name": "a"}] * 4, "expected at most 3 channels"),
        (["image", "depth"], 3, "image.depth is 3; expected a text"),
        (["image", "channels"], [{"name": "a", "gamma": 0}], "image.channels[0].gamma is 0; expected a number above 0"),
        (["image", "channels"], [{"name": "a", "contrast_limits": [2, 1]}], "contrast_limits is a list; expected low"),
        (["image", "channels"], [{"name": "a", "contrast_limits": [2]}], "expected two numbers, [low, high]"),
        (["model", "name"], None, "model.name is null; expected a text"),
        (["objects", 1, "label"], 0, "objects[1].label is 0; expected a whole number, at least 1"),
        (["objects", 1, "label"], 1, "objects[1] has the label 1 of an earlier entry"),
        (["objects", 0, "slices", 0, "axis"], -1, "objects[0].slices[0].axis is -1"),
        (["objects", 0, "slices", 0, "index"], 1.5, "objects[0].slices[0].index is 1.5; expected a whole number"),
        ([*PROMPTS, 0], 7, "objects[0].slices[0].prompts[0] is 7; expected an object"),
        ([*PROMPTS, 0, "kind"], "lasso", 'prompts[0].kind is "lasso"; expected one of click, box, polygon'),
        ([*PROMPTS, 0, "row"], "12", 'objects[0].slices[0].prompts[0].row is "12"; expected a number'),
        ([*PROMPTS, 0, "row"], True, "prompts[0].row is true; expected a number"),
        ([*PROMPTS, 0, "row"], 10**400, "expected a finite number"),
        ([*PROMPTS, 0, "is_positive"], 1, "prompts[0].is_positive is 1; expected true or false"),
        ([*PROMPTS, 0, "is_postive"], False, "prompts[0].is_postive is unknown"),
        ([*PROMPTS, 1, "bottom"], 10, "prompts[1]: box from (10, 20) to (10, 120) has no area"),
        ([*PROMPTS, 2, "vertices", 1], [1], "prompts[2].vertices[1] is a list; expected two numbers, [row, column]"),
        ([*PROMPTS, 2, "vertices"], [[0, 0], [1, 1]], "prompts[2]: polygon has 2 vertices"),
        ([*PROMPTS, 3, "width"], 0, "prompts[3]: scribble has width 0"),
        ([*PROMPTS, 3, "path"], [], "prompts[3]: scribble has points of shape"),
        ([*PROMPTS, 4, "rle"], [6], "prompts[4]: mask is empty"),
        ([*PROMPTS, 4, "rle"], [1, 2], "prompts[4]: run lengths of the mask sum up to 3; expected 6"),
        ([*PROMPTS, 4, "shape"], [2**30, 2**30], "prompts[4]: mask has shape"),
    ],
)
def test_wrong_value_is_named_with_its_place(document, place, value, message):
    _put(document, place, value)
    with pytest.raises(PromptsFileError) as caught:
        prompts_file_from_json(document)
    assert message in str(caught.value)


@pytest.mark.parametrize("place", [["version"], ["objects"], ["objects", 0, "label"], [*PROMPTS, 2, "vertices"]])
def test_missing_value_is_named_with_its_place(document, place):
    parent = document
    for step in place[:-1]:
        parent = parent[step]
    del parent[place[-1]]
    with pytest.raises(PromptsFileError, match=f"{place[-1]} is missing"):
        prompts_file_from_json(document)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"[1, 2", b'{"version": NaN}', b"[" * 100_000, b"1" * 5000],
    ids=["empty", "no UTF-8", "cut off", "not a number", "nested too deep", "number without end"],
)
def test_file_that_is_not_json_is_refused_with_its_path(tmp_path, content):
    path = tmp_path / "prompts.json"
    path.write_bytes(content)
    with pytest.raises(PromptsFileError, match=r"prompts\.json' is not JSON"):
        read_prompts_file(path)


def test_error_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "prompts.json"
    path.write_text("[]")
    with pytest.raises(PromptsFileError, match=r"prompts\.json': the document is a list; expected an object"):
        read_prompts_file(path)


# The schema is the same contract once more


def test_schema_knows_the_fields_of_each_kind_of_prompt():
    schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))["$defs"]
    for kind in (Click, Box, Polygon, Scribble):
        fields = {field.name for field in dataclasses.fields(kind)}
        assert set(schema[kind.kind]["properties"]) == fields | {"kind"}
        assert schema[kind.kind]["properties"]["kind"] == {"const": kind.kind}
    assert set(schema["mask"]["properties"]) == {"kind", "shape", "rle"}
    for name, value in (
        ("image", ImageReference),
        ("model", ModelReference),
        ("object", AnnotatedObject),
        ("propagated", PropagatedSlice),
    ):
        assert set(schema[name]["properties"]) == {field.name for field in dataclasses.fields(value)}


@settings(max_examples=40, deadline=None)
@given(prompts_files)
def test_schema_accepts_all_that_is_written(file):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(prompts_file_to_json(file))


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    numbers,
    st.text(max_size=3),
    st.just([]),
    st.just({}),
    st.just([1, 2]),
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_code_accepts_only_what_the_schema_accepts(file_document, data):
    jsonschema = pytest.importorskip("jsonschema")
    document = json.loads(file_document)
    container = document
    while True:
        keys = sorted(container) if isinstance(container, dict) else list(range(len(container)))
        key = data.draw(st.sampled_from(keys))
        deeper = container[key]
        if not (isinstance(deeper, dict | list) and deeper and data.draw(st.integers(0, 9)) > 0):
            break
        container = deeper
    container[key] = data.draw(values)
    schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    is_by_schema = jsonschema.Draft202012Validator(schema).is_valid(document)
    try:
        prompts_file_from_json(document)
    except PromptsFileError as error:
        relations = ("earlier entry", "sum up to", "has no area", "mask is empty", "vertices", "points of shape")
        assert not is_by_schema or any(words in str(error) for words in relations)
    else:
        assert is_by_schema


@pytest.fixture(scope="module")
def file_document() -> str:
    everything = Prompts(
        (Click(1, 2), Box(0, 0, 3, 3), Polygon([(0, 0), (0, 4), (4, 0)]), Scribble([(1, 1)]), MaskPrompt(MASK))
    )
    ended = PropagatedSlice(1, 6, (), "stopped", 0.2, "nothing was found", "accepted", SHA256[:16], SHA256[:16])
    objects = (AnnotatedObject(5, "nucleus", (SlicePrompts(1, 4, everything),), "", False, (ended,)),)
    image = ImageReference("image.png", (6, 6), SHA256)
    return json.dumps(prompts_file_to_json(PromptsFile(objects, image, ModelReference("tiny"), zoom=True)))
