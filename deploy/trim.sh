#!/bin/sh
# Removes unused files from a virtual environment, and compiles the rest, because containers cannot write to it.
set -eu
cd "$1"/lib/python3*/site-packages

find . -depth -type d \( -name tests -o -name test -o -name __pycache__ -o -name include \) -exec rm -rf {} +
find . \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.h' -o -name '*.hpp' \) -delete
# Exports use Arrow for Parquet files only.
rm -f pyarrow/libarrow_flight* pyarrow/_flight* pyarrow/libarrow_s3* pyarrow/_s3fs*
"$1/bin/python" -m compileall -q -j 0 .
