"""A few seconds of every fuzz target; ``make fuzz`` runs them longer."""

import random

import pytest

from .run import fuzz
from .targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs_are_read_as_the_reference_reads_them_or_refused(name):
    seed = random.SystemRandom().randrange(2**32)
    tried, signatures = fuzz(name, TARGETS[name], 2.0, seed)
    assert tried >= 100
    # The mutations get somewhere: other outcomes than those of the seeds.
    assert signatures > len({TARGETS[name].run(data) for data in TARGETS[name].seeds})
