#!/bin/sh
# Print a Python that prelabel and Label Studio run on (3.10 to 3.13), or say what to install.
for name in ${PYTHON:-} python3 python3.12 python3.11 python3.13 python3.10 python; do
    if "$name" -c 'import sys; sys.exit(not ((3, 10) <= sys.version_info[:2] <= (3, 13)))' >/dev/null 2>&1; then
        command -v "$name"
        exit 0
    fi
done
echo "prelabel needs Python 3.10 to 3.13; none is on the PATH (PYTHON=/path/to/python make ... names another)." >&2
exit 1
