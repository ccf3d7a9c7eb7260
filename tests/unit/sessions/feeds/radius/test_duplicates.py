from number_verification.sessions.feeds.radius.duplicates import RecentAnswers


def test_an_answer_is_kept_for_half_its_lifetime_at_least_and_its_lifetime_at_most() -> None:
    for put_at in range(100_000, 130_000, 2_500):
        answers = RecentAnswers(lifetime=30_000)
        answers.turn(100_000)
        for now in range(put_at, put_at + 40_000, 500):
            answers.turn(now)
            if now == put_at:
                answers.put("key", b"answer")
            if now - put_at <= 15_000:
                assert answers.get("key") == b"answer"
            if now - put_at >= 30_000:
                assert answers.get("key") is None


def test_an_answer_is_forgotten_over_a_pause() -> None:
    answers = RecentAnswers(lifetime=30_000)
    answers.turn(100_000)
    answers.put("key", b"answer")
    answers.turn(130_000)
    assert answers.get("key") is None


def test_the_newest_are_kept_where_there_is_no_room() -> None:
    answers = RecentAnswers(capacity=10)
    for n in range(1_000):
        answers.put(n, b"%d" % n)
    kept = [n for n in range(1_000) if answers.get(n) is not None]
    assert 5 <= len(kept) <= 10
    assert kept[-1] == 999
