"""What was stated of a generation comes out again, to the part per billion."""

import pytest

from attribution.toy import Toy
from stemma.attribution.recompute import fact_of, recompute
from stemma.attribution.shares import COMMONS, PPB, attribute
from stemma.attribution.store import Store
from stemma.errors import NotFoundError, ProofError
from stemma.models.protocol import Example
from stemma.royalties.facts import AttributionFact

AT = "2026-11-10T00:00:00.000Z"


@pytest.mark.services
def test_shares_are_the_same_again(world, tmp_path, storage):
    """Also when the release has another store by now."""
    world.store.publish(storage)
    example = Example(tokens=tuple(world.tunes["r04"]))
    fact = AttributionFact(id="a", generation="g1", at=AT, **attribute(world.store, example).fact_fields())
    storage.put_json("generations/g1/attribution.json", fact.model_dump(mode="json"))
    storage.put_json("generations/g1/example.json", {"tokens": list(example.tokens), "condition": []})
    world.dual.publish(storage)

    stated = fact_of(storage, "g1")
    release, version = stated["model_release"], stated["store"]
    store = Store.fetch(storage, release, tmp_path / "store", world.bundle, version=version, load=Toy.load)
    found = recompute(storage, stated, store)
    assert sum(found.found.values()) == PPB
    assert len(found.found) > 1
    assert found.apart == 0
    assert len(stated["intervals"]) == len(stated["shares"])

    name = next(iter(stated["shares"]))
    stated["intervals"][name][1] += 7
    assert recompute(storage, stated, store).apart == 7
    del stated["version"], stated["intervals"]  # as facts were before there were intervals
    assert recompute(storage, stated, store).apart == 0

    name = next(name for name in stated["shares"] if name != COMMONS)
    stated["shares"][name] -= 5000
    stated["shares"][COMMONS] += 5000
    assert recompute(storage, stated, store).apart == 5000
    with pytest.raises(ProofError) as error:
        recompute(storage, stated, world.dual)
    assert error.value.code == "foreign-store"
    with pytest.raises(NotFoundError):
        fact_of(storage, "g2")
