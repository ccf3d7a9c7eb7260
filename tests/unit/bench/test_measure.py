"""The statistics of the benchmarks, and what they take for CPU time."""

import subprocess
import sys
import time

import pytest

from bench.measure import Sample, busy, cpu_seconds, in_turn, microseconds, process_tree, rate, ratio, spread


def sample(microseconds_each: float, requests: int = 1_000, seconds: float = 2.0) -> Sample:
    return Sample(requests, seconds, microseconds_each * requests / 1e6)


def test_a_sample_is_told_for_each_request() -> None:
    found = sample(250, requests=4_000, seconds=2)
    assert found.microseconds == pytest.approx(250)
    assert found.rate == 2_000


def test_a_spread_is_the_median_and_both_ends() -> None:
    assert spread([5.0, 1.0, 9.0]) == (5.0, 1.0, 9.0)
    assert spread([1.0, 2.0, 4.0, 100.0]) == (3.0, 1.0, 100.0)


def test_ratios_are_taken_within_each_round() -> None:
    # The machine is slow in the second round: both sides double, and the ratio stays.
    ours = [sample(300), sample(600), sample(330)]
    baseline = [sample(200), sample(400), sample(200)]
    assert ratio(ours, baseline) == pytest.approx((1.5, 1.5, 1.65))


def test_a_round_without_its_pair_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([sample(1), sample(1)], [sample(1)])


def test_values_of_several_samples() -> None:
    samples = [sample(100, seconds=1), sample(300, seconds=2), sample(200, seconds=4)]
    assert microseconds(samples) == pytest.approx((200, 100, 300))
    assert rate(samples) == (500, 250, 1_000)
    assert busy({"one": samples}) == "A server was running for 10 % (5–15) of its time."


def test_subjects_are_measured_in_turn() -> None:
    order = []

    def subject(name: str) -> Sample:
        order.append(name)
        return sample(len(order))

    found = in_turn(3, {"A": lambda: subject("A"), "B": lambda: subject("B")})
    assert order == ["A", "B"] * 3
    assert [s.microseconds for s in found["B"]] == pytest.approx([2, 4, 6])


def test_cpu_time_is_that_of_other_processes_and_their_children() -> None:
    child = "import time\nwhile time.process_time() < 0.3: pass\ninput()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + 20
        while cpu_seconds(process_tree(process.pid)[1:]) < 0.3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        tree = process_tree(process.pid)
        assert tree[0] == process.pid
        assert len(tree) == 2
        assert cpu_seconds(tree) == pytest.approx(cpu_seconds(tree[:1]) + cpu_seconds(tree[1:]), abs=0.01)
        process.communicate(b"\n")
