"""Seats of a license: for members, each once, never more than were paid for, and priced by the covenant."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from portal.making import problem
from stemma.errors import InvalidError
from stemma.rights.covenant import house_covenant
from stemma.rights.prices import Price, Step
from stemma_portal.accounts.services import membership_set, user_create
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.licensing.models import Seat
from stemma_portal.licensing.seats import require_seat, seat_free, seat_give, seats_taken
from stemma_portal.licensing.services import covenant_publish, license_grant
from stemma_portal.operations.figures import tiers_may

pytestmark = pytest.mark.services


def person(organisation, name):
    user = user_create(email=f"{name}@studio.test", name=name, password=None, by=None)
    membership_set(user=user, organisation=organisation, role="member", by=None)
    return user


@pytest.fixture
def seated(covenant, cast, storage):
    return license_grant(organisation=cast.studio, tier="enterprise", months=1, by=None, seats=2)


@pytest.mark.django_db
def test_seats_are_for_members_and_no_more_than_were_paid_for(seated, cast):
    one, two = person(cast.studio, "one"), person(cast.studio, "two")
    with pytest.raises(InvalidError, match="Only members"):
        seat_give(license_=seated, user=cast.stranger, by=cast.licensee)
    first = seat_give(license_=seated, user=one, by=cast.licensee)
    assert seat_give(license_=seated, user=one, by=cast.licensee) == first
    seat_give(license_=seated, user=two, by=cast.licensee)
    with pytest.raises(InvalidError, match="All 2 seats"):
        seat_give(license_=seated, user=cast.licensee, by=cast.licensee)
    with pytest.raises(ForbiddenError, match="no seat"):
        require_seat(cast.licensee, seated)
    seat_free(seat=first, by=cast.licensee)
    seat_give(license_=seated, user=cast.licensee, by=cast.licensee)
    require_seat(cast.licensee, seated)
    two.memberships.all().delete()
    assert [seat.user for seat in seats_taken(seated)] == [cast.licensee], "who leaves leaves their seat"
    open_to_all = license_grant(organisation=cast.studio, tier="research", months=1, by=None)
    require_seat(one, open_to_all)
    with pytest.raises(InvalidError, match="does not count"):
        seat_give(license_=open_to_all, user=one, by=cast.licensee)


@pytest.mark.django_db
def test_only_who_has_a_seat_makes_keys(seated, cast, api):
    problem(api("licensee").post(f"licenses/{seated.pk}/keys", {"name": "k"}), 403)
    browser = Client()
    browser.force_login(cast.licensee)
    page = browser.get(f"/license/{seated.pk}/seats/").content.decode()
    assert "Nobody has a seat yet" in page
    browser.post(f"/license/{seated.pk}/seats/change/", {"user": cast.licensee.pk})
    assert "1 seat is free" in " ".join(browser.get(f"/license/{seated.pk}/seats/").content.decode().split())
    assert api("licensee").post(f"licenses/{seated.pk}/keys", {"name": "k"}).status_code == 201
    browser.post(f"/license/{seated.pk}/seats/change/", {"seat": Seat.objects.get().pk})
    assert not seats_taken(seated).exists()

    given = api("licensee").post(f"licenses/{seated.pk}/seats", {"email": cast.licensee.email}).json()
    assert api("licensee").get(f"licenses/{seated.pk}/seats").json() == [given]
    problem(api("licensee").post(f"licenses/{seated.pk}/seats", {"email": cast.stranger.email}), 422, "stranger")
    assert api("licensee").send("DELETE", f"licenses/{seated.pk}/seats/{given['id']}").status_code == 204
    assert not seats_taken(seated).exists()


@pytest.mark.django_db
def test_seats_are_priced_by_the_covenant(cast, storage, redis):
    from portal.billing.shop import dollars, shop_open
    from stemma_portal.billing.invoicing import quote_make

    house = house_covenant()
    seat = Price(unit="seat", title="Seat", steps=(Step(up_to=2, price=10_000_000), Step(price=5_000_000)))
    flat = Price(unit="flat", title="License", steps=(Step(price=990_000_000),))
    priced = {"prices": (flat, seat), "monthly_fee": 0, "minute_fee": 0, "minimum": 2_000_000_000}
    tiers = tuple(each.model_copy(update=priced) if each.name == "enterprise" else each for each in house.tiers)
    terms = house.model_copy(update={"format": "stemma.covenant/3", "version": "3.0.0", "tiers": tiers})
    covenant_publish(covenant=terms, by=None)
    page = Client().get("/tiers/").content.decode()
    enterprise = page[page.index("<h2>Enterprise") :].split("</li>")[0]
    price = enterprise[enterprise.index('class="price"') :].split("</p>")[0]
    assert "Free" not in price
    for words in ("USD 990.00 a month", "USD 10.00 up to 2", "a seat and month", "USD 2,000.00 a month at least"):
        assert words in price
    assert [row.title for row in tiers_may(terms) if row.free] == ["Community", "Research", "Evaluation"]
    shop = shop_open(cast)
    with pytest.raises(InvalidError, match="priced per seat"):
        shop.quote()
    quote = quote_make(organisation=shop.studio, tier="enterprise", months=3, seats=4, by=cast.licensee)
    assert quote.net == 3 * (990_000_000 + 30_000_000)
    from stemma_portal.billing.invoicing import order_place

    order = order_place(quote=quote, by=cast.licensee)
    invoice = order.invoices.get()
    shop.bank(dollars(invoice.total, invoice.reference))
    order.refresh_from_db()
    assert order.license.seats == 4
    with pytest.raises(InvalidError, match="does not count seats"):
        quote_make(organisation=shop.studio, tier="research", months=3, seats=4, by=cast.licensee)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_do_not_get_the_last_seat(seated, cast):
    people = [person(cast.studio, f"p{n}") for n in range(4)]

    def give(user) -> bool:
        try:
            seat_give(license_=seated, user=user, by=cast.licensee)
        except InvalidError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(give, people)) == 2
    assert seats_taken(seated).count() == 2
