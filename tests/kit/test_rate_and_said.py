from structlog.testing import capture_logs

from kit.rate import MOST_DEBT, Allowance
from kit.reported_once import Said, apart


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    allowance = Allowance(10, 20)
    assert [allowance.take(1, 100.0) for _ in range(20)] == [0.0] * 20
    assert allowance.take(1, 100.0) == 0.1
    assert allowance.take(1, 100.2) == 0.0
    assert allowance.take(20, 200.0) == 0.0


def test_nobody_is_held_up_longer_than_the_most() -> None:
    allowance = Allowance(10, 20)
    assert allowance.take(1e9, 0.0) == MOST_DEBT
    assert allowance.take(10, 0.0 + MOST_DEBT) == MOST_DEBT
    assert allowance.take(0, 10.0) == 0.0


def test_a_lasting_trouble_is_said_once_and_again_when_it_comes_back() -> None:
    said = Said()
    assert [said.is_news("a", "x"), said.is_news("a", "x"), said.is_news("b", "x"), said.is_news("a", "y")] == [
        True, False, True, True,
    ]  # fmt: skip
    said.forget("a")
    assert said.is_news("a", "y")


def test_one_of_many_that_fails_stops_no_other_and_is_logged_once() -> None:
    said, done = Said(), []
    with capture_logs() as lines:
        for _ in range(3):
            for name in ("a", "bad", "c"):
                with apart(said, "not rotated", name):
                    if name == "bad":
                        raise OSError("no space left")
                    done.append(name)
    assert done == ["a", "c"] * 3
    # a thread of another test's may have its say, too
    assert [line["of"] for line in lines if line["event"] == "not rotated"] == ["bad"]
