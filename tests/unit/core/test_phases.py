"""The table of transitions says what the design says: ends are ends, and everything has one."""

from kelery.run.phases import FINAL_PHASES, RETRYABLE_REASONS, TRANSITIONS, Phase, Reason


def test_every_phase_is_in_the_table() -> None:
    assert set(TRANSITIONS) == {None, *Phase}


def test_a_final_phase_is_never_left_and_every_other_is() -> None:
    assert {phase for phase in Phase if not TRANSITIONS[phase]} == FINAL_PHASES
    assert {phase for phase in Phase if phase.is_final} == FINAL_PHASES


def test_every_phase_can_be_reached_and_has_a_way_to_an_end() -> None:
    assert _reachable(None) == set(Phase)
    for phase in set(Phase) - FINAL_PHASES:
        assert _reachable(phase) & FINAL_PHASES


def test_only_a_worker_makes_a_run_succeed() -> None:
    before = {phase for phase, after in TRANSITIONS.items() if Phase.SUCCEEDED in after}
    assert before == {phase for phase in Phase if phase.is_claimed}


def test_a_run_that_is_being_cancelled_is_never_attempted_again() -> None:
    assert _reachable(Phase.CANCELLING) == {Phase.SUCCEEDED, Phase.CANCELLED}


def test_reasons_are_words_as_conditions_take_them() -> None:
    for reason in Reason:
        assert reason.value.isalpha()
        assert reason.value[0].isupper()
    assert set(RETRYABLE_REASONS) < set(Reason)


def _reachable(start: Phase | None) -> set[Phase]:
    found: set[Phase] = set()
    frontier = set(TRANSITIONS[start])
    while frontier:
        phase = frontier.pop()
        if phase not in found:
            found.add(phase)
            frontier |= TRANSITIONS[phase]
    return found
