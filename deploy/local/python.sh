#!/bin/bash
# Prints the Python that the project uses: the newest supported one that really runs. A name on the PATH is not enough:
# pyenv puts a shim there for every version it knows, and most of them only say that they are not active.
# One that can make virtual environments is preferred to one that cannot (Debian splits python3-venv off), and among those
# one that was built with optimizations to one that was not: everything costs less CPU time on it. Distributions build
# theirs in that way; who builds one with pyenv has to ask for it (PYTHON_CONFIGURE_OPTS=--enable-optimizations).
is_supported='import sys; sys.exit(sys.version_info < (3, 11))'
makes_environments='import ensurepip, venv'
is_optimized='import sys, sysconfig
arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
sys.exit(sys.base_prefix != "/usr" and "--enable-optimizations" not in arguments)'

says() {
    "$1" -c "$2" >/dev/null 2>&1 </dev/null
}

second=
third=
for name in ${CANDIDATES:-python3.13 python3.12 python3.11 python3}; do
    while read -r path; do
        says "$path" "$is_supported" || continue
        if says "$path" "$makes_environments"; then
            if says "$path" "$is_optimized"; then
                printf '%s\n' "$path"
                exit 0
            fi
            second=${second:-$path}
        fi
        third=${third:-$path}
    done < <(type -ap "$name")
done
if [ -n "${second:-$third}" ]; then
    printf '%s\n' "${second:-$third}"
    exit 0
fi
echo "error: no usable Python 3.11, 3.12 or 3.13 found on the PATH; install one, or name it: make PYTHON=/path/to/python3 …" >&2
exit 1
