import os

from inspector.limits import MIB
from inspector.storage import LocalFile, MemorySource
from inspector.wire.once import once, parsed_once


def parsing(source, *what, nbytes=3):
    """Parse, and say whether it was done anew."""
    parsed = []
    found = once(lambda: parsed.append(1) or source.view(0, 3).tobytes(), source, nbytes, *what)
    assert found == source.view(0, 3).tobytes()
    return bool(parsed)


def test_the_same_bytes_of_a_file_are_parsed_once_for_the_same(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with LocalFile(path) as one, LocalFile(path) as other, parsed_once():
        assert [parsing(one, "graph", 0), parsing(other, "graph", 0)] == [True, False]
        assert [parsing(other, "graph", 1), parsing(other, "objects", 0)] == [True, True]
    with LocalFile(path) as one, parsed_once():
        assert parsing(one, "graph", 0)


def test_nothing_is_kept_where_nobody_asks_for_it(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with LocalFile(path) as one:
        assert [parsing(one, "graph"), parsing(one, "graph")] == [True, True]
        with parsed_once():
            assert [parsing(one, "graph"), parsing(one, "graph")] == [True, False]
        assert parsing(one, "graph")


def test_a_file_that_changed_or_is_another_is_parsed_again(tmp_path):
    path, twin = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"abc")
    twin.write_bytes(b"xyz")
    with parsed_once():
        one, other = LocalFile(path), LocalFile(twin)
        assert [parsing(one), parsing(other)] == [True, True]
        path.write_bytes(b"abd")
        os.utime(path, ns=(1, 1))
        assert parsing(LocalFile(path))


def test_what_reads_on_from_a_file_is_not_given_once_that_is_closed(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with parsed_once():
        with LocalFile(path) as one:
            assert parsing(one)
        with LocalFile(path) as other:
            assert [parsing(other), parsing(other)] == [True, False]


def test_what_is_large_or_in_memory_is_parsed_each_time(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with parsed_once(), LocalFile(path) as one:
        for source, nbytes in (
            (one, MIB + 1),
            (one, lambda _: MIB + 1),
            (MemorySource(b"abc", "a"), 3),
        ):
            assert [parsing(source, nbytes=nbytes) for _ in range(2)] == [True, True]


def test_of_a_large_file_what_was_parsed_of_little_is_kept(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with parsed_once(), LocalFile(path) as one:
        assert [parsing(one, nbytes=len) for _ in range(2)] == [True, False]
