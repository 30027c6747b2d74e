import os
import platform

from fststyle.machine import cores, describe_machine


def test_a_machine_is_described_with_the_packages_that_are_there() -> None:
    described = describe_machine("numpy", "no-such-package")
    assert f"{cores()} cores" in described
    assert f"Python {platform.python_version()}" in described
    assert "numpy" in described
    assert "no-such-package" not in described


def test_cores_are_those_that_the_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
