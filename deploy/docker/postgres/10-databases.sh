#!/bin/bash
# Databases and roles as for development, then the passwords of this installation. The image runs this once, when the
# server's data folder is made.
set -euo pipefail

sql() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres "$@"
}

sql --file "${DATABASES:-/leveret/local/databases.sql}"

for role in auth_owner auth_app users_owner users_app payments_owner payments_app; do
    password=${role^^}_PASSWORD
    # By standard input: arguments are visible in the process list.
    printf "\\\\set password %s\nALTER ROLE :\"role\" PASSWORD :'password';\n" "${!password}" | sql --set role="$role"
done
