import subprocess
import sys
from pathlib import Path


def upstream(*options: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("flightdeck")), "upstream", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_without_data_the_start_is_refused_and_says_how_to_load_it(tmp_path: Path) -> None:
    refused = upstream("--data-dir", str(tmp_path))

    assert refused.returncode == 1
    assert "run `flightdeck data load`" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_latency_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    refused = upstream("--data-dir", str(tmp_path), "--median-ms", "500", "--p99-ms", "100")

    assert refused.returncode == 2
    assert "p99_ms 100 is below median_ms 500" in refused.stderr
