"""What was stated of a generation comes out again, to the part per billion."""

import pytest

from attribution.toy import Toy
from stemma.attribution.recompute import Inputs, StoreFile, example_of, fact_of, recompute
from stemma.attribution.shares import COMMONS, PPB, attribute
from stemma.attribution.store import Store
from stemma.errors import InvalidError, NotFoundError, ProofError, UnavailableError
from stemma.models.protocol import Example
from stemma.proof.canonical import sha256
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
    found = recompute(example_of(storage, "g1"), stated, store)
    assert sum(found.found.values()) == PPB
    assert len(found.found) > 1
    assert found.apart == 0
    assert len(stated["intervals"]) == len(stated["shares"])

    name = next(iter(stated["shares"]))
    stated["intervals"][name][1] += 7
    assert recompute(example_of(storage, "g1"), stated, store).apart == 7
    del stated["version"], stated["intervals"]  # as facts were before there were intervals
    assert recompute(example_of(storage, "g1"), stated, store).apart == 0

    name = next(name for name in stated["shares"] if name != COMMONS)
    stated["shares"][name] -= 5000
    stated["shares"][COMMONS] += 5000
    assert recompute(example_of(storage, "g1"), stated, store).apart == 5000
    with pytest.raises(ProofError) as error:
        recompute(example_of(storage, "g1"), stated, world.dual)
    assert error.value.code == "foreign-store"
    with pytest.raises(NotFoundError):
        fact_of(storage, "g2")


@pytest.mark.services
def test_from_what_is_handed_out_without_the_platform_s_storage(world, tmp_path, storage):
    """Files by their addresses, each checked; cut off, what is there is kept."""
    world.store.publish(storage)
    example = {"tokens": list(world.tunes["r04"]), "condition": []}
    answer = attribute(world.store, Example(tokens=tuple(example["tokens"])))
    fact = AttributionFact(id="a", generation="g1", at=AT, **answer.fact_fields()).model_dump(mode="json")
    prefix = f"stores/toy/1/{world.store.version}/"
    names = [*world.store.manifest.files, "manifest.json"]
    files = [
        StoreFile(path=name, sha256=sha256((world.store.folder / name).read_bytes()), url=storage.url(prefix + name))
        for name in names
    ]
    (tmp_path / "inputs.json").write_text(Inputs(fact=fact, example=example, store=files).model_dump_json())
    inputs = Inputs.read(tmp_path / "inputs.json")
    inputs.fetch(tmp_path / "store")
    store = Store.load(tmp_path / "store", world.bundle, load=Toy.load)
    assert recompute(inputs.example, inputs.fact, store).apart == 0

    gone = [file.model_copy(update={"url": "http://127.0.0.1:9/"}) for file in files]
    inputs.model_copy(update={"store": gone}).fetch(tmp_path / "store")  # nothing is asked for twice
    with pytest.raises(UnavailableError, match="cannot be fetched"):
        inputs.model_copy(update={"store": gone}).fetch(tmp_path / "other")
    wrong = [file.model_copy(update={"sha256": "0" * 64}) for file in files]
    with pytest.raises(ProofError, match="not what its hash says"):
        inputs.model_copy(update={"store": wrong}).fetch(tmp_path / "other")
    with pytest.raises(ProofError, match="another store"):
        inputs.model_copy(update={"fact": {**fact, "store": "0" * 16}}).fetch(tmp_path / "third")
    with pytest.raises(InvalidError, match=r"hold no store\. Order a tier"):
        Inputs(fact=fact, example=example, lacking="Order a tier.").fetch(tmp_path / "none")
    (tmp_path / "inputs.json").write_text("{}")
    with pytest.raises(InvalidError, match="does not hold the inputs"):
        Inputs.read(tmp_path / "inputs.json")
