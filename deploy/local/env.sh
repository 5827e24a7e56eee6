#!/bin/bash
# Runs a command with the settings of the running `make up`: bash deploy/local/env.sh nameko shell --config config.yaml
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
if [ ! -f .local/env ]; then
    echo "error: the system is not running here; start it in another terminal: make up" >&2
    exit 1
fi
set -a
. .local/env
set +a
PATH="$PWD/.venv/bin:$PATH" exec "$@"
