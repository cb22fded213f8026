"""What the tests of a running proxy share."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.peers import Net


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    async with Net() as net:
        yield net
