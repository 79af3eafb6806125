from kit.throttle import MOST_DEBT, Throttle


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    throttle = Throttle(10, 20)
    assert [throttle.take(1, 100.0) for _ in range(20)] == [0.0] * 20
    assert throttle.take(1, 100.0) == 0.1
    assert throttle.take(1, 100.2) == 0.0
    assert throttle.take(20, 200.0) == 0.0


def test_a_wait_has_an_upper_bound() -> None:
    throttle = Throttle(10, 20)
    assert throttle.take(1e9, 0.0) == MOST_DEBT
    assert throttle.take(10, 0.0 + MOST_DEBT) == MOST_DEBT
    assert throttle.take(0, 10.0) == 0.0
