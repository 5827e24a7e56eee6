# Sourced by the entry points of the broker and the database.

refuse() {
    echo "leveret: $1" >&2
    exit 1
}

# check NAME DEFAULT: the variable NAME must hold a password that can be used as it is in URLs, JSON and SQL, and in
# production not the development default.
check() {
    eval "value=\${$1:-}"
    case $value in
        '') refuse "$1: empty" ;;
        *[!A-Za-z0-9._~-]*) refuse "$1: use only letters, digits and . _ ~ -" ;;
    esac
    if [ "${APP_ENV:-development}" = production ] && [ "$value" = "$2" ]; then
        refuse "$1: the development default is refused in production"
    fi
}
