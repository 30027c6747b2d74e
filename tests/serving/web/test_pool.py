import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from fststyle.serving.web.budgets import ByteBudget, PixelBudget
from fststyle.serving.web.pool import AbandonedError, Job, WorkerPool
from fststyle.serving.web.problems import Refusal

PATIENCE = 20


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, PATIENCE))


def blocked(gate: threading.Event) -> Any:
    return lambda job: gate.wait(PATIENCE)


def test_results_and_errors_come_back() -> None:
    async def test() -> None:
        pool = WorkerPool(2, 4)
        jobs = [pool.submit(lambda job, number=number: 6 // number) for number in (0, 1, 2)]
        answers = await asyncio.gather(*(job.result for job in jobs), return_exceptions=True)
        assert isinstance(answers[0], ZeroDivisionError)
        assert answers[1:] == [6, 3]
        assert all(job.started.result() >= 0 for job in jobs)
        pool.stop()

    run(test())


def test_frames_and_requests_take_turns() -> None:
    async def test() -> None:
        pool, gate, order = WorkerPool(1, 8), threading.Event(), []
        jobs: list[Job[Any]] = [pool.submit(blocked(gate))]
        await jobs[0].started
        for number in range(3):
            jobs.append(pool.submit(lambda job, n=number: order.append(f"request {n}")))
        for number in range(3):
            jobs.append(pool.submit(lambda job, n=number: order.append(f"frame {n}"), frame=True))
        assert (pool.waiting, pool.running) == (3, 1)
        gate.set()
        await asyncio.gather(*(job.result for job in jobs))
        assert order == ["frame 0", "request 0", "frame 1", "request 1", "frame 2", "request 2"]
        pool.stop()

    run(test())


def test_what_is_abandoned_is_not_begun_and_not_ended() -> None:
    async def test() -> None:
        pool, gate = WorkerPool(1, 8), threading.Event()

        def steps(job: Job[None]) -> None:
            gate.wait(PATIENCE)
            job.check()

        running, waiting = pool.submit(steps), pool.submit(steps)
        await running.started
        assert pool.abandon(waiting)
        assert not pool.abandon(running)
        gate.set()
        with pytest.raises(AbandonedError):
            await running.result
        assert not waiting.started.done()
        pool.stop()

    run(test())


def test_all_can_be_failed_at_once() -> None:
    async def test() -> None:
        pool, gate = WorkerPool(1, 8), threading.Event()
        jobs = [pool.submit(blocked(gate))]
        await jobs[0].started
        jobs += [pool.submit(blocked(gate)), pool.submit(blocked(gate), frame=True)]
        pool.fail_all(Refusal(503, "Stopping", "no more"))
        answers = await asyncio.gather(*(job.result for job in jobs), return_exceptions=True)
        assert [str(answer) for answer in answers] == ["no more"] * 3
        assert pool.waiting == 0
        gate.set()
        pool.stop()

    run(test())


def test_what_is_at_work_can_be_waited_for() -> None:
    async def test() -> None:
        pool, gate = WorkerPool(2, 8), threading.Event()
        job = pool.submit(blocked(gate))
        await job.started
        pool.stop()
        pool.wait(0.01)
        assert pool.running == 1
        threading.Timer(0.1, gate.set).start()
        pool.wait(PATIENCE)
        assert pool.running == 0

    run(test())


def test_the_estimate_follows_what_jobs_take() -> None:
    async def test() -> None:
        pool, gate = WorkerPool(1, 2), threading.Event()
        for _ in range(30):
            await pool.submit(lambda job: None).result
        jobs = [pool.submit(blocked(gate))]
        await jobs[0].started
        jobs += [pool.submit(blocked(gate)) for _ in range(2)]
        assert pool.full
        assert pool.seconds_to_wait() < 0.1
        gate.set()
        pool.stop()

    run(test())


def test_bytes_are_given_back_and_never_lent_twice() -> None:
    budget = ByteBudget(100)
    with budget.account() as one:
        one.add(60)
        with budget.account() as other:
            other.add(40)
            with pytest.raises(Refusal, match="as many pictures"):
                one.add(1)
            other.record(500)
            assert budget.used == 600
        assert budget.used == 60
    assert budget.used == 0


def test_pixels_are_waited_for_in_turn() -> None:
    budget, order = PixelBudget(100), []
    inside = threading.Barrier(2)

    def large() -> None:
        inside.wait(PATIENCE)
        with budget.reserved(5000):  # more than there is: alone
            order.append("large")

    with budget.reserved(60):
        thread = threading.Thread(target=large)
        thread.start()
        inside.wait(PATIENCE)
        assert order == []
        order.append("first")
    thread.join(PATIENCE)
    assert order == ["first", "large"]
    assert budget.used == 0
