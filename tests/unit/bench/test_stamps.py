"""The time stamps that tasks write."""

from __future__ import annotations

from pathlib import Path

from kelery_bench.figures.stamps import Stamp, read_stamps, write_stamp


def test_stamps_are_read_in_the_order_of_their_beginnings(tmp_path: Path) -> None:
    file = tmp_path / "stamps"
    later, earlier = Stamp(label="b c", began=20, ended=21), Stamp(label="a", began=1, ended=30)
    for stamp in (later, earlier):
        write_stamp(str(file), stamp)
    assert read_stamps(file) == [earlier, later]


def test_no_file_means_no_stamp_yet(tmp_path: Path) -> None:
    assert read_stamps(tmp_path / "none") == []
