"""What a model card says of the training data beside its snapshot."""

from stemma.rights.diversity import Origin, diversity
from stemma.rights.facts import Keeping, SnapshotFacts
from stemma.training.card import _diversity


def test_diversity_and_communities() -> None:
    listed = [Origin("reel", "IE", "17XX"), Origin("reel", "IE", ""), Origin("jig", "GB-SCT", ""), Origin("", "", "")]
    custody = (
        Keeping(recording="a", custody="c", community="Céilí House", conditions=("attribution",)),
        Keeping(recording="b", custody="d", community="Choir", conditions=("no_style_prompting",)),
    )
    beside = SnapshotFacts(snapshot="s", root="0" * 64, diversity=diversity(listed), custody=custody)
    text = "\n".join(_diversity(beside))
    assert "| repertoire | 2 | 1.9 | reel, 66.7 % | 25.0 % |" in text
    assert "| region of origin | 2 | 1.9 | Ireland, 66.7 % | 25.0 % |" in text
    assert "| century of origin | 1 | 1.0 | 1700–1799, 100.0 % | 75.0 % |" in text
    assert "are to be named: Céilí House." in text
    assert "no style prompting: 1." in text


def test_an_older_snapshot_has_none() -> None:
    assert _diversity(None) == []
