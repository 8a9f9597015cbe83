import psycopg
import pytest

pytestmark = pytest.mark.services


def test_postgres_serves_its_owner(postgres):
    with psycopg.connect(postgres) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("stemma",)


def test_bucket_keeps_bytes(storage):
    storage.put("a/b", b"x")
    assert storage.get("a/b") == b"x"


def test_redis_answers(redis):
    import redis as client

    with client.Redis.from_url(redis) as connection:
        assert connection.ping()


def test_mlflow_answers(mlflow):
    import httpx

    assert httpx.get(f"{mlflow}/health").text == "OK"
