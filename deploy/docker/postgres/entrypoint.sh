#!/bin/sh
# Looks at the passwords, then hands over to the image's own entry point. Not left to the init script: the image makes
# the data folder before it runs that, and a folder that is half made is taken for a finished one at the next start.
set -eu

. "$(dirname "$0")/../passwords.sh"

check POSTGRES_PASSWORD postgres
check AUTH_OWNER_PASSWORD auth_owner
check AUTH_APP_PASSWORD auth_app
check USERS_OWNER_PASSWORD users_owner
check USERS_APP_PASSWORD users_app
check PAYMENTS_OWNER_PASSWORD payments_owner
check PAYMENTS_APP_PASSWORD payments_app

exec docker-entrypoint.sh "$@"
