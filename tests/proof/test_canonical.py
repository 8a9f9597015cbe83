"""Canonical JSON: whichever encoder writes it, the bytes are those of RFC 8785."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from stemma.errors import InvalidError
from stemma.proof.canonical import canonical

pytestmark = pytest.mark.unit
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**54), 2**54)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner, max_size=5)
)


@settings(max_examples=100)
@given(values)
def test_it_is_what_the_library_for_rfc_8785_writes(value):
    try:
        wanted = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(InvalidError):
            canonical(value)
    else:
        assert canonical(value) == wanted


def test_control_characters_and_keys_beyond_the_first_plane_are_written_as_the_standard_says():
    assert canonical({"b": '\x00\x1f\x7f\n"\\/é€😀', "a": [1, True, None]}) == (
        '{"a":[1,true,null],"b":"\\u0000\\u001f\x7f\\n\\"\\\\/é€😀"}'.encode()
    )
    assert canonical({"\ufb33": 1, "😀": 2}) == '{"😀":2,"\ufb33":1}'.encode(), "in the order of UTF-16"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53 + 1, "\ud800", {"\ud800": 1}, {1: 2}, object()])
def test_what_has_no_form_is_refused(value):
    with pytest.raises(InvalidError):
        canonical(value)
