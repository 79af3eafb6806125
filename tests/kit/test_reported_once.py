from structlog.testing import capture_logs

from kit.reported_once import ReportedOnce, isolated


def test_a_lasting_problem_is_reported_once_and_again_when_it_comes_back() -> None:
    reported = ReportedOnce()
    new = [reported.is_new(about, why) for about, why in (("a", "x"), ("a", "x"), ("b", "x"), ("a", "y"))]
    assert new == [True, False, True, True]
    reported.forget("a")
    assert reported.is_new("a", "y")


def test_an_item_that_fails_does_not_stop_the_others_and_is_logged_once() -> None:
    reported, done = ReportedOnce(), []
    with capture_logs() as lines:
        for _ in range(3):
            for name in ("a", "bad", "c"):
                with isolated(reported, "not rotated", name):
                    if name == "bad":
                        raise OSError("no space left")
                    done.append(name)
    assert done == ["a", "c"] * 3
    # a thread of another test may log, too
    assert [line["of"] for line in lines if line["event"] == "not rotated"] == ["bad"]
