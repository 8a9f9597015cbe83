"""Published vectors, and the property that one wrong digit is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import ean
from stdnum.iso7064 import mod_11_2

from stemma.errors import InvalidError
from stemma.rights.identifiers import iban, ipi, isni, isrc, iswc, iswc_check, product_code

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


PUBLISHED = [
    # ISNI: ISO 27729 and the examples of isni.org; the last character may be an X.
    (isni, "0000 0001 2170 7484", "0000000121707484"),
    (isni, "ISNI 0000 0001 2281 955X", "000000012281955X"),
    # GTIN: examples of GS1 and of the standards of EAN-8, EAN-13 and UPC-A.
    (product_code, "7351353-7", "73513537"),
    (product_code, "4006381333931", "4006381333931"),
    (product_code, "978-0-471-11709-4", "9780471117094"),
    (product_code, "0 36000 29145 2", "036000291452"),
    # IBAN: the registry's own examples.
    (iban, "GB29 NWBK 6016 1331 9268 19", "GB29NWBK60161331926819"),
    (iban, "IBAN DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
    (iban, "MT84 MALT 0110 0001 2345 MTLC AST0 01S", "MT84MALT011000012345MTLCAST001S"),
    (iban, "NO93 8601 1117 947", "NO9386011117947"),
]


@pytest.mark.parametrize(("read", "text", "plain"), PUBLISHED)
def test_published_vectors_are_read_as_they_are_printed(read, text, plain):
    assert read(text) == read(plain) == read(text.lower()) == plain


@pytest.mark.parametrize(("read", "text", "plain"), PUBLISHED)
@given(place=st.integers(0, 40), change=st.integers(1, 9))
def test_one_wrong_digit_of_a_published_number_is_found(read, text, plain, place, change):
    places = [i for i, char in enumerate(plain) if char.isdigit()]
    at = places[place % len(places)]
    wrong = plain[:at] + str((int(plain[at]) + change) % 10) + plain[at + 1 :]
    with pytest.raises(InvalidError):
        read(wrong)


@given(st.integers(0, 10**15 - 1))
def test_an_isni_ends_with_the_one_character_that_the_standard_gives(number):
    digits = f"{number:015d}"
    good = {char for char in "0123456789X" if accepted(isni, digits + char)}
    assert good == {mod_11_2.calc_check_digit(digits)}


@given(st.sampled_from([7, 11, 12, 13]), st.data())
def test_a_product_code_ends_with_the_one_digit_that_the_standard_gives(length, data):
    digits = data.draw(st.text("0123456789", min_size=length, max_size=length))
    good = {char for char in "0123456789" if accepted(product_code, digits + char)}
    assert good == {ean.calc_check_digit(digits)}


@given(st.integers(0, 10**9 - 1))
def test_an_ipi_ends_with_the_two_digits_that_its_sum_gives(number):
    """101 - t may be 100 and then is written 00, as for t = 0: one pair for each number, and exchanges are found."""
    digits = f"{number:09d}"
    (check,) = [pair for pair in range(100) if accepted(ipi, f"{digits}{pair:02d}")]
    total = sum((10 - i) * int(d) for i, d in enumerate(digits))
    assert (total + check) % 101 in {0, 1 if check == 0 else 0}
    assert ipi(f"{digits}{check:02d}".lstrip("0") or "0") == f"{digits}{check:02d}"


@given(st.integers(0, 10**18 - 1), st.integers(0, 16))
def test_two_digits_of_an_iban_that_change_places_are_found(number, place):
    account = f"{number:018d}"
    good = f"DE{98 - int(account + '131400') % 97:02d}{account}"
    assert iban(good) == iban(" ".join(good)) == good
    at = 4 + place
    wrong = good[:at] + good[at + 1] + good[at] + good[at + 2 :]
    assert wrong == good or not accepted(iban, wrong)


@given(st.text(max_size=40))
def test_whatever_comes_is_taken_or_refused_and_what_was_taken_stays_as_it_is(text):
    for read in (isrc, iswc, ipi, isni, product_code, iban):
        assert not accepted(read, text) or read(read(text)) == read(text)


def accepted(read, text: str) -> bool:
    try:
        return bool(read(text))
    except InvalidError:
        return False
