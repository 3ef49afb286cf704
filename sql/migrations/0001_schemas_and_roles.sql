-- Rooms and keys: the schemas, the owner of everything, the daemons' login roles, and the table of
-- applied migrations. Must never give a daemon a right on a table: daemons execute functions.
-- Run by a superuser (creates the roles) or, where the roles exist already, by kometpay_owner.

DO $$
DECLARE
    daemon text;
BEGIN
    IF to_regrole('kometpay_owner') IS NULL THEN
        CREATE ROLE kometpay_owner NOLOGIN;
    END IF;
    FOREACH daemon IN ARRAY ARRAY['kometpay_gatewayd', 'kometpay_vaultd', 'kometpay_settled'] LOOP
        IF to_regrole(daemon) IS NULL THEN
            EXECUTE format('CREATE ROLE %I LOGIN', daemon);
        END IF;
    END LOOP;
    IF NOT has_database_privilege('kometpay_owner', current_database(), 'CREATE') THEN
        EXECUTE format('GRANT CREATE ON DATABASE %I TO kometpay_owner', current_database());
    END IF;
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        -- Temporary objects could shadow names; nothing here needs them.
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS public.kometpay_migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

DO $$
BEGIN
    IF (SELECT relowner FROM pg_class WHERE oid = 'public.kometpay_migration'::regclass)
       <> 'kometpay_owner'::regrole THEN
        ALTER TABLE public.kometpay_migration OWNER TO kometpay_owner;
    END IF;
END
$$;

SET LOCAL ROLE kometpay_owner;

-- A new function is nobody's until it is granted.
ALTER DEFAULT PRIVILEGES FOR ROLE kometpay_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE SCHEMA payment;
CREATE SCHEMA vault;
CREATE SCHEMA books;
CREATE SCHEMA audit;
GRANT USAGE ON SCHEMA payment TO kometpay_gatewayd, kometpay_settled;
GRANT USAGE ON SCHEMA vault TO kometpay_vaultd;
GRANT USAGE ON SCHEMA books TO kometpay_settled;
GRANT USAGE ON SCHEMA audit TO kometpay_settled;

-- Refuses to change what may only grow. Bound as a statement trigger to every append-only table.
CREATE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'rows of %.% are never changed or removed', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'KP002';
END
$$;

-- A refusal in a clerk's words. lib/database.c makes an error of kind refused of it.
CREATE FUNCTION audit.refuse(p_code text, p_field text, p_sentence text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'KP001', MESSAGE = p_sentence, DETAIL = p_code || '|' || p_field;
END
$$;
