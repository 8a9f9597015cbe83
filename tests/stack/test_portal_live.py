import httpx


def test_portal_answers(portal, portal_worker):
    assert httpx.get(f"{portal.url}/healthz").status_code == 200
    assert portal.shell("print(X + 1)", X=41).strip() == "42"
