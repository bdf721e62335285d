"""Single requests: whether a server answers as it should, before anything is measured."""

import http.client
import json
import socket
import ssl


def request(port, path, token=None, method="GET", body=None, tls=False, timeout=10):
    """One request on a connection of its own: the status and the body."""
    if tls:
        context = ssl._create_unverified_context()  # our own certificate, made a minute ago
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body is not None:
        body = json.dumps(body)
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def answers(port, path, token=None, tls=False):
    """Whether the answer is 200."""
    try:
        return request(port, path, token, tls=tls)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def refuses(port, path, token=None, tls=False):
    """Whether the answer is 401 or 403: a guard that lets everybody in is not measured as one."""
    return request(port, path, token, tls=tls)[0] in (401, 403)


def listens(port):
    """Whether connections are taken there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False
