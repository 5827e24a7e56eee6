-- One database per service with two roles each: <svc>_owner owns everything and runs the migrations, <svc>_app is the
-- running service and changes rows only. Nobody else may connect, so no service reads another's tables.
-- A psql script that may run again and again; the passwords are for development on one machine.
\set ON_ERROR_STOP on
\set QUIET on

SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', service || kind, service || kind)
FROM unnest(ARRAY['auth', 'users', 'payments']) AS service, unnest(ARRAY['_owner', '_app']) AS kind
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = service || kind)
\gexec

SELECT format('CREATE DATABASE %I OWNER %I', service, service || '_owner')
FROM unnest(ARRAY['auth', 'users', 'payments']) AS service
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = service)
\gexec

SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname)
FROM pg_database WHERE datname IN ('auth', 'users', 'payments', 'postgres', 'template1')
\gexec

SELECT format('GRANT CONNECT ON DATABASE %I TO %I', service, service || '_app')
FROM unnest(ARRAY['auth', 'users', 'payments']) AS service
\gexec

-- Up to PostgreSQL 14 everybody may create tables in the schema `public`.
\connect auth
ALTER SCHEMA public OWNER TO auth_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO auth_app;

\connect users
ALTER SCHEMA public OWNER TO users_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO users_app;

\connect payments
ALTER SCHEMA public OWNER TO payments_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO payments_app;
