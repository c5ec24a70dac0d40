#!/bin/sh
# Makes the secrets that compose.yaml hands to the services, each a file in docker/secrets; those that exist stay.
#
# The folder can be entered by you alone. The files in it can be read by all, because the services read them under
# accounts of their own.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets

random() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'; }
password() { random | tr -d '='; }
keep() { [ -s "$1" ] || { cat >"$1.new" && chmod 444 "$1.new" && mv "$1.new" "$1"; }; }

password | keep database_superuser_password
password | keep database_owner_password
password | keep database_web_password
password | keep broker_password
# 32 bytes in URL-safe base 64, as "rollcall secret" prints them.
random | keep secret_keys

printf 'postgresql://rollcall_web:%s@postgres:5432/rollcall' "$(cat database_web_password)" | keep database_url
printf 'postgresql://rollcall_owner:%s@postgres:5432/rollcall' "$(cat database_owner_password)" | keep migration_database_url
printf 'redis://:%s@valkey:6379/0' "$(cat broker_password)" | keep redis_url
# Nothing in the broker has to outlast it: what is due stands in PostgreSQL.
printf 'requirepass %s\nsave ""\nappendonly no\nmaxmemory-policy noeviction\n' "$(cat broker_password)" | keep valkey.conf
echo "The secrets are in $(pwd). Back up secret_keys apart from the database: nothing sealed can be read without it."
