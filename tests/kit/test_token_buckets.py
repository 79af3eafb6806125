"""Token buckets."""

from __future__ import annotations

from kit.token_buckets import TokenBucket, TokenBuckets


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(10.5), bucket.take(10.5)] == [True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_goes_back_adds_no_tokens() -> None:
    bucket = TokenBucket(rate=1.0, burst=1.0)
    assert bucket.take(10.0)
    assert not bucket.take(5.0)
    assert not bucket.take(10.5)
    assert bucket.take(11.0)


def test_each_key_has_its_own_and_the_number_of_keys_is_bounded() -> None:
    buckets = TokenBuckets(rate=0.0, burst=1.0, most=2)
    assert buckets.take("a", 0.0)
    assert not buckets.take("a", 0.0)
    assert buckets.take("b", 0.0)
    assert buckets.left("a", 0.0) == 0.0
    assert buckets.left("never", 0.0) == 1.0
    buckets.take("a", 0.0)
    assert buckets.take("c", 0.0)  # b, the least recently used, was dropped
    assert buckets.left("b", 0.0) == 1.0
    assert buckets.left("a", 0.0) == 0.0
