from pathlib import Path

import pytest

from fststyle.memory import available_memory, total_memory

MACHINE = "MemTotal:       8000 kB\nMemFree: 10 kB\nMemAvailable:    3000 kB\n"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the system's files are looked for."""
    real = Path

    def below(*parts: str) -> Path:
        path = real(*parts)
        return tmp_path / path.relative_to("/") if path.is_absolute() else path

    monkeypatch.setattr("fststyle.memory.Path", below)
    for name in ("proc", "sys/fs/cgroup"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def test_the_least_of_machine_and_container_counts(system: Path) -> None:
    (system / "proc/meminfo").write_text(MACHINE)
    assert (available_memory(), total_memory()) == (3000 * 1024, 8000 * 1024)
    group = system / "sys/fs/cgroup"
    (group / "memory.current").write_text("1000000\n")
    (group / "memory.max").write_text("max\n")
    assert (available_memory(), total_memory()) == (3000 * 1024, 8000 * 1024)
    (group / "memory.max").write_text("1500000\n")
    assert (available_memory(), total_memory()) == (500_000, 1_500_000)
    (group / "memory.max").write_text("900000\n")
    assert (available_memory(), total_memory()) == (0, 900_000)


@pytest.mark.parametrize("content", [None, "", "rubbish", "MemTotal:\nMemAvailable:\n", MACHINE.replace("00", "x")])
def test_a_system_may_not_tell(system: Path, content: str | None) -> None:
    if content is not None:
        (system / "proc/meminfo").write_text(content)
    assert (available_memory(), total_memory()) == (None, None)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux tells")
def test_this_machine_has_memory() -> None:
    available, total = available_memory(), total_memory()
    assert available is not None
    assert total is not None
    assert 0 < available < total
