"""Names that the peers see."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from domain.names import fault_name, record_id

IDS = st.integers(1, 2**53 - 1)


@given(IDS, IDS)
@example(one=89_424, other=1)
def test_no_record_id_is_a_prefix_of_a_different_record_id(one: int, other: int) -> None:
    """The proxy finds sessions by prefix: deleting the rules of one run must not delete those of another."""
    if one != other:
        assert not record_id(one).startswith(record_id(other))


@given(IDS, st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True), st.uuids(), st.integers(1, 99))
def test_a_fault_name_is_a_dns_label_that_starts_with_a_letter(
    execution: int, service: str, run: object, attempt: int
) -> None:
    """At most 63 characters: the cluster and the unquoted YAML accept such a name."""
    name = fault_name(execution, service, str(run), attempt)
    assert len(name) <= 63
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name)


def test_every_window_run_and_attempt_has_its_own_fault_name() -> None:
    """Run ids are version 7 UUIDs. Their first digits are equal within a minute, so the last ones are used."""
    runs = ["019aa2f3-1111-7abc-8def-0123456789ab", "019aa2f3-1111-7abc-8def-0123456789ac"]
    names = {fault_name(7, "reviews", run, attempt) for run in runs for attempt in (1, 2)}
    assert len(names) == 4
