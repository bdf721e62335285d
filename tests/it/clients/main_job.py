"""Signs up, logs in, reaches the backend, refreshes, logs out and is refused, as any Python program would."""

import sys

import requests

base = sys.argv[1]
http = requests.Session()
http.trust_env = False


def expect(response, status, code=None):
    assert response.status_code == status, (response.request.url, response.status_code, response.text)
    if code is not None:
        assert response.headers["Content-Type"] == "application/problem+json", response.headers
        assert response.json()["code"] == code, response.text
    return response


password = "wistful-otter-47-lantern"
expect(http.get(f"{base}/auth/ping"), 200)
expect(http.get(f"{base}/app/whoami"), 401, "token_missing")
person = {"email": "python@example.com", "password": password, "name": "Guido"}
expect(http.post(f"{base}/auth/signup", json=person), 201)
expect(http.post(f"{base}/auth/signup", json=person), 409, "email_taken")
tokens = expect(http.post(f"{base}/auth/login", json=person), 200).json()

http.headers["Authorization"] = f"Bearer {tokens['access_token']}"
whoami = expect(http.get(f"{base}/app/whoami"), 200)
assert whoami.text == f"{tokens['user']['id']} python@example.com\n", whoami.text
# A generator goes in chunks.
expect(http.post(f"{base}/app/sink", data=(b"x" * 1000 for _ in range(10))), 200)
big = expect(http.get(f"{base}/app/big.bin", stream=True), 200)
assert sum(len(block) for block in big.iter_content(65536)) == 20 * 1024 * 1024

refreshed = expect(http.post(f"{base}/auth/refresh", json={"refresh_token": tokens["refresh_token"]}), 200).json()
http.headers["Authorization"] = f"Bearer {refreshed['access_token']}"
expect(http.get(f"{base}/app/whoami"), 200)
expect(http.post(f"{base}/auth/logout"), 204)
expect(http.get(f"{base}/app/whoami"), 401, "token_revoked")
print("ok")
