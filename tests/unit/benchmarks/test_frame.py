"""Benchmarks are found by name, and their tables are written to the right place."""

from pathlib import Path

import pytest

from benchmarks.support.frame import Row, modules, replace_section, section, table

ROWS = [Row("rate", "9,000/s", 0.61, "at least 0.5", met=True), Row("p50", "2 ms", 1.7, "1.5", met=False, note="why")]


def test_benchmarks_are_found_by_their_names(tmp_path: Path) -> None:
    """In the order of their numbers; other files in the folder are ignored."""
    for name in ("b10_scale.py", "b2_truth.py", "frame.py", "__main__.py", "b3_notes.md"):
        (tmp_path / name).touch()
    assert list(modules(tmp_path).items()) == [(2, "b2_truth"), (10, "b10_scale")]
    assert modules()[5] == "b5_statistics"


def test_a_table_shows_which_goals_were_missed_and_why() -> None:
    """A line per row; below them, the notes of the rows that have one."""
    lines = table(ROWS).splitlines()
    assert lines[2:4] == [
        "| rate | 9,000/s | 0.61 | at least 0.5 | yes |",
        "| p50 | 2 ms | 1.70 | 1.5 | **no** |",
    ]
    assert lines[4:] == ["", "* p50: why"]
    assert len(table([Row("a", "1")]).splitlines()) == 3


def test_a_section_is_replaced_in_place() -> None:
    """The text around it stays as people wrote it."""
    document = replace_section("# Head\n\ntext\n", 2, section(2, "Truth", ROWS[:1])) + "\nafterwards\n"
    again = replace_section(document, 2, section(2, "Truth", ROWS))
    assert again.startswith("# Head\n\ntext\n\n<!-- bench 2 -->\n## 2. Truth\n")
    assert again.endswith("<!-- end of bench 2 -->\n\nafterwards\n")
    assert again.count("9,000/s") == 1
    assert replace_section(again, 2, section(2, "Truth", ROWS)) == again


def test_sections_are_ordered_by_their_numbers() -> None:
    """Whichever benchmark runs first."""
    document = "# Head\n"
    for number in (5, 1, 10, 2):
        document = replace_section(document, number, section(number, "T", ROWS))
    assert [line for line in document.splitlines() if line.startswith("## ")] == [
        "## 1. T",
        "## 2. T",
        "## 5. T",
        "## 10. T",
    ]


def test_a_section_without_its_end_marker_is_refused() -> None:
    """If somebody deleted the marker by hand, the rest of the file must not be overwritten."""
    with pytest.raises(ValueError, match="end of bench 2"):
        replace_section("<!-- bench 2 -->\nmine\n", 2, section(2, "Truth", ROWS))
