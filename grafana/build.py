"""Write the dashboards: `python -m grafana.build [--check]`."""

import json
from typing import Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.boards import every_board
from grafana.scoped import scoped_boards
from prometheus import slo
from prometheus.generated import GeneratedFiles
from prometheus.slo import Objectives

FOLDER: Final = "grafana/dashboards"


def outputs(objectives: Objectives) -> dict[str, str]:
    """Return the text of every dashboard, by its path."""
    return {
        f"{FOLDER}/{name}.json": json.dumps(board, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        for name, board in boards(objectives).items()
    }


def boards(objectives: Objectives) -> dict[str, dict[str, Any]]:
    """Return every dashboard of a service, as Grafana reads it, by its name."""
    documents = (json.loads(json.dumps(board, cls=JSONEncoder)) for board in every_board(objectives))
    named = {document["uid"].removeprefix("flightdeck-"): document for document in documents}
    return named if objectives.arms else scoped_boards(named, objectives)


FILES: Final = GeneratedFiles(
    command="make dashboards", outputs=lambda: outputs(slo.load()), patterns=[f"{FOLDER}/*.json"]
)

if __name__ == "__main__":
    FILES.main()
