"""Fixtures of the tests that talk to the Hub; conftest.py imports them."""

from collections.abc import Iterator

import pytest
from hub_server import HubServer


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """An empty Hub of its own for each test."""
    with HubServer() as running:
        yield running
