"""`flightdeck lab sweep`: a setting over its range, and which value to choose."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from flightdeck.embedded_data import DataDir, require_data


def sweep(
    name: Annotated[str, typer.Argument(help="pool-size, threads, page-size, compression or data-size.")],
    seconds: Annotated[float, typer.Option(min=0.5, help="Of every measured point.")] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False,
    data_dir: DataDir = Path(".flightdeck"),
) -> None:
    """Try a setting over its range: a curve, and which value to choose."""
    from rich.console import Console  # noqa: PLC0415 `flightdeck --help` stays quick

    from lab.compression_sweep import CompressionResult, compression_sweep  # noqa: PLC0415
    from lab.data_size import DataSizeResult, data_size_sweep  # noqa: PLC0415
    from lab.errors import LabError  # noqa: PLC0415
    from lab.live import watching  # noqa: PLC0415
    from lab.servers import Servers  # noqa: PLC0415
    from lab.sweep import SweepResult, sweep_named, sweep_over  # noqa: PLC0415
    from lab.table import print_compression, print_data_size, print_sweep  # noqa: PLC0415

    if name == "data-size" or Servers.from_environ(os.environ).has_own_database:
        require_data(data_dir)
    result: SweepResult | CompressionResult | DataSizeResult
    try:
        with watching(Console(stderr=True)) as watch:
            match name:
                case "compression":
                    result = asyncio.run(compression_sweep(data_dir=data_dir, watch=watch))
                case "data-size":
                    result = asyncio.run(data_size_sweep(data_dir=data_dir, seconds=seconds, watch=watch))
                case _:
                    result = asyncio.run(sweep_over(sweep_named(name), data_dir=data_dir, seconds=seconds, watch=watch))
    except LabError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    console = Console()
    match result:
        case _ if as_json:
            typer.echo(result.model_dump_json(indent=2))
        case CompressionResult():
            print_compression(result, console)
        case DataSizeResult():
            print_data_size(result, console)
        case SweepResult():
            print_sweep(result, console)
    if not isinstance(result, CompressionResult) and result.is_interrupted:
        raise typer.Exit(130)
