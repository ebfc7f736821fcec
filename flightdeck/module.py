"""Run a module of a package that only `import flightdeck` makes importable: `python -m flightdeck.module NAME`."""

import runpy
import sys

if __name__ == "__main__":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
