"""What the conformance suite must know of this service. Yours to edit."""

from typing import Any

from app.chassis.testing import Client


def app() -> Any:
    """The service under test."""
    from app.main import app as service  # noqa: PLC0415  # reads the settings, which a test sets first

    return service


def headers(method: str, path: str) -> dict[str, str]:  # noqa: ARG001  # a hook: use what you need
    """Headers that a request to this method and path template needs, such as a token."""
    return {}


def seed(client: Client) -> None:
    """Put a few things into the empty service, so that reading routes have something to answer with."""
    if client.request("GET", "/items").status != 200:
        return  # the sample is gone: put your own things here
    for number in range(3):
        body = {"name": f"Seed {number}", "contact_email": "ada@example.com", "quantity": number}
        client.request("POST", "/items", json_body=body)
