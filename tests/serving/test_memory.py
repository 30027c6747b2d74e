from pathlib import Path

import pytest

from fststyle.serving.memory import available_memory, fits


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the system's files are looked for."""
    real = Path

    def below(*parts: str) -> Path:
        path = real(*parts)
        return tmp_path / path.relative_to("/") if path.is_absolute() else path

    monkeypatch.setattr("fststyle.serving.memory.Path", below)
    for name in ("proc", "sys/fs/cgroup"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def test_the_least_of_machine_and_container_counts(system: Path) -> None:
    assert available_memory() is None
    (system / "proc/meminfo").write_text("MemTotal: 8000 kB\nMemFree: 10 kB\nMemAvailable:    3000 kB\n")
    assert available_memory() == 3000 * 1024
    group = system / "sys/fs/cgroup"
    (group / "memory.current").write_text("1000000\n")
    (group / "memory.max").write_text("max\n")
    assert available_memory() == 3000 * 1024
    (group / "memory.max").write_text("1500000\n")
    assert available_memory() == 500_000
    (group / "memory.max").write_text("900000\n")
    assert available_memory() == 0


def test_where_nothing_is_told_a_picture_fits(system: Path, tiny_style_file: Path) -> None:
    assert fits(tiny_style_file, 10**9)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux tells")
def test_this_machine_has_memory() -> None:
    found = available_memory()
    assert found is not None
    assert found > 0
