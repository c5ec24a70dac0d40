-- The two roles that Rollcall uses and its database, made when PostgreSQL starts on an empty volume.
-- psql reads the passwords from the secrets' files.
\set ON_ERROR_STOP on
\set owner_password `cat /run/secrets/database_owner_password`
\set web_password `cat /run/secrets/database_web_password`

-- Owns the tables and migrates; nothing that answers requests has its password.
CREATE ROLE rollcall_owner LOGIN CREATEROLE PASSWORD :'owner_password';
-- Serves: row-level security binds it.
CREATE ROLE rollcall_web LOGIN PASSWORD :'web_password';
CREATE DATABASE rollcall OWNER rollcall_owner;
REVOKE CONNECT, TEMPORARY ON DATABASE rollcall FROM PUBLIC;
GRANT CONNECT ON DATABASE rollcall TO rollcall_web;
