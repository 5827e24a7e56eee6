#!/usr/bin/env bash
# Makes requirements.lock (what runs) and requirements-dev.lock (what runs, and the tools) from setup.cfg.
#
#   deploy/lock.sh                      keep the versions that the locks have, change only what setup.cfg asks for
#   deploy/lock.sh --upgrade            the newest versions that setup.cfg allows
#   deploy/lock.sh --upgrade-package X  the newest version of X alone
#
# One lock holds for Python 3.11 to 3.13 on every platform, with the hash of every file, for
# `pip install --require-hashes -r requirements.lock`. Needs `uv`, which is no part of the locks: .venv/bin/uv if it is
# there, else the one on the PATH, or where UV says.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

uv=${UV:-uv}
[ -z "${UV:-}" ] && [ -x .venv/bin/uv ] && uv=$root/.venv/bin/uv

# setuptools leaves its egg-info beside setup.cfg when it is asked for the requirements, so it is asked elsewhere.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/lib"
cp setup.cfg pyproject.toml "$scratch"
cp lib/__init__.py "$scratch/lib"
touch "$scratch/README.md"

for lock in requirements.lock requirements-dev.lock; do
    extra=()
    [ "$lock" = requirements-dev.lock ] && extra=(--extra dev)
    # uv starts from the versions in its output file, unless it is told to upgrade.
    [ -f "$lock" ] && cp "$lock" "$scratch"
    # No local configuration: a lock must not depend on the machine of its making.
    (cd "$scratch" && "$uv" pip compile setup.cfg "${extra[@]}" "$@" --output-file "$lock" \
        --no-config \
        --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet > /dev/null)
    if grep -nE '://|^-|@ ' "$scratch/$lock"; then
        echo "$lock: only versions and hashes may be in it, no address, path or option" >&2
        exit 1
    fi
    { echo '# Made by deploy/lock.sh from setup.cfg; do not edit by hand.'; cat "$scratch/$lock"; } > "$lock"
    echo "$lock: $(grep -c '==' "$lock") packages"
done
