"""Ids of version 7: they ascend, and tell when they were made."""

import time
from uuid import RFC_4122

import pytest

from jobstate import ids


def test_an_id_is_of_version_7_and_says_when_it_was_made() -> None:
    before, made, after = time.time_ns(), ids.new_id(), time.time_ns()
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before // 1_000_000 <= made.int >> 80 <= after // 1_000_000


def test_ids_ascend() -> None:
    made = [ids.new_id() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_ids_ascend_while_the_clock_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ids.new_id()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 0)
    assert before < ids.new_id() < ids.new_id()
