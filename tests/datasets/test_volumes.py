from __future__ import annotations

import numpy as np
import pytest

from napari_segnext.datasets.volumes import (
    LoadedVolume,
    VolumeSample,
    groups_of,
    linked_labels,
    list_volumes,
    pair_of_files,
)
from napari_segnext.errors import VolumeError
from napari_segnext.volumes import Volume

HEADING = "id,domain,image,label,spacing,n_labels"


def write_nifti(path, array, spacing=(1.0, 1.0, 1.0)):
    nibabel = pytest.importorskip("nibabel")
    nibabel.save(nibabel.Nifti1Image(array.T, np.diag([*spacing, 1.0])), path)


@pytest.fixture
def labels():
    """`(6, 8, 10)`: label 1 on slices 0 to 5, label 3 on 2 to 3."""
    labels = np.zeros((6, 8, 10), np.uint8)
    labels[:, 2:5, 2:5] = 1
    labels[2:4, 6, 7:9] = 3
    return labels


@pytest.fixture
def pack(tmp_path, labels):
    write_nifti(tmp_path / "image.nii.gz", (labels * 60).astype(np.uint8), (0.5, 0.5, 2.0))
    write_nifti(tmp_path / "labels.nii.gz", labels)
    rows = [
        "case_001,mri,image.nii.gz,labels.nii.gz,0.5x0.5x2,2",
        "case_002,mri,image.nii.gz,labels.nii.gz,0.5x0.5x2,2",
        "cells,em,image.nii.gz,labels.nii.gz,0.5x0.5x2,2",
        "regions,em,image.nii.gz,labels.nii.gz,0.5x0.5x2,-1",
    ]
    (tmp_path / "volumes.csv").write_text("\n".join([HEADING, *rows]))
    return tmp_path


class TestPack:
    def test_volumes_have_labels_on_their_grid_and_spacing(self, pack):
        sample = list_volumes("pack", pack)[0]
        loaded = sample.read()
        assert sample.id == "case_001"
        assert loaded.volume.shape_zyx == loaded.labels.shape == (6, 8, 10)
        assert loaded.volume.spacing == (2.0, 0.5, 0.5)

    def test_patients_are_one_group(self, pack):
        assert groups_of(list_volumes("pack", pack)) == ("case", "cells", "regions")

    def test_labels_of_mri_are_one_object_and_those_of_em_are_several(self, pack):
        mri, _, cells, _ = (sample.read() for sample in list_volumes("pack", pack))
        assert mri.objects(min_slices=2, min_voxels=2) == (1,)
        assert (mri.labels > 0).sum() == 6 * 9 + 4
        assert cells.objects(min_slices=2, min_voxels=2) == (1, 3)
        assert cells.objects(min_slices=3, min_voxels=2) == (1,)
        assert cells.objects(min_slices=2, min_voxels=5) == (1,)
        assert len(cells.objects(min_slices=1, min_voxels=1, limit=1)) == 1

    def test_missing_entry_is_named(self, pack):
        (pack / "volumes.csv").write_text(f"{HEADING}\nx,mri,image.nii.gz,,1x1x1,1")
        with pytest.raises(ValueError, match="'label' of entry 1"):
            list_volumes("pack", pack)

    def test_missing_table_and_unknown_layout(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"volumes\.csv"):
            list_volumes("pack", tmp_path)
        with pytest.raises(FileNotFoundError, match="no root"):
            list_volumes("pack")
        with pytest.raises(ValueError, match="'pack' or 'phantoms'"):
            list_volumes("packs", tmp_path)


def test_phantoms_are_listed_without_a_root_and_have_objects():
    samples = list_volumes("phantoms")
    assert groups_of(samples) == ("phantom heads", "phantom sections")
    loaded = samples[0].read()
    assert loaded.volume.shape_zyx == loaded.labels.shape
    assert len(loaded.objects()) >= 1


def test_two_files_are_a_volume(tmp_path, labels):
    write_nifti(tmp_path / "image.nii", labels)
    write_nifti(tmp_path / "labels.nii", labels)
    sizes = {"min_slices": 1, "min_voxels": 1}
    pair = tmp_path / "image.nii", tmp_path / "labels.nii"
    assert pair_of_files(*pair).read().objects(**sizes) == (1, 3)
    assert pair_of_files(*pair, are_one=True).read().objects(**sizes) == (1,)


def test_labels_of_another_shape_are_refused(labels):
    sample = VolumeSample("odd", "odd", lambda: LoadedVolume(Volume(np.zeros((6, 8, 9), np.uint8)), labels))
    with pytest.raises(VolumeError, match=r"'odd' have shape \(6, 8, 10\); expected \(6, 8, 9\)"):
        sample.read()


class TestLinkedLabels:
    def test_regions_that_overlap_go_on_under_one_number(self):
        labels = np.zeros((4, 20, 20), np.int64)
        for z, number in enumerate((7, 2, 9, 4)):
            labels[z, 2:10, 2 + z : 10 + z] = number
            labels[z, 14:18, 2:6] = number + 20
        linked = linked_labels(labels)
        assert [len(np.unique(linked[labels == number])) for number in (7, 2, 9, 4)] == [1, 1, 1, 1]
        assert sorted(np.unique(linked).tolist()) == [0, 1, 2]
        np.testing.assert_array_equal(linked > 0, labels > 0)

    def test_region_that_splits_goes_on_in_its_larger_part(self):
        labels = np.zeros((2, 10, 30), np.int64)
        labels[0, 2:8, 2:28] = 1
        labels[1, 2:8, 2:20] = 1
        labels[1, 2:8, 22:28] = 2
        linked = linked_labels(labels)
        assert linked[1, 4, 4] == linked[0, 4, 4]
        assert linked[1, 4, 24] not in (0, linked[0, 4, 4])

    def test_region_that_jumps_is_a_new_one(self):
        labels = np.zeros((2, 20, 20), np.int64)
        labels[0, :6, :6] = 5
        labels[1, 4:12, 4:12] = 5
        assert len(np.unique(linked_labels(labels))) == 3

    def test_region_that_pauses_is_a_new_one(self):
        labels = np.zeros((3, 8, 8), np.int64)
        labels[[0, 2], 2:6, 2:6] = 1
        assert sorted(np.unique(linked_labels(labels)).tolist()) == [0, 1, 2]


class TestEnds:
    @pytest.mark.parametrize(
        ("beyond", "are_linked", "is_known"),
        [
            pytest.param("nothing", True, True, id="nothing comes after the last region"),
            pytest.param("another region", True, False, id="a linked region goes on under another number"),
            pytest.param("another region", False, True, id="another object comes after it, in labels that hold in 3D"),
        ],
    )
    def test_an_end_is_known_where_no_other_region_takes_over(self, beyond, are_linked, is_known):
        labels = np.zeros((5, 10, 10), np.int32)
        labels[:3, 2:6, 2:6] = 1
        if beyond == "another region":
            labels[3:, 2:8, 3:9] = 2
        loaded = LoadedVolume(Volume(np.zeros(labels.shape, np.uint8)), labels, are_linked=are_linked)
        assert loaded.has_known_ends(1) == is_known

    def test_the_end_of_the_volume_is_known(self):
        labels = np.ones((5, 10, 10), np.int32)
        loaded = LoadedVolume(Volume(np.zeros(labels.shape, np.uint8)), labels, are_linked=True)
        assert loaded.has_known_ends(1)
