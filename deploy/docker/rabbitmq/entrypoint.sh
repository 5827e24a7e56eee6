#!/bin/sh
# Fills the passwords into definitions.json, then hands over to the image's own entry point.
set -eu

here=$(dirname "$0")
target=${DEFINITIONS:-/etc/rabbitmq/definitions.json}
. "$here/../passwords.sh"

check BROKER_OPERATOR ''
check BROKER_OPERATOR_PASSWORD guest
check GATEWAY_AMQP_PASSWORD gateway
check AUTH_AMQP_PASSWORD auth_svc
check USERS_AMQP_PASSWORD users_svc
check PAYMENTS_AMQP_PASSWORD payments_svc

# In a subshell: the server's own files keep their usual rights.
(umask 077 && sed \
    -e "s|\${BROKER_OPERATOR}|$BROKER_OPERATOR|" \
    -e "s|\${BROKER_OPERATOR_PASSWORD}|$BROKER_OPERATOR_PASSWORD|" \
    -e "s|\${GATEWAY_AMQP_PASSWORD}|$GATEWAY_AMQP_PASSWORD|" \
    -e "s|\${AUTH_AMQP_PASSWORD}|$AUTH_AMQP_PASSWORD|" \
    -e "s|\${USERS_AMQP_PASSWORD}|$USERS_AMQP_PASSWORD|" \
    -e "s|\${PAYMENTS_AMQP_PASSWORD}|$PAYMENTS_AMQP_PASSWORD|" \
    "$here/definitions.json" > "$target")
if [ "$(id -u)" = 0 ]; then
    chown rabbitmq "$target"
fi
# The server has no use for them in its environment.
unset BROKER_OPERATOR_PASSWORD GATEWAY_AMQP_PASSWORD AUTH_AMQP_PASSWORD USERS_AMQP_PASSWORD PAYMENTS_AMQP_PASSWORD
exec docker-entrypoint.sh "$@"
