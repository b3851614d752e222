"""A real Valkey: one for the tests that only ask it, `TEST_REDIS_URL` or one of our own."""

import os
from collections.abc import Iterator

import pytest

from app.chassis.redis.testing import ValkeyServer
from app.chassis.testing.guarded import ServerMissingError


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A server of this run's own, which a test may stop and start."""
    try:
        server = ValkeyServer()
    except ServerMissingError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest) -> str:
    """URL of a server that is only asked."""
    url: str = os.environ.get("TEST_REDIS_URL") or request.getfixturevalue("valkey").url
    return url
