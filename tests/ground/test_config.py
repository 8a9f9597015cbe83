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


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtps://u:p%40ss%2Fword@mail.example:4650", ("smtps", "mail.example", 4650, "u", "p@ss/word")),
        ("smtps://u%40example.org:p@mail.example", ("smtps", "mail.example", 465, "u@example.org", "p")),
        ("smtp+starttls://u:p@mail.example/", ("smtp+starttls", "mail.example", 587, "u", "p")),
        ("smtp://relay", ("smtp", "relay", 25, "", "")),
        ("smtp://u:p@localhost:1025", ("smtp", "localhost", 1025, "u", "p")),
        ("smtp://[::1]:2525", ("smtp", "::1", 2525, "", "")),
        ("", None),
    ],
)
def test_addresses_of_mail_servers(tmp_path, url, server):
    found = load({"STEMMA_HOME": str(tmp_path), "STEMMA_SMTP_URL": url})
    assert found.mail_server == server
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mail.example:25", "is reached by"),
        ("https://mail.example", "is reached by"),
        ("smtp://:25", "names no host"),
        ("smtp://mail.example:many", "no address of a mail server"),
        ("smtp://mail.example/path", "names no host"),
        ("smtps://u:hidden/x@mail.example", "no address of a mail server"),
        ("smtps://user@mail.example", "come together"),
        ("smtps://:hidden@mail.example", "come together"),
        ("smtp://u:hidden@mail.example", "in the clear"),
    ],
)
def test_what_is_no_mail_server_is_refused_without_its_password(tmp_path, url, told):
    with pytest.raises(InvalidError, match="STEMMA_SMTP_URL") as refused:
        load({"STEMMA_HOME": str(tmp_path), "STEMMA_SMTP_URL": url})
    assert told in refused.value.message
    assert "hidden" not in str(refused.value)


def test_a_mail_server_may_be_named_by_a_file(tmp_path):
    (tmp_path / "smtp").write_text("smtps://u:p@mail.example\n")
    found = load({"STEMMA_HOME": str(tmp_path), "STEMMA_SMTP_URL_FILE": str(tmp_path / "smtp")})
    assert found.mail_server.host == "mail.example"


@pytest.mark.parametrize("sender", ["", "Stemma", "Stemma <>", "@example.org", "a@b\nBcc: c@d"])
def test_what_is_no_sender_of_mails_is_refused(tmp_path, sender):
    with pytest.raises(InvalidError, match="STEMMA_MAIL_FROM"):
        load({"STEMMA_HOME": str(tmp_path), "STEMMA_MAIL_FROM": sender})
