"""A folder that holds an archive of the training part and one of the test part."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from gauntlet.core.errors import GauntletError
from gauntlet.data.image_folder import image_folder
from gauntlet.study.cost.dataset_sizes import _count_files

COUNTS = {"train": {"cat": 3, "dog": 2}, "test": {"cat": 1, "dog": 2}}


def image_bytes(level: int, ending: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), level, np.uint8)).save(stream, ending)
    return stream.getvalue()


def members(part: str, root: str = "") -> dict[str, bytes]:
    found = {f"{root}README": b"text"}
    for place, (name, count) in enumerate(COUNTS[part].items()):
        for number in range(count):
            level = 100 * (part == "test") + 10 * place + number
            found[f"{root}{name}/{number}.png"] = image_bytes(level)
    return found


def as_zip(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def as_tar(path, content):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


LAYOUTS = {
    "zips": (as_zip, ".zip", ""),
    "zips around a folder": (as_zip, ".zip", "train/"),
    "tars": (as_tar, ".tar.gz", ""),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_archives_are_the_canonical_split(layout, tmp_path):
    write, ending, root = LAYOUTS[layout]
    folder, plain = tmp_path / "packed", tmp_path / "plain"
    folder.mkdir()
    for part in COUNTS:
        write(folder / f"{part}{ending}", members(part, root.replace("train", part)))
        for name, data in members(part).items():
            (plain / part / name).parent.mkdir(parents=True, exist_ok=True)
            (plain / part / name).write_bytes(data)
    (folder / "NOTES.txt").write_text("where they are from")
    packed = image_folder([], tmp_path, path=str(folder))
    unpacked = image_folder([], tmp_path, path=str(plain))
    assert packed.canonical == unpacked.canonical == {"train": 5, "test": 3}
    assert packed.classes == ["cat", "dog"]
    assert np.array_equal(packed.images, unpacked.images)
    assert np.array_equal(packed.labels, unpacked.labels)
    assert packed.files[0]["sha256"] == unpacked.files[0]["sha256"]


def test_the_estimate_counts_them(tmp_path):
    for part in COUNTS:
        as_zip(tmp_path / f"{part}.zip", members(part))
    assert _count_files(str(tmp_path)) == ({"train": 5, "test": 3}, 2)


def test_an_archive_alone_is_no_split(tmp_path):
    as_zip(tmp_path / "train.zip", members("train"))
    with pytest.raises(GauntletError, match="has no sub-folder with"):
        image_folder([], tmp_path, path=str(tmp_path))


def test_beside_folders_an_archive_is_only_a_file(tmp_path):
    for part in COUNTS:
        as_zip(tmp_path / f"{part}.zip", members(part))
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(image_bytes(1))
    assert image_folder([], tmp_path, path=str(tmp_path)).canonical is None


def test_two_archives_of_one_part_are_refused(tmp_path):
    for part in COUNTS:
        as_zip(tmp_path / f"{part}.zip", members(part))
    as_tar(tmp_path / "test.tar.gz", members("test"))
    with pytest.raises(GauntletError, match=r"test.tar.gz and test.zip; allowed is one"):
        image_folder([], tmp_path, path=str(tmp_path))


@pytest.mark.parametrize("part", COUNTS)
def test_a_damaged_archive_is_named(part, tmp_path):
    for name in COUNTS:
        as_zip(tmp_path / f"{name}.zip", members(name))
    path = tmp_path / f"{part}.zip"
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)
    with pytest.raises(GauntletError, match=rf"{part}.zip"):
        image_folder([], tmp_path, path=str(tmp_path))


def test_a_class_that_one_part_lacks_is_named(tmp_path):
    as_zip(tmp_path / "train.zip", members("train"))
    content = {name: data for name, data in members("test").items() if "dog" not in name}
    as_zip(tmp_path / "test.zip", content | {"fox/0.png": image_bytes(3)})
    with pytest.raises(GauntletError, match="The class folder 'fox' in .*train has no"):
        image_folder([], tmp_path, path=str(tmp_path))
