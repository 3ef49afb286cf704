-- The vault's tables and the functions of vaultd. A card's number is here only as ciphertext under a
-- data key that is here only wrapped; the key that unwraps it is never in PostgreSQL. A CVV is never
-- here at all. vaultd has EXECUTE on these functions and no right on any table, and a sealed card
-- leaves by one function only: reveal_grant.
SET LOCAL ROLE kometpay_owner;

-- Data keys, wrapped (AES-256-WRAP-PAD, 40 bytes) by a key that systemd gives vaultd as a credential.
-- check_value proves that a key was unwrapped right and belongs to this kid.
CREATE TABLE vault.data_key (
    kid            integer PRIMARY KEY CHECK (kid >= 1),
    kek            text NOT NULL CHECK (kek <> ''), -- name of the credential that wraps it
    wrapped        bytea NOT NULL UNIQUE CHECK (octet_length(wrapped) = 40),
    check_value    bytea NOT NULL CHECK (octet_length(check_value) = 16),
    seals_reserved bigint NOT NULL DEFAULT 0
        CHECK (seals_reserved BETWEEN 0 AND 268435456), -- 2^28: far below AES-GCM's 2^32 random nonces
    created_at     timestamptz NOT NULL DEFAULT now()
);

-- A deleted card keeps what old payments show of it and loses what could be opened.
CREATE TABLE vault.card (
    token       text PRIMARY KEY CHECK (token ~ '^tok_[0-9A-HJKMNP-TV-Z]{26}$'),
    customer    text NOT NULL CHECK (length(customer) BETWEEN 1 AND 40),
    fingerprint bytea CHECK (octet_length(fingerprint) = 32), -- keyed, of this customer only
    kid         integer REFERENCES vault.data_key (kid),
    nonce       bytea CHECK (octet_length(nonce) = 12),
    ciphertext  bytea CHECK (octet_length(ciphertext) BETWEEN 17 AND 1024),
    brand       text NOT NULL CHECK (length(brand) BETWEEN 1 AND 20),
    last_four   text NOT NULL CHECK (last_four ~ '^[0-9]{4}$'),
    expiry      text NOT NULL CHECK (expiry ~ '^(0[1-9]|1[0-2])[0-9]{2}$'),
    created_at  timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz,
    CONSTRAINT card_nonce_once UNIQUE (kid, nonce),
    CONSTRAINT card_sealed_or_deleted CHECK (
        CASE WHEN deleted_at IS NULL
             THEN num_nulls(fingerprint, kid, nonce, ciphertext) = 0
             ELSE num_nonnulls(fingerprint, kid, nonce, ciphertext) = 0 END)
);
CREATE UNIQUE INDEX card_once_per_customer ON vault.card (customer, fingerprint)
    WHERE deleted_at IS NULL;

-- One row an attempt that was given its card. `request` names vaultd's own asking, so that the same
-- asking repeated after a lost commit is not taken for a second one.
CREATE TABLE vault.reveal (
    attempt  text PRIMARY KEY CHECK (length(attempt) = 26),
    card_ref text NOT NULL,
    request  text NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER reveal_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON vault.reveal
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- The card that was stored at an attempt's reveal: its token belongs to the payment's answer.
CREATE TABLE vault.saved (
    attempt text PRIMARY KEY REFERENCES vault.reveal,
    token   text NOT NULL REFERENCES vault.card
);
CREATE TRIGGER saved_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON vault.saved
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- Calls that arrive together share one transaction. These two say what its commit must wait for: a
-- durable call wins over a lagging one, whichever came first.
CREATE FUNCTION vault.commit_durably() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('kometpay.durable', 'yes', true);
    SET LOCAL synchronous_commit TO DEFAULT; -- the session's own, checked by lib/database at connect
END $$;

CREATE FUNCTION vault.commit_may_lag() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(current_setting('kometpay.durable', true), '') <> 'yes' THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
END $$;

-- All data keys, oldest first.
CREATE FUNCTION vault.data_key_list()
    RETURNS TABLE (kid integer, kek text, wrapped bytea, check_value bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.kid, k.kek, k.wrapped, k.check_value FROM vault.data_key k ORDER BY k.kid
$$;

-- Stores the key that follows p_after (0 = the first), unless another vaultd was faster: then the
-- newest is returned and ours is dropped. Asked again after a lost commit it returns the same row.
-- Locks: the advisory lock of the vault's keys.
CREATE FUNCTION vault.data_key_create(p_after integer, p_kek text, p_wrapped bytea,
                                      p_check_value bytea)
    RETURNS TABLE (kid integer, kek text, wrapped bytea, check_value bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM vault.commit_durably();
    PERFORM pg_advisory_xact_lock(hashtext('kometpay vault.data_key'));
    IF coalesce((SELECT max(k.kid) FROM vault.data_key k), 0) = p_after THEN
        INSERT INTO vault.data_key AS k (kid, kek, wrapped, check_value)
        VALUES (p_after + 1, p_kek, p_wrapped, p_check_value);
    END IF;
    RETURN QUERY SELECT k.kid, k.kek, k.wrapped, k.check_value FROM vault.data_key k
                 ORDER BY k.kid DESC LIMIT 1;
END $$;

-- Sets aside up to p_count seals of the newest key, before any of their nonces is drawn; 0 when the
-- key is used up (p_cap seals) or no longer the newest. What a dead vaultd had set aside is lost, which is
-- harmless. Locks: the key's row.
CREATE FUNCTION vault.seal_reserve(p_kid integer, p_count bigint, p_cap bigint)
    RETURNS TABLE (granted bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_cap  bigint := least(p_cap, 268435456);
    v_used bigint;
    v_give bigint := 0;
BEGIN
    PERFORM vault.commit_durably();
    SELECT k.seals_reserved INTO v_used FROM vault.data_key k
     WHERE k.kid = p_kid AND NOT EXISTS (SELECT 1 FROM vault.data_key n WHERE n.kid > p_kid)
       FOR UPDATE;
    IF FOUND THEN
        v_give := greatest(0, least(p_count, v_cap - v_used));
        UPDATE vault.data_key SET seals_reserved = v_used + v_give WHERE kid = p_kid;
    END IF;
    RETURN QUERY SELECT v_give;
END $$;

-- Stores a sealed card, as part of the reveal that p_request asked for p_attempt: what a payment that
-- never began had to be stored is not. outcome STORED: new, or this token's record renewed (also when
-- asked again after a lost commit). OTHER: the customer has this card under the token in `stored`; seal
-- it for that token and ask again. AGAIN: that one was just deleted; ask again. NOT_REVEALED: the
-- attempt was not given a card by this request, or its payment has another customer; nothing stored.
-- Locks: the card's row.
CREATE FUNCTION vault.card_put(p_attempt text, p_request text, p_token text, p_customer text,
                               p_fingerprint bytea, p_kid integer, p_nonce bytea,
                               p_ciphertext bytea, p_brand text, p_last_four text, p_expiry text)
    RETURNS TABLE (outcome text, stored text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_token text;
BEGIN
    PERFORM vault.commit_durably();
    IF NOT EXISTS (SELECT 1 FROM vault.reveal r
                     JOIN payment.attempt a ON a.ref = r.attempt
                     JOIN payment.payment p ON p.id = a.payment
                    WHERE r.attempt = p_attempt AND r.request = p_request
                      AND p.customer = p_customer) THEN
        RETURN QUERY SELECT 'NOT_REVEALED'::text, NULL::text;
        RETURN;
    END IF;
    INSERT INTO vault.card AS c (token, customer, fingerprint, kid, nonce, ciphertext, brand,
                                 last_four, expiry)
    VALUES (p_token, p_customer, p_fingerprint, p_kid, p_nonce, p_ciphertext, p_brand, p_last_four,
            p_expiry)
    ON CONFLICT (customer, fingerprint) WHERE deleted_at IS NULL DO UPDATE
        SET kid = excluded.kid, nonce = excluded.nonce, ciphertext = excluded.ciphertext,
            brand = excluded.brand, expiry = excluded.expiry, changed_at = now()
        WHERE c.token = excluded.token
    RETURNING c.token INTO v_token;
    IF v_token IS NOT NULL THEN
        INSERT INTO vault.saved (attempt, token) VALUES (p_attempt, v_token)
        ON CONFLICT (attempt) DO NOTHING;
        RETURN QUERY SELECT 'STORED'::text, v_token;
        RETURN;
    END IF;
    SELECT c.token INTO v_token FROM vault.card c
     WHERE c.customer = p_customer AND c.fingerprint = p_fingerprint AND c.deleted_at IS NULL;
    RETURN QUERY SELECT CASE WHEN v_token IS NULL THEN 'AGAIN' ELSE 'OTHER' END::text, v_token;
END $$;

-- What may be shown of a customer's stored card; no row for another customer's, unknown or deleted.
CREATE FUNCTION vault.card_find(p_token text, p_customer text)
    RETURNS TABLE (brand text, last_four text, expiry text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.brand, c.last_four, c.expiry FROM vault.card c
     WHERE c.token = p_token AND c.customer = p_customer AND c.deleted_at IS NULL
$$;

-- May this attempt have its card? Once, while it is SENDING, and only the card its payment names.
-- p_token: the stored card behind card_ref (card_ref itself, or the token that a hold refers to), or NULL
-- for a typed card. GRANTED comes with the sealed row of p_token; REFUSED with the reason in `why`.
-- The row of vault.reveal is a record of who asked, not money: if the server dies in the last moments
-- before it was flushed, the attempt itself still forbids a second sending, as its intent was
-- committed durably before this call. So this commit does not wait for the disk, and a payment
-- costs two durable commits and not three.
CREATE FUNCTION vault.reveal_grant(p_attempt text, p_card_ref text, p_token text, p_request text)
    RETURNS TABLE (outcome text, why text, payment text, token text, customer text, kid integer,
                   nonce bytea, ciphertext bytea, expiry text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_payment payment.payment%ROWTYPE;
    v_card    vault.card%ROWTYPE;
    v_why     text;
BEGIN
    PERFORM vault.commit_may_lag();
    SELECT p.* INTO v_payment FROM payment.attempt a JOIN payment.payment p ON p.id = a.payment
     WHERE a.ref = p_attempt AND a.state = 'SENDING' AND a.kind IN ('SALE', 'AUTH');
    IF NOT FOUND THEN
        v_why := 'attempt_not_sending';
    ELSIF v_payment.card_ref IS DISTINCT FROM p_card_ref THEN
        v_why := 'card_of_other_payment';
    ELSIF p_token IS NOT NULL THEN
        SELECT c.* INTO v_card FROM vault.card c
         WHERE c.token = p_token AND c.customer = v_payment.customer AND c.deleted_at IS NULL;
        IF NOT FOUND THEN
            v_why := 'card_unknown';
        END IF;
    END IF;
    IF v_why IS NULL THEN
        INSERT INTO vault.reveal (attempt, card_ref, request)
        VALUES (p_attempt, p_card_ref, p_request)
        ON CONFLICT (attempt) DO NOTHING;
        IF NOT EXISTS (SELECT 1 FROM vault.reveal r
                        WHERE r.attempt = p_attempt AND r.request = p_request) THEN
            v_why := 'already_revealed';
            v_card := NULL;
        END IF;
    END IF;
    RETURN QUERY SELECT CASE WHEN v_why IS NULL THEN 'GRANTED' ELSE 'REFUSED' END, v_why,
                        v_payment.id, v_card.token, v_card.customer, v_card.kid, v_card.nonce,
                        v_card.ciphertext, v_card.expiry;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA vault FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vault FROM PUBLIC;
GRANT USAGE ON SCHEMA vault TO kometpay_vaultd;
GRANT EXECUTE ON FUNCTION
    vault.data_key_list(),
    vault.data_key_create(integer, text, bytea, bytea),
    vault.seal_reserve(integer, bigint, bigint),
    vault.card_put(text, text, text, text, bytea, integer, bytea, bytea, text, text, text),
    vault.card_find(text, text),
    vault.reveal_grant(text, text, text, text)
    TO kometpay_vaultd;
