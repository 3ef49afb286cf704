-- The audit log: who did which privileged act to what, each row chained to the one before by a hash,
-- written in the transaction of the act itself. A sale never comes here; but the chain's head is one
-- row, locked until the commit, so acts (and what is committed with them) wait for one another.
SET LOCAL ROLE kometpay_owner;

CREATE TABLE audit.log (
    number bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    act text NOT NULL,
    object text NOT NULL,
    detail jsonb NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL
);
CREATE TRIGGER log_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.log
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- The end of the chain: without it, rows removed from the end could not be missed.
CREATE TABLE audit.head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    number bigint NOT NULL,
    hash bytea NOT NULL
);
INSERT INTO audit.head (number, hash) VALUES (0, sha256('kometpay audit log'));

CREATE FUNCTION audit.row_hash(p_previous bytea, p_number bigint, p_at timestamptz, p_actor text,
                               p_act text, p_object text, p_detail jsonb) RETURNS bytea
LANGUAGE sql STABLE
RETURN sha256(p_previous || convert_to(
    format('%s,%s,%L,%L,%L,%L', p_number, (extract(epoch FROM p_at) * 1000000)::bigint,
           p_actor, p_act, p_object, p_detail::text), 'UTF8'));

-- Appends one row. Locks audit.head: take every other lock before it.
CREATE FUNCTION audit.append(p_actor text, p_act text, p_object text, p_detail jsonb DEFAULT '{}')
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_at timestamptz;
    v_actor text := coalesce(p_actor, '');
    v_object text := coalesce(p_object, '');
    v_detail jsonb := coalesce(p_detail, '{}');
    v_head audit.head;
    v_hash bytea;
BEGIN
    SELECT * INTO STRICT v_head FROM audit.head FOR UPDATE;
    v_at := clock_timestamp();
    v_hash := audit.row_hash(v_head.hash, v_head.number + 1, v_at, v_actor, p_act, v_object,
                             v_detail);
    INSERT INTO audit.log (number, at, actor, act, object, detail, previous_hash, hash)
    VALUES (v_head.number + 1, v_at, v_actor, p_act, v_object, v_detail, v_head.hash, v_hash);
    UPDATE audit.head SET number = v_head.number + 1, hash = v_hash;
    RETURN v_head.number + 1;
END
$$;

-- The first row at which the chain breaks; no row when all is well.
CREATE FUNCTION audit.verify() RETURNS TABLE (number bigint, problem text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_row audit.log;
    v_head audit.head;
    v_expected bigint := 1;
    v_hash bytea := sha256('kometpay audit log');
BEGIN
    SELECT * INTO v_head FROM audit.head;
    FOR v_row IN SELECT * FROM audit.log l ORDER BY l.number LOOP
        IF v_row.number <> v_expected THEN
            RETURN QUERY SELECT v_expected, format('row %s was removed', v_expected);
            RETURN;
        END IF;
        IF v_row.hash <> audit.row_hash(v_row.previous_hash, v_row.number, v_row.at, v_row.actor,
                                        v_row.act, v_row.object, v_row.detail) THEN
            RETURN QUERY SELECT v_row.number, format('row %s was changed', v_row.number);
            RETURN;
        END IF;
        IF v_row.previous_hash <> v_hash THEN
            RETURN QUERY SELECT v_row.number,
                                format('row %s does not follow row %s', v_row.number,
                                       v_row.number - 1);
            RETURN;
        END IF;
        v_hash := v_row.hash;
        v_expected := v_expected + 1;
    END LOOP;
    IF v_head.number IS DISTINCT FROM v_expected - 1 OR v_head.hash IS DISTINCT FROM v_hash THEN
        RETURN QUERY SELECT v_expected, format('row %s was removed from the end', v_expected);
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION audit.verify() TO kometpay_settled;
