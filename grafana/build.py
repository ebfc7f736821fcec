"""Write the dashboards: `python -m grafana.build [--check]`."""

import json
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.boards import every_board
from prometheus.generated import GeneratedFiles

FOLDER: Final = "grafana/dashboards"


def outputs() -> dict[str, str]:
    """Return the text of every dashboard, by its path in the repository."""
    return {
        f"{FOLDER}/{(board.uid or '').removeprefix('flightdeck-')}.json": json.dumps(
            board, cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True
        )
        + "\n"
        for board in every_board()
    }


FILES: Final = GeneratedFiles(command="make dashboards", outputs=outputs, patterns=[f"{FOLDER}/*.json"])

if __name__ == "__main__":
    FILES.main()
