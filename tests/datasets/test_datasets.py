"""Opening datasets by name, in each layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest
import tifffile

from napari_segnext.datasets import DATASETS, open_dataset

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = np.arange(48, dtype=np.uint8).reshape(6, 8)
COLOURS = np.stack([IMAGE, IMAGE, IMAGE], axis=-1)
TWO_OBJECTS = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 9, 9, 9, 0, 0],
        [0, 0, 0, 9, 9, 9, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
)


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, array)
    else:
        PIL.Image.fromarray(array).save(path)


def make_folder(root: Path, n_images: int = 2) -> None:
    for number in range(n_images):
        save(root / "images" / f"{number}.png", COLOURS)
        save(root / "labels" / f"{number}.tif", TWO_OBJECTS.astype(np.uint16))


def make_pack(root: Path, domains: list[str]) -> None:
    lines = ["id,split,domain,source,licence,image,label,height,width,n_instances"]
    for number, domain in enumerate(domains):
        save(root / "images" / f"{number}.png", IMAGE)
        save(root / "labels" / f"{number}.png", TWO_OBJECTS.astype(np.uint16))
        lines.append(f'{number},dev,{domain},here,"CC0, really",images/{number}.png,labels/{number}.png,6,8,2')
    (root / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")


def ids_of(root: Path, name: str, **options: object) -> list[str]:
    return [item.id for image in open_dataset(name, root, **options) for item in image.read_objects()]


def test_each_label_of_a_folder_is_one_object(tmp_path):
    make_folder(tmp_path, n_images=1)
    (image,) = open_dataset("folder", tmp_path)
    loaded = image.read()
    assert np.array_equal(loaded.image, COLOURS)
    assert [(item.id, item.label) for item in loaded.objects] == [("0:1", 1), ("0:9", 9)]
    truth = loaded.truth_of(loaded.objects[1])
    assert truth.dtype == np.int8
    assert np.array_equal(truth, TWO_OBJECTS == 9)


def test_object_reads_its_own_image_and_truth(tmp_path):
    make_folder(tmp_path, n_images=1)
    first, _ = open_dataset("folder", tmp_path).images[0].read_objects()
    assert np.array_equal(first.read_image(), COLOURS)
    assert np.array_equal(first.read_truth(), TWO_OBJECTS == 1)


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    make_folder(tmp_path)
    for path in (*tmp_path.glob("images/*"), *tmp_path.glob("labels/*")):
        path.write_bytes(b"broken")
    assert len(open_dataset("folder", tmp_path)) == 2


@pytest.mark.parametrize("value", [1, 255], ids=["1", "255"])
def test_binary_mask_holds_one_object(tmp_path, value):
    save(tmp_path / "images" / "a.png", IMAGE)
    save(tmp_path / "labels" / "a.png", ((TWO_OBJECTS > 0) * value).astype(np.uint8))
    (item,) = open_dataset("folder", tmp_path).images[0].read_objects()
    assert np.array_equal(item.read_truth(), TWO_OBJECTS > 0)


def test_negative_labels_are_ignored_pixels(tmp_path):
    labels = np.where(TWO_OBJECTS == 9, -1, TWO_OBJECTS).astype(np.int16)
    save(tmp_path / "images" / "a.png", IMAGE)
    save(tmp_path / "labels" / "a.tif", labels)
    (item,) = open_dataset("folder", tmp_path).images[0].read_objects()
    assert np.array_equal(item.read_truth(), labels)


def test_order_is_that_of_the_names_however_the_files_were_made(tmp_path):
    for stem in ("b", "c", "a"):
        save(tmp_path / "images" / f"{stem}.png", IMAGE)
        save(tmp_path / "labels" / f"{stem}.png", TWO_OBJECTS.astype(np.uint8))
    assert [image.id for image in open_dataset("folder", tmp_path)] == ["a", "b", "c"]


def test_hidden_and_foreign_files_are_passed_over(tmp_path):
    make_folder(tmp_path, n_images=1)
    for name in (".DS_Store", "._0.png", "notes.txt"):
        (tmp_path / "images" / name).write_bytes(b"not an image")
    assert len(open_dataset("folder", tmp_path)) == 1


def test_pack_is_grouped_by_domain(tmp_path):
    make_pack(tmp_path, ["em", "ct", "em"])
    dataset = open_dataset("pack", tmp_path)
    assert [(image.id, image.group) for image in dataset] == [("0", "em"), ("1", "ct"), ("2", "em")]
    assert dataset.groups == ("ct", "em")


def test_several_packs_are_read_together_with_ids_that_differ(tmp_path):
    make_pack(tmp_path / "one", ["em"])
    make_pack(tmp_path / "two", ["em"])
    assert [image.id for image in open_dataset("pack", tmp_path)] == ["one/0", "two/0"]


def test_sstem_takes_each_8_connected_part_of_a_slice_as_one_object(tmp_path):
    mask = np.zeros((6, 8), np.uint8)
    mask[0, 0] = mask[1, 1] = 255  # touch at a corner
    mask[4, 4:7] = 100
    save(tmp_path / "raw" / "00.v1.tif", IMAGE)
    save(tmp_path / "mitochondria" / "00.png", mask)
    (image,) = open_dataset("sstem", tmp_path)
    loaded = image.read()
    assert [loaded.truth_of(item).sum() for item in loaded.objects] == [2, 3]


def test_sstem_reads_1_bit_masks(tmp_path):
    save(tmp_path / "raw" / "00.tif", IMAGE)
    save(tmp_path / "mitochondria" / "00.png", TWO_OBJECTS > 0)
    (item,) = open_dataset("sstem", tmp_path).images[0].read_objects()
    assert np.array_equal(item.read_truth(), TWO_OBJECTS > 0)


def test_brats_merges_all_labels_of_the_first_channel(tmp_path):
    annotation = np.zeros((6, 8, 3), np.uint8)
    annotation[1, 1, 0], annotation[5, 5, 0], annotation[3, 3, 1] = 1, 4, 200
    save(tmp_path / "image" / "a.png", IMAGE)
    save(tmp_path / "annotation" / "a.png", annotation)
    (item,) = open_dataset("brats", tmp_path).images[0].read_objects()
    assert list(zip(*np.nonzero(item.read_truth()), strict=True)) == [(1, 1), (5, 5)]


def test_davis_takes_all_that_is_not_black_as_the_object(tmp_path):
    mask = np.zeros((6, 8, 3), np.uint8)
    mask[1, 1, 0], mask[2, 2, 2] = 1, 255
    save(tmp_path / "img" / "a.jpg", COLOURS)
    save(tmp_path / "gt" / "a.png", mask)
    (item,) = open_dataset("davis", tmp_path).images[0].read_objects()
    assert list(zip(*np.nonzero(item.read_truth()), strict=True)) == [(1, 1), (2, 2)]


def test_hqseg44k_is_grouped_by_its_four_sets(tmp_path):
    thin = tmp_path / "thin_object_detection"
    folders = [
        (tmp_path / "DIS5K/DIS-VD/im", tmp_path / "DIS5K/DIS-VD/gt"),
        (thin / "ThinObject5K/images_test", thin / "ThinObject5K/masks_test"),
        (thin / "COIFT/images", thin / "COIFT/masks"),
        (thin / "HRSOD/images", thin / "HRSOD/masks"),
    ]
    for images, masks in folders:
        save(images / "a.jpg", COLOURS)
        save(masks / "a.png", (TWO_OBJECTS > 0).astype(np.uint8) * 255)
    assert ids_of(tmp_path, "hqseg44k") == ["DIS-VD/a:1", "ThinObject5K/a:1", "COIFT/a:1", "HRSOD/a:1"]


def test_real_packs_open(data_folder):
    dataset = open_dataset("pack", data_folder, limit=len(DATASETS))
    assert len(dataset.groups) == len(DATASETS)
    assert all(image.image_path.is_file() and image.label_path.is_file() for image in dataset)


def test_real_sstem_has_the_recorded_number_of_mitochondria(data_folder):
    images = open_dataset("sstem", data_folder / "eval_dev" / "sstem").images
    assert len(images) == 20
    assert len(images[0].read().objects) == 26


# Fewer objects, the same at every call


def test_small_objects_are_left_out(tmp_path):
    make_folder(tmp_path, n_images=1)
    assert ids_of(tmp_path, "folder", min_object_px=5) == ["0:9"]


def test_limit_takes_images_from_each_group_in_turn(tmp_path):
    make_pack(tmp_path, ["em"] * 6 + ["ct", "mri"])
    groups = [image.group for image in open_dataset("pack", tmp_path, limit=4)]
    assert sorted(groups) == ["ct", "em", "em", "mri"]


def test_smaller_limit_takes_a_part_of_a_larger_one(tmp_path):
    make_pack(tmp_path, ["em"] * 6 + ["ct"] * 3)
    ids = [[image.id for image in open_dataset("pack", tmp_path, limit=limit)] for limit in (3, 7, 99)]
    assert [len(some) for some in ids] == [3, 7, 9]
    assert set(ids[0]) < set(ids[1]) < set(ids[2])
    assert ids[1] == sorted(ids[1])


def test_objects_per_image_are_drawn_by_the_seed(tmp_path):
    labels = np.arange(48).reshape(6, 8).astype(np.uint8)
    save(tmp_path / "images" / "a.png", IMAGE)
    save(tmp_path / "labels" / "a.png", labels)
    draws = [ids_of(tmp_path, "folder", max_objects_per_image=5, seed=seed) for seed in (0, 0, 1)]
    assert len(draws[0]) == 5
    assert draws[0] == draws[1] != draws[2]


def test_objects_are_drawn_from_all_images(tmp_path):
    make_folder(tmp_path, n_images=10)
    everything = ids_of(tmp_path, "folder")
    drawn = ids_of(tmp_path, "folder", max_objects=9)
    assert len(drawn) == 9
    assert drawn == [one for one in everything if one in drawn]
    assert len({one.split(":")[0] for one in drawn}) > 4
    assert drawn == ids_of(tmp_path, "folder", max_objects=9)


def test_objects_drawn_from_all_images_respect_the_other_limits(tmp_path):
    make_folder(tmp_path, n_images=4)
    drawn = ids_of(tmp_path, "folder", max_objects=99, max_objects_per_image=1, min_object_px=5)
    assert drawn == ["0:9", "1:9", "2:9", "3:9"]


# What can be wrong


def test_unknown_name_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(
        ValueError, match="'pakc'; expected one of folder, pack, sstem, brats, brats_nifti, davis, hqseg44k"
    ):
        open_dataset("pakc", tmp_path)


def test_coco_lvis_is_not_supported_yet(tmp_path):
    with pytest.raises(ValueError, match="'coco_lvis' is not supported yet"):
        open_dataset("coco_lvis", tmp_path)


@pytest.mark.parametrize("option", ["min_object_px", "limit", "max_objects", "max_objects_per_image"])
def test_numbers_below_1_are_refused(tmp_path, option):
    make_folder(tmp_path)
    with pytest.raises(ValueError, match=f"{option} is 0; expected at least 1"):
        open_dataset("folder", tmp_path, **{option: 0})


@pytest.mark.parametrize("name", DATASETS)
def test_missing_root_and_empty_root_are_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_dataset(name, tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        open_dataset(name, tmp_path)


def test_image_without_a_label_is_named(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "labels" / "1.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 2 images have no label of the same name, '.*1\.png'"):
        open_dataset("folder", tmp_path)


def test_two_labels_of_one_stem_are_refused(tmp_path):
    make_folder(tmp_path)
    save(tmp_path / "labels" / "1.png", TWO_OBJECTS.astype(np.uint8))
    with pytest.raises(ValueError, match="have the same stem"):
        open_dataset("folder", tmp_path)


def test_image_and_labels_of_two_sizes_are_refused(tmp_path):
    make_folder(tmp_path, n_images=1)
    save(tmp_path / "labels" / "0.tif", TWO_OBJECTS[:, :5].astype(np.uint16))
    with pytest.raises(ValueError, match=r"has 6 × 8 pixels and .* 6 × 5; expected equal sizes"):
        open_dataset("folder", tmp_path).images[0].read()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,domain,image\n1,em,a.png\n", "nothing in column 'label' of entry 1"),
        ("id,domain,image,label\n1,em,a.png,b.png\n2,,a.png,b.png\n", "nothing in column 'domain' of entry 2"),
        ("id,domain,image,label\n1,em,a.png,b.png\n1,em,a.png,b.png\n", "lists the id '1' twice"),
        ("id,domain,image,label\n", "lists no image"),
    ],
    ids=["column missing", "cell empty", "id twice", "no rows"],
)
def test_broken_manifest_is_explained(tmp_path, text, message):
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        open_dataset("pack", tmp_path)


def test_manifest_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_bytes(b"id,domain\n\xff\xfe\x00")
    with pytest.raises(ValueError, match="cannot be read as a table"):
        open_dataset("pack", tmp_path)


def test_file_that_the_manifest_promises_is_missed_by_name(tmp_path):
    make_pack(tmp_path, ["em"])
    (tmp_path / "images" / "0.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"images/0\.png"):
        open_dataset("pack", tmp_path).images[0].read()


def test_so_many_objects_are_drawn_from_every_group(tmp_path):
    make_pack(tmp_path, ["em"] * 5 + ["ct"])
    drawn = ids_of(tmp_path, "pack", max_objects_per_group=3)
    assert len([each for each in drawn if int(each.split(":")[0]) < 5]) == 3
    assert len([each for each in drawn if each.startswith("5:")]) == 2
    assert drawn == ids_of(tmp_path, "pack", max_objects_per_group=3)
    assert set(ids_of(tmp_path, "pack", max_objects_per_group=2)) <= set(drawn)


def test_draw_from_one_group_does_not_depend_on_the_others(tmp_path):
    make_pack(tmp_path / "a", ["em"] * 5)
    make_pack(tmp_path / "b", ["em"] * 5 + ["ct"] * 4)
    alone = ids_of(tmp_path / "a", "pack", max_objects_per_group=3)
    assert alone == [each for each in ids_of(tmp_path / "b", "pack", max_objects_per_group=3) if int(each[0]) < 5]


def test_draws_from_groups_and_images_go_together(tmp_path):
    make_pack(tmp_path, ["em"] * 3)
    drawn = ids_of(tmp_path, "pack", max_objects_per_group=2, max_objects_per_image=1)
    assert len({each.split(":")[0] for each in drawn}) == len(drawn) == 2
