"""What a caller gives beside the task: refused before a row is stored that nobody could publish."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kombu import compression

from jobstate.errors import InvalidValueError


def checked_args(args: object, kwargs: object, options: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the arguments, unless they or the options are such as no message can have.

    Of arguments, which may be secrets, an error tells no more than the type.

    Raises:
        InvalidValueError: One has the wrong type, or names what is not installed here.
    """
    if not isinstance(args, Sequence) or isinstance(args, str | bytes):
        raise InvalidValueError(
            f"The args of a call are a {type(args).__name__}: they must be a list or a tuple. "
            "Pass a single one as (value,)."
        )
    if not isinstance(kwargs, Mapping):
        raise InvalidValueError(
            f"The kwargs of a call are a {type(kwargs).__name__}: they must be a dict. "
            'Pass {"name": value}.'
        )
    for name in _EXPECTED.keys() & options.keys():
        value = options[name]
        fits, expected = _EXPECTED[name]
        if value is not None and not fits(value):
            shown = f"{value!r}" if isinstance(value, str) else f"a {type(value).__name__}"
            raise InvalidValueError(
                f"Option {name} is {shown}: it must be {expected}. Correct it, or leave it out."
            )
    return tuple(args)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_named(value: object) -> bool:
    return isinstance(getattr(value, "name", value), str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_compression(value: object) -> bool:
    try:
        compression.get_encoder(value)
    except KeyError:
        return False
    return True


def _are_signatures(value: object) -> bool:
    # An iterator would be used up by being looked at.
    found = value if isinstance(value, list | tuple) else [value]
    return all(isinstance(signature, Mapping) for signature in found)


_EXPECTED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "compression": (_is_compression, "a compression that kombu has, such as gzip"),
    "exchange": (_is_named, "a name"),
    "headers": (_is_mapping, "a dict"),
    "link": (_are_signatures, "a signature, or a list of them"),
    "link_error": (_are_signatures, "a signature, or a list of them"),
    "priority": (_is_whole, "a whole number"),
    "queue": (_is_named, "a name"),
    "routing_key": (_is_text, "text"),
    "serializer": (_is_text, "text"),
    "shadow": (_is_text, "text"),
    "soft_time_limit": (_is_number, "a number of seconds"),
    "time_limit": (_is_number, "a number of seconds"),
}
