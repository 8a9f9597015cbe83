"""Configuration is typed and strict: what is misspelt or malformed is named, never ignored."""

import pytest

from stemma.config import load
from stemma.errors import InvalidError

pytestmark = pytest.mark.unit


def test_variables_outrank_the_file_the_stack_wrote(tmp_path):
    (tmp_path / "env").write_text("STEMMA_S3_BUCKET=from-file\nSTEMMA_S3_REGION=eu-west-1\n# a remark = nothing\n")
    found = load({"STEMMA_HOME": str(tmp_path), "STEMMA_S3_BUCKET": "from-variable", "PATH": "/bin"})
    assert (found.s3_bucket, found.s3_region) == ("from-variable", "eu-west-1")


def test_the_home_is_absolute_so_that_processes_elsewhere_agree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load({"STEMMA_HOME": "here"}).home == tmp_path / "here"


def test_only_the_environment_that_is_given_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("STEMMA_S3_BUCKET", "of-this-process")
    assert load({"STEMMA_HOME": str(tmp_path)}).s3_bucket == "stemma"


def test_a_misspelt_variable_is_refused_by_name(tmp_path):
    with pytest.raises(InvalidError, match="STEMMA_S3_BUKET"):
        load({"STEMMA_HOME": str(tmp_path), "STEMMA_S3_BUKET": "x"})


def test_a_malformed_value_is_refused_by_name(tmp_path):
    with pytest.raises(InvalidError, match="STEMMA_DEBUG"):
        load({"STEMMA_HOME": str(tmp_path), "STEMMA_DEBUG": "perhaps"})


def test_secrets_may_be_named_by_a_file(tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    found = load({"STEMMA_HOME": str(tmp_path), "STEMMA_S3_SECRET_KEY_FILE": str(tmp_path / "secret")})
    assert found.s3_secret_key.get_secret_value() == "s3cret"


def test_a_secret_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(InvalidError, match="STEMMA_S3_SECRET_KEY_FILE"):
        load({"STEMMA_HOME": str(tmp_path), "STEMMA_S3_SECRET_KEY_FILE": str(tmp_path / "nowhere")})


def test_secrets_are_not_printed(tmp_path):
    found = load({"STEMMA_HOME": str(tmp_path), "STEMMA_S3_SECRET_KEY": "s3cret", "STEMMA_API_KEY": "stm_key"})
    assert "s3cret" not in repr(found)
    assert "stm_key" not in repr(found)
