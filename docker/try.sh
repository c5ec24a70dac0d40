#!/bin/sh
# Makes what the README's lines use - a tenant, keys and a SCIM token - in the installation that compose.yaml runs, and
# writes it to docker/secrets/try.sh. To be run once it is up, for trying: a real customer's token is made by its admin.
set -eu
cd "$(dirname "$0")"
umask 077
compose() { docker compose -f compose.yaml "$@"; }
ops() { compose run --rm -T ops "$@" </dev/null; }

url="https://${ROLLCALL_DOMAIN:-localhost}"
tenant=juniper
into="$(pwd)/secrets"

# Caddy's own authority signs for a name that is not public, "localhost" for one; it is trusted by these lines alone.
authority=
if compose cp proxy:/data/caddy/pki/authorities/local/root.crt "$into/authority.crt" >/dev/null 2>&1; then
    authority="$into/authority.crt"
    export CURL_CA_BUNDLE="$authority"
fi

ops tenants apply /tenants.toml
operator_key=$(ops keys issue operator --label "try.sh")
application_key=$(ops keys issue application --label "try.sh")
scim_token=$(curl -fsS "$url/v1/tenants/$tenant/tokens" -H "Authorization: Bearer $operator_key" \
    -H 'Content-Type: application/json' -d '{"label": "try.sh"}' | sed 's/.*"token":"\([^"]*\)".*/\1/')

cat >"$into/try.sh" <<END
export ROLLCALL_URL='$url'
export SCIM_URL='$url/scim/v2'
export SCIM_TOKEN='$scim_token'
export TENANT='$tenant'
export OPERATOR_KEY='$operator_key'
export APPLICATION_KEY='$application_key'
END
[ -z "$authority" ] || echo "export CURL_CA_BUNDLE='$authority'" >>"$into/try.sh"
echo "Now: . docker/secrets/try.sh"
