import subprocess
import sys
from pathlib import Path


def upstream(*options: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("flightdeck")), "upstream", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_without_data_the_start_fails_and_names_the_command_that_loads_it(tmp_path: Path) -> None:
    done = upstream("--data-dir", str(tmp_path))

    assert done.returncode == 2
    assert "run `flightdeck data load`" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_p99_below_the_median_is_rejected(tmp_path: Path) -> None:
    done = upstream("--data-dir", str(tmp_path), "--median-ms", "500", "--p99-ms", "100")

    assert done.returncode == 2
    assert "p99_ms 100 is below median_ms 500" in done.stderr
