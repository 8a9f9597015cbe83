"""Names of models stand for sets of releases, those that are still to come among them."""

from hypothesis import given
from hypothesis import strategies as st

from stemma.rights.model_names import common, covers, is_models, shortest, within

MODELS, VERSIONS = ("a", "b", "house-symbolic"), ("1", "2", "3")
EVERY = {f"{model}/{version}" for model in MODELS for version in VERSIONS}
name = st.sampled_from(MODELS)
# No name here names version 3: it is one that nobody knew of when the names were written.
some = st.one_of(st.just("*"), st.builds("{}/{}".format, name, st.sampled_from(["*", "1", "2"])))
names = st.lists(some, max_size=4)


def meant(models):
    """The releases that names stand for."""

    def of(one):
        return EVERY if one == "*" else {r for r in EVERY if r.startswith(one[:-1])} if one[-1] == "*" else {one}

    return set().union(*map(of, models))


@given(names, st.sampled_from(sorted(EVERY)))
def test_models_cover_what_they_name_and_all_of_a_model_and_nothing_else(models, release):
    assert covers(models, release) == (release in meant(models))
    assert all(is_models(each) for each in models)
    assert not any(is_models(bad) for bad in ("", "a", "a/", "/1", "*/*", "A/1", "a/x", "a/1 ", "a/1\n"))


@given(names, names)
def test_fewer_names_and_the_names_that_two_share_mean_what_sets_of_releases_mean(one, other):
    if "*" in one and "*" not in other:
        # All models are more than those of any list, though the list may have all that there are today.
        assert not within(one, other)
    else:
        assert within(one, other) == (meant(one) <= meant(other))
    assert meant(common(one, other)) == meant(one) & meant(other)
    assert set(common(one, other)) <= {*one, *other}


@given(names)
def test_the_same_models_are_written_in_one_way(models):
    short = shortest(models)
    assert meant(short) == meant(models)
    assert shortest([*short, *models]) == short == shortest(short)
    assert list(short) == sorted(short)


@given(names)
def test_what_is_allowed_whole_stays_as_it_was_written(models):
    """The hash of what was granted before terms named models is in the log."""
    assert common(models, ("*",)) == tuple(models)
