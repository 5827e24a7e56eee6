#!/bin/bash
# Prints the Python that the project uses: the newest supported one that really runs. A name on the PATH is not enough:
# pyenv puts a shim there for every version it knows, and most of them only say that they are not active.
# One that can make virtual environments is preferred to one that cannot (Debian splits python3-venv off).
second=
for name in ${CANDIDATES:-python3.13 python3.12 python3.11 python3}; do
    path=$(command -v "$name") || continue
    "$path" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 </dev/null || continue
    if "$path" -c 'import ensurepip, venv' >/dev/null 2>&1 </dev/null; then
        printf '%s\n' "$path"
        exit 0
    fi
    second=${second:-$path}
done
if [ -n "$second" ]; then
    printf '%s\n' "$second"
    exit 0
fi
echo "error: no usable Python 3.11, 3.12 or 3.13 found on the PATH; install one, or name it: make PYTHON=/path/to/python3 …" >&2
exit 1
