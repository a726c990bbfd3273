"""From what the user names as data to a listing of its examples."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from photofinish.data.cifar import CIFAR_ARCHIVES, find_cifar, is_cifar_file, read_cifar
from photofinish.data.digits import read_digits
from photofinish.data.folder import is_picture_name, read_folder
from photofinish.data.hashing import hash_file
from photofinish.data.listing import Listing
from photofinish.errors import DataError, SettingsError, nearest
from photofinish.storage.archives import ARCHIVE_SUFFIXES, archive_stem, extract, is_archive
from photofinish.storage.download import download
from photofinish.storage.folders import building
from photofinish.storage.progress import Progress

KNOWN_SOURCES = ("digits", *CIFAR_ARCHIVES)


def read_source(source: str, cache: Path, progress: Progress) -> Listing:
    """List the examples of a source.

    Args:
        source: `digits`, `cifar10`, `cifar100`, or the path of a folder or archive. A folder that is called
            like one of the known sources is named `./digits`.
        cache: Where downloads, extracted archives and hashes are kept.
        progress: Told how far things are.

    Raises:
        SettingsError: The source is neither known nor a path.
        DataError: What is at the path cannot be used.
        DownloadError: An archive could not be fetched.
    """
    if source == "digits":
        return read_digits(cache)
    if source in CIFAR_ARCHIVES:
        return _read_archive(_fetch(source, cache, progress), cache, progress)
    path = Path(source).expanduser()
    if path.is_dir():
        return _read_directory(path, path.resolve().name, cache, progress)
    if path.is_file() and is_archive(path):
        return _read_archive(path, cache, progress)
    if path.exists():
        raise DataError(f"{path} is neither a folder nor an archive ({' '.join(ARCHIVE_SUFFIXES)}); name one of these")
    if "/" in source or "\\" in source or source.startswith("~") or is_archive(path):
        raise DataError(f"{path} does not exist; check the path")
    if source == "imagenet":
        raise SettingsError(
            "ImageNet can be downloaded by those who have an account only (image-net.org): name your folder of it with "
            "--data, holding train/ and test/ (its validation pictures) with one folder a class each"
        )
    raise SettingsError(
        f"no data set is called '{source}' and no folder here has that name: {nearest(source, KNOWN_SOURCES)}"
    )


def _fetch(source: str, cache: Path, progress: Progress) -> Path:
    """Return the archive of a known source, whichever version is there, else the one that is fetched."""
    versions = [(remote, cache / "downloads" / remote.name) for remote in CIFAR_ARCHIVES[source]]
    remote, target = next((pair for pair in versions if pair[1].exists()), versions[0])
    return download(remote, target, progress=progress)


def _read_archive(archive: Path, cache: Path, progress: Progress) -> Listing:
    digest = hash_file(archive, cache / "index", progress)
    folder = cache / "extracted" / digest
    if not folder.is_dir():
        with building(folder, Path.is_dir) as temporary:
            if extract(archive, temporary, _is_wanted, progress=progress) == 0:
                raise DataError(f"{archive} holds no pictures; name an archive of pictures in class folders")
    try:
        listing = _read_directory(folder, archive_stem(archive), cache, progress)
    except DataError as error:
        # The user knows the archive, not where we extracted it.
        raise DataError(str(error).replace(str(folder), str(archive))) from error
    return dataclasses.replace(listing, place=str(archive))


def _is_wanted(name: str) -> bool:
    return is_picture_name(name) or is_cifar_file(name.rsplit("/", 1)[-1])


def _read_directory(folder: Path, name: str, cache: Path, progress: Progress) -> Listing:
    cifar = find_cifar(folder)
    if cifar is not None:
        return read_cifar(cifar)
    return read_folder(folder, name, cache / "index", progress)
