"""Both services have the same methods."""

import inspect
from collections.abc import AsyncIterator
from typing import get_type_hints

import pytest

from jobstate import AsyncJobService, JobService


def public(service: type) -> dict[str, object]:
    return {
        name: member
        for name, member in inspect.getmembers(service, callable)
        if not name.startswith("_")
    }


def test_both_services_have_the_same_methods() -> None:
    assert set(public(JobService)) == set(public(AsyncJobService))


@pytest.mark.parametrize("name", sorted(public(JobService)))
def test_a_method_takes_the_same_arguments_in_both(name: str) -> None:
    blocking, awaited = (
        inspect.signature(getattr(service, name)) for service in (JobService, AsyncJobService)
    )
    assert str(blocking.replace(return_annotation=None)) == str(
        awaited.replace(return_annotation=None)
    )
    assert [parameter.default for parameter in blocking.parameters.values()] == [
        parameter.default for parameter in awaited.parameters.values()
    ]


@pytest.mark.parametrize("name", sorted(public(JobService)))
def test_a_method_returns_the_same_in_both(name: str) -> None:
    blocking, awaited = (
        get_type_hints(getattr(service, name))["return"]
        for service in (JobService, AsyncJobService)
    )
    if inspect.isasyncgenfunction(getattr(AsyncJobService, name)):
        assert issubclass(awaited.__origin__, AsyncIterator)
        assert awaited.__args__ == blocking.__args__
    else:
        assert awaited == blocking


@pytest.mark.parametrize("name", sorted(public(JobService)))
def test_a_method_of_the_asyncio_service_does_not_block(name: str) -> None:
    member = inspect.getattr_static(AsyncJobService, name)
    if isinstance(member, classmethod):
        return
    assert inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)


@pytest.mark.parametrize("name", sorted(public(JobService)))
def test_a_method_says_what_it_does(name: str) -> None:
    for service in (JobService, AsyncJobService):
        assert inspect.getdoc(getattr(service, name))
