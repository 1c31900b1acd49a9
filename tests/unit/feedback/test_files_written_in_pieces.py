"""Files of releases are written whole, with the right sum, or not at all."""

import hashlib
import resource

import pytest

from feedback.release import store

pytestmark = pytest.mark.usefixtures("storage")


def write(path, pieces):
    with store.writing(path) as sink:
        for piece in pieces:
            sink.write(piece)
    return sink


def test_a_file_written_in_pieces_of_any_size_is_whole_and_its_sum_is_right():
    pieces = [bytes([number]) * size for number, size in enumerate([1, 700_000, 0, 3, 511_999, 90_000, 1_500_000, 2])]
    sink = write("a/file", pieces)
    whole = b"".join(pieces)
    assert store.read("a/file") == whole
    assert (sink.bytes, sink.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())


@pytest.mark.parametrize("written", [300_000, 3_000_000])
def test_a_file_that_finds_no_room_is_an_error_and_leaves_nothing_behind(written):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write("a/file", [b"x" * 1_000] * (written // 1_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.paths("a") == []
