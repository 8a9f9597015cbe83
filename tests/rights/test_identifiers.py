"""Published vectors, and the property that one wrong digit is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.iso7064 import mod_11_2

from stemma.errors import InvalidError
from stemma.rights.identifiers import ipi, isrc, iswc, iswc_check

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("text", ["USRC17607839", "US-RC1-76-07839", "isrc us rc1 76 07839"])
def test_isrc_is_read_as_it_is_written_anywhere(text):
    assert isrc(text) == "USRC17607839"


@pytest.mark.parametrize("text", ["", "USRC1760783", "1SRC17607839", "US-RC1-76-0783X"])
def test_what_is_no_isrc_is_refused(text):
    with pytest.raises(InvalidError, match="not an ISRC"):
        isrc(text)


def test_iswc_of_the_standard():
    assert iswc("T0345246801") == iswc("T-034.524.680-1") == "T-034.524.680-1"


@given(st.integers(0, 10**9 - 1), st.integers(0, 8), st.integers(1, 9))
def test_one_wrong_digit_of_an_iswc_is_found_where_its_weight_allows(number, place, change):
    digits = f"{number:09d}"
    check = iswc_check(digits)
    wrong = digits[:place] + str((int(digits[place]) + change) % 10) + digits[place + 1 :]
    assert iswc(f"T{digits}{check}")
    # The standard's weights share factors with ten, so a few exchanges go unseen: exactly these.
    if (place + 1) * (int(wrong[place]) - int(digits[place])) % 10:
        with pytest.raises(InvalidError, match="check digit"):
            iswc(f"T{wrong}{check}")


def test_ipi_of_pablo_picasso():
    # Given in public descriptions of the number.
    assert ipi("14107338") == "00014107338"
    with pytest.raises(InvalidError, match="check digits"):
        ipi("00014107339")


def test_isni_is_left_to_a_library():
    assert mod_11_2.is_valid("0000000121707484")
