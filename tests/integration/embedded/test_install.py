"""What would stop an installation, found before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.embedded import install


def test_a_disk_too_small_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VENV", str(tmp_path / "venv"))
    monkeypatch.setattr(install, "FREE_BYTES_NEEDED", 10**18)
    (tmp_path / "venv" / "half-made").mkdir(parents=True)
    with pytest.raises(SystemExit, match="1"):
        install.main([])
    said = capsys.readouterr()
    assert f"The disk under {tmp_path} has " in said.err
    assert "make run VENV=/path/on/it" in said.err
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []
