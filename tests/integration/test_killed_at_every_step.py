"""The agent dies at a step (SIGKILL, by a relay in front of the engine's socket): the outcome is the one without a death."""

import os
import random

import pytest
from killing import MOMENTS, Journey, first_state, random_state, second_state

SEED = int(os.environ.get("TRAILER_TEST_SEED", "20261124"))


@pytest.fixture
def journey(installation, engine):
    installation.server().start()
    installation.log_in()
    made = []

    def begin(states):
        made.append(Journey(installation, engine, states))
        return made[-1]

    yield begin
    for each in made:
        each.end()


def test_killed_at_some_steps(journey):
    """A sample; tests/faults/run takes every step."""
    went = journey([first_state(), second_state()])
    dice = random.Random(SEED)
    deaths = 0
    for turn in range(6):
        steps = went.steps[went.here]
        deaths += went.die(dice.randint(1, steps), MOMENTS[turn % len(MOMENTS)])
    assert deaths >= 4  # a way may take a step less than the first time


@pytest.mark.fault
def test_killed_at_every_step(journey):
    die_at_every_step(journey([first_state(), second_state()]))


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_killed_at_every_step_between_random_states(journey, seed):
    dice = random.Random(seed)
    die_at_every_step(journey([random_state(dice), random_state(dice)]))


def die_at_every_step(went):
    """Each change of both ways, at each moment, is a death of its own."""
    deaths = 0
    for moment in MOMENTS:
        for nth in range(1, max(went.steps.values()) + 1):
            for _ in range(2):  # there and back
                deaths += went.die(nth, moment)
    # A way may take a step more or less, as steps side by side fall; but nearly every death was one.
    assert deaths >= 0.8 * len(MOMENTS) * sum(went.steps.values())
