"""Benchmarks are found by name, and their tables written where they belong."""

from pathlib import Path

import pytest

from benchmarks.frame import Row, modules, section, table, written

ROWS = [Row("rate", "9,000/s", 0.61, "at least 0.5", met=True), Row("p50", "2 ms", 1.7, "1.5", met=False, note="why")]


def test_benchmarks_are_found_by_their_names(tmp_path: Path) -> None:
    """In order of their numbers, and nothing else in the folder."""
    for name in ("b10_scale.py", "b2_truth.py", "frame.py", "__main__.py", "b3_notes.md"):
        (tmp_path / name).touch()
    assert list(modules(tmp_path).items()) == [(2, "b2_truth"), (10, "b10_scale")]
    assert modules()[5] == "b5_statistics"


def test_a_table_shows_what_was_missed_and_why() -> None:
    """One line per row; notes under it, of those that have one."""
    lines = table(ROWS).splitlines()
    assert lines[2:4] == [
        "| rate | 9,000/s | 0.61 | at least 0.5 | yes |",
        "| p50 | 2 ms | 1.70 | 1.5 | **no** |",
    ]
    assert lines[4:] == ["", "* p50: why"]
    assert len(table([Row("a", "1")]).splitlines()) == 3


def test_a_section_is_replaced_where_it_stands() -> None:
    """And the text around it stays as people wrote it."""
    document = written("# Head\n\ntext\n", 2, section(2, "Truth", ROWS[:1])) + "\nafterwards\n"
    again = written(document, 2, section(2, "Truth", ROWS))
    assert again.startswith("# Head\n\ntext\n\n<!-- bench 2 -->\n## 2. Truth\n")
    assert again.endswith("<!-- end of bench 2 -->\n\nafterwards\n")
    assert again.count("9,000/s") == 1
    assert written(again, 2, section(2, "Truth", ROWS)) == again


def test_sections_stand_in_order() -> None:
    """Whichever is run first."""
    document = "# Head\n"
    for number in (5, 1, 10, 2):
        document = written(document, number, section(number, "T", ROWS))
    assert [line for line in document.splitlines() if line.startswith("## ")] == [
        "## 1. T",
        "## 2. T",
        "## 5. T",
        "## 10. T",
    ]


def test_a_section_without_an_end_is_not_guessed_at() -> None:
    """What somebody cut off by hand is not overwritten to the end of the file."""
    with pytest.raises(ValueError, match="end of bench 2"):
        written("<!-- bench 2 -->\nmine\n", 2, section(2, "Truth", ROWS))
