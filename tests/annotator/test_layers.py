from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator.errors import LayerMismatchError, ReadOnlyLayerError
from napari_segnext.annotator.layers import (
    follow_names,
    prepare_layers,
    require_writable,
    restyle,
    role_of,
    set_next_sign,
    signs_of,
    was_made_for,
)


def test_made_layers_lie_on_the_image(viewer, stack):
    image = viewer.add_image(stack, scale=(3, 1, 2), translate=(1, 2, 3), axis_labels=("z", "y", "x"), units=["um"] * 3)
    layers = prepare_layers(viewer, image)
    for layer in layers.all[1:]:
        assert layer in viewer.layers
        assert layer.ndim == 3
        np.testing.assert_allclose(layer.scale, image.scale)
        np.testing.assert_allclose(layer.translate, image.translate)
        assert layer.units == image.units
        assert layer.axis_labels == image.axis_labels
    assert layers.output.data.shape == stack.shape


def test_made_layers_have_the_image_below_them_and_the_clicks_on_top(viewer, pixels):
    layers = prepare_layers(viewer, viewer.add_image(pixels))
    assert list(viewer.layers) == [
        layers.image, layers.output, layers.preview, layers.scribbles, layers.shapes, layers.points
    ]  # fmt: skip


def test_marks_of_clicks_stay_small_on_the_screen_however_close_one_looks(viewer):
    layers = prepare_layers(viewer, viewer.add_image(np.zeros((4000, 4000), np.uint8)))
    assert layers.points.canvas_size_limits == (4, 20)


def test_rgb_image_gives_labels_without_colour_axis(viewer):
    layers = prepare_layers(viewer, viewer.add_image(np.zeros((20, 30, 3), np.uint8), rgb=True))
    assert layers.output.data.shape == (20, 30)


def test_given_layers_are_adopted_and_added_once(viewer, pixels):
    image = viewer.add_image(pixels)
    points, shapes = viewer.add_points([(1, 1)]), viewer.add_shapes()
    scribbles, output = viewer.add_labels(np.zeros((32, 32), int)), viewer.add_labels(np.zeros((32, 32), np.uint8))
    layers = prepare_layers(viewer, image, points=points, shapes=shapes, scribbles=scribbles, output=output)
    assert (layers.points, layers.shapes, layers.scribbles, layers.output) == (points, shapes, scribbles, output)
    assert len(viewer.layers) == 6


def test_labels_of_another_shape_are_refused_and_nothing_is_added(viewer, pixels):
    image = viewer.add_image(pixels)
    output = viewer.add_labels(np.zeros((16, 16), int), name="small")
    with pytest.raises(LayerMismatchError, match=r"'small', chosen for the objects, has shape \(16, 16\); expected"):
        prepare_layers(viewer, image, output=output)
    assert list(viewer.layers) == [image, output]


def test_labels_in_another_place_are_refused(viewer, pixels):
    image = viewer.add_image(pixels, scale=(2, 2))
    scribbles = viewer.add_labels(np.zeros((32, 32), int))
    with pytest.raises(LayerMismatchError, match="scale and position"):
        prepare_layers(viewer, image, scribbles=scribbles)


def test_one_layer_for_two_roles_is_refused(viewer, pixels):
    labels = viewer.add_labels(np.zeros((32, 32), int))
    with pytest.raises(LayerMismatchError, match="pick two"):
        prepare_layers(viewer, viewer.add_image(pixels), scribbles=labels, output=labels)


def test_image_that_is_not_in_the_viewer_is_refused(viewer, pixels):
    from napari.layers import Image

    with pytest.raises(LayerMismatchError, match="not in the viewer"):
        prepare_layers(viewer, Image(pixels))


def test_roles_are_noted(viewer, pixels):
    layers = prepare_layers(viewer, viewer.add_image(pixels))
    roles = [role_of(layer) for layer in layers.all]
    assert roles == ["", "clicks", "shapes", "scribbles", "preview", "objects"]


def test_layers_are_known_to_belong_to_their_image(viewer, pixels):
    image, other = viewer.add_image(pixels, name="one"), viewer.add_image(pixels, name="other")
    layers = prepare_layers(viewer, image)
    assert was_made_for(layers.output, image, "objects")
    assert not was_made_for(layers.output, other, "objects")
    assert not was_made_for(layers.output, image, "scribbles")


def test_layers_follow_their_image_when_it_gets_another_name(viewer, pixels):
    image = viewer.add_image(pixels, name="one")
    layers = prepare_layers(viewer, image)
    image.name = "renamed"
    newcomer = viewer.add_image(pixels, name="one")
    follow_names(viewer.layers)
    assert was_made_for(layers.output, image, "objects")
    assert not was_made_for(layers.output, newcomer, "objects")


def _read_only(pixels, folder, kind):
    labels = np.zeros(pixels.shape, np.uint16)
    if kind == "array":
        labels.setflags(write=False)
    elif kind == "memory map":
        np.save(folder / "labels.npy", labels)
        labels = np.load(folder / "labels.npy", mmap_mode="r")
    else:
        zarr = pytest.importorskip("zarr")
        zarr.save(folder / "labels.zarr", labels)
        labels = zarr.open(folder / "labels.zarr", mode="r")
    return labels


@pytest.mark.parametrize("kind", ["array", "memory map", "zarr"])
def test_labels_that_cannot_be_written_are_refused(viewer, pixels, tmp_path, kind):
    image = viewer.add_image(pixels)
    output = viewer.add_labels(_read_only(pixels, tmp_path, kind), name="mine")
    with pytest.raises(ReadOnlyLayerError, match="'mine' is read-only; open it for writing"):
        prepare_layers(viewer, image, output=output)
    assert len(viewer.layers) == 2


def test_labels_that_can_be_written_are_not_refused(viewer, pixels, tmp_path):
    zarr = pytest.importorskip("zarr")
    for data in (np.zeros(pixels.shape, np.uint8), zarr.zeros(pixels.shape, dtype="uint8")):
        require_writable(viewer.add_labels(data))


def test_labels_that_are_not_editable_are_refused(viewer, pixels):
    output = viewer.add_labels(np.zeros(pixels.shape, np.uint8), name="mine")
    output.editable = False
    with pytest.raises(ReadOnlyLayerError, match="'mine' is not editable; make it editable"):
        prepare_layers(viewer, viewer.add_image(pixels), output=output)


def test_signs_differ_in_colour_and_symbol(viewer, pixels):
    layers = prepare_layers(viewer, viewer.add_image(pixels))
    layers.points.add((1, 1))
    set_next_sign(layers, is_positive=False)
    layers.points.add((2, 2))
    restyle(layers)
    assert [str(symbol) for symbol in layers.points.symbol] == ["disc", "x"]
    assert not np.allclose(layers.points.face_color[0], layers.points.face_color[1])


def test_only_lines_show_a_sign(viewer, pixels):
    layers = prepare_layers(viewer, viewer.add_image(pixels))
    set_next_sign(layers, is_positive=False)
    layers.shapes.add(np.array([(1, 1), (5, 5)]), shape_type="line")
    layers.shapes.add(np.array([(1, 1), (1, 5), (5, 5)]), shape_type="polygon")
    restyle(layers)
    assert not np.allclose(layers.shapes.edge_color[0], layers.shapes.edge_color[1])


def test_missing_signs_are_positive_and_other_features_stay(viewer, pixels):
    image = viewer.add_image(pixels)
    points = viewer.add_points([(1, 1), (2, 2)], features={"is_positive": [None, False], "who": ["a", "b"]})
    layers = prepare_layers(viewer, image, points=points)
    assert signs_of(layers.points).tolist() == [True, False]
    assert list(points.features["who"]) == ["a", "b"]


def test_next_sign_counts_on_all_three_layers(viewer, pixels):
    layers = prepare_layers(viewer, viewer.add_image(pixels))
    set_next_sign(layers, is_positive=False)
    layers.points.add((1, 1))
    layers.shapes.add(np.array([(1, 1), (5, 5)]), shape_type="line")
    assert not signs_of(layers.points)[0]
    assert not signs_of(layers.shapes)[0]
    assert layers.scribbles.selected_label == 2


def test_objects_of_a_volume_are_saved_in_its_place(tmp_path, viewer, fake_model):
    nibabel = pytest.importorskip("nibabel")
    from napari_segnext._reader import get_reader
    from napari_segnext._writer import write_labels
    from napari_segnext.annotator import Annotator

    affine = np.array([[-0.5, 0, 0, 90], [0, -0.75, 0, 120], [0, 0, 2, -70], [0, 0, 0, 1.0]])
    image = nibabel.Nifti1Image(np.zeros((32, 32, 5), np.int16), affine)
    image.set_sform(affine, code=1)
    nibabel.save(image, tmp_path / "a.nii")
    ((array, arguments, _),) = get_reader(str(tmp_path / "a.nii"))(str(tmp_path / "a.nii"))
    annotator = Annotator(viewer, viewer.add_image(array, **arguments), fake_model)
    middle = annotator.layers.image.data_to_world((viewer.dims.current_step[0], 10, 12))
    annotator.layers.points.add(annotator.layers.points.world_to_data(middle))
    annotator.accept()
    output = annotator.layers.output
    (path,) = write_labels(str(tmp_path / "l.nii.gz"), output.data, {"metadata": output.metadata})
    written = nibabel.load(path)
    np.testing.assert_array_equal(written.affine, affine)
    np.testing.assert_array_equal(np.asanyarray(written.dataobj).T, output.data)
    assert output.data.any()
