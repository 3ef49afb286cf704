-- Payments and their attempts at the processor: the tables, the machine of states, the story.
-- Must never allow a step that payment.transition doesn't name, nor a change of a final outcome.
SET LOCAL ROLE kometpay_owner;

-- A running gatewayd. Its payments are taken over only after it was proved dead.
CREATE TABLE payment.instance (
    id text PRIMARY KEY,
    host text NOT NULL,
    boot_id text NOT NULL,
    pid integer NOT NULL,
    process_start text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz
);

CREATE TABLE payment.payment (
    id text PRIMARY KEY,
    location text NOT NULL,
    customer text,
    kind text NOT NULL CHECK (kind IN ('SALE', 'AUTH')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    entry text NOT NULL,
    card_ref text NOT NULL,
    card_token text,
    brand text NOT NULL,
    last_four text NOT NULL CHECK (length(last_four) = 4),
    expiry text NOT NULL,
    description text,
    pos text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX payment_of_customer ON payment.payment (customer) WHERE customer IS NOT NULL;
CREATE TRIGGER payment_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON payment.payment
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- The wanted split over invoices.
CREATE TABLE payment.invoice_part (
    payment text NOT NULL REFERENCES payment.payment,
    invoice text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    position integer NOT NULL,
    PRIMARY KEY (payment, invoice)
);
CREATE INDEX invoice_part_of_invoice ON payment.invoice_part (invoice);
CREATE TRIGGER invoice_part_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON payment.invoice_part
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- The machine. from_state '' is the insert. sql/states.py draws sql/STATES.md from these rows.
CREATE TABLE payment.transition (
    kind text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    why text NOT NULL,
    PRIMARY KEY (kind, from_state, to_state)
);

INSERT INTO payment.transition (kind, from_state, to_state, why)
SELECT k.kind, t.from_state, t.to_state, t.why
  FROM (VALUES ('SALE'), ('AUTH'), ('CAPTURE'), ('VOID'), ('REFUND')) AS k (kind)
 CROSS JOIN (VALUES
-- states: SALE AUTH CAPTURE VOID REFUND
    ('', 'SENDING', 'intent committed'),
    ('SENDING', 'APPROVED', 'the processor said yes'),
    ('SENDING', 'DECLINED', 'the processor said no'),
    ('SENDING', 'UNKNOWN', 'no clear answer, or the sender died'),
    ('SENDING', 'NOT_SENT', 'proved that nothing left this host'),
    ('SENDING', 'REFUSED', 'the processor answered that it does not do it'),
    ('UNKNOWN', 'APPROVED', 'found approved'),
    ('UNKNOWN', 'DECLINED', 'found declined'),
    ('UNKNOWN', 'NOT_CHARGED', 'not found after the horizon; watched'),
    ('UNKNOWN', 'REVIEW', 'contradictory, or unresolved for a day'),
    ('REVIEW', 'APPROVED', 'found approved'),
    ('REVIEW', 'DECLINED', 'found declined'),
    ('REVIEW', 'NOT_CHARGED', 'not found after the horizon; watched')
-- end
 ) AS t (from_state, to_state, why);

INSERT INTO payment.transition (kind, from_state, to_state, why)
SELECT k.kind, t.from_state, t.to_state, t.why
  FROM (VALUES ('SALE'), ('AUTH')) AS k (kind)
 CROSS JOIN (VALUES
-- states: SALE AUTH
    ('SENDING', 'REVERSING', 'approved, but cancelled or for a part only'),
    ('UNKNOWN', 'REVERSING', 'found approved, but cancelled'),
    ('UNKNOWN', 'REVERSED', 'found voided already'),
    ('REVERSING', 'REVERSED', 'the processor shows it voided or refunded'),
    ('REVERSING', 'NOT_CHARGED', 'the processor shows nothing after the horizon'),
    ('REVERSING', 'REVIEW', 'could not be reversed'),
    ('NOT_CHARGED', 'REVERSING', 'found approved late'),
    ('DECLINED', 'REVERSING', 'found approved at the close'),
    ('NOT_SENT', 'REVERSING', 'found approved at the close'),
    ('REFUSED', 'REVERSING', 'found approved at the close'),
    ('REVERSED', 'REVERSING', 'found approved at the close'),
    ('REVIEW', 'REVERSING', 'found approved, but cancelled'),
    ('REVIEW', 'REVERSED', 'found voided already')
-- end
 ) AS t (from_state, to_state, why);

INSERT INTO payment.transition (kind, from_state, to_state, why)
SELECT k.kind, t.from_state, t.to_state, t.why
  FROM (VALUES ('CAPTURE'), ('VOID'), ('REFUND')) AS k (kind)
 CROSS JOIN (VALUES
-- states: CAPTURE VOID REFUND
    ('NOT_CHARGED', 'APPROVED', 'found approved late')
-- end
 ) AS t (from_state, to_state, why);

CREATE TRIGGER transition_fixed BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON payment.transition
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TABLE payment.attempt (
    ref text PRIMARY KEY CHECK (length(ref) = 26),
    -- deferred: the key's row is inserted first, the payment it leads to after the checks
    payment text NOT NULL REFERENCES payment.payment DEFERRABLE INITIALLY DEFERRED,
    kind text NOT NULL,
    scope text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency text NOT NULL,
    state text NOT NULL,
    epoch integer NOT NULL DEFAULT 1,
    holder text NOT NULL,
    cancel_requested boolean NOT NULL DEFAULT false,
    processor text NOT NULL,
    account text NOT NULL,
    follows text,   -- the processor's id of the transaction it acts on
    parent text,    -- the attempt that a reversal takes back
    created_at timestamptz NOT NULL,
    closed_at timestamptz,    -- when our side stopped waiting for the answer
    horizon_at timestamptz,   -- nothing sent before can arrive after it
    seen_boot text,           -- first claimed in this boot of a host ...
    seen_boot_ms bigint,      -- ... at this time of its boot clock
    state_at timestamptz NOT NULL DEFAULT clock_timestamp(), -- in its present state since
    -- of a sale: its approval will be taken back, whatever is found; never unset
    must_not_stand boolean NOT NULL DEFAULT false,
    next_try_at timestamptz,
    claimed_at timestamptz,   -- a resolver is at it since
    tries integer NOT NULL DEFAULT 0,
    absent_at timestamptz,    -- first well-formed 'not found' after the horizon
    processor_id text,
    -- the attempt's last event and its hash, so that none can be cut off; NULL: its first is its last
    event_number integer,
    event_hash bytea,
    authorisation_code text,
    approved_minor bigint,
    reason text,
    raw_code text,
    raw_message text,
    request_id text,
    avs text,
    csc text,
    batch text,
    UNIQUE (scope, key)
);
-- One live sale a payment, ever.
CREATE UNIQUE INDEX attempt_root ON payment.attempt (payment) WHERE kind IN ('SALE', 'AUTH');
CREATE INDEX attempt_follow_up ON payment.attempt (payment)
    WHERE kind IN ('CAPTURE', 'VOID', 'REFUND');
CREATE UNIQUE INDEX attempt_processor_id ON payment.attempt (processor, account, processor_id)
    WHERE processor_id IS NOT NULL;
CREATE INDEX attempt_due ON payment.attempt (next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX attempt_open ON payment.attempt (holder)
    WHERE state IN ('SENDING', 'UNKNOWN', 'REVERSING', 'REVIEW');
CREATE INDEX attempt_created ON payment.attempt (created_at);
CREATE INDEX attempt_closed ON payment.attempt (closed_at) WHERE closed_at IS NOT NULL;

-- What was done to payments later. Its condition is that of the index attempt_follow_up, so that
-- whoever asks for one kind of them finds it by payment.
CREATE VIEW payment.follow_up AS
    SELECT * FROM payment.attempt WHERE kind IN ('CAPTURE', 'VOID', 'REFUND');

CREATE FUNCTION payment.attempt_guard() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.ref, NEW.payment, NEW.kind, NEW.scope, NEW.key, NEW.fingerprint, NEW.amount_minor,
            NEW.currency, NEW.processor, NEW.account, NEW.created_at)
           IS DISTINCT FROM
           (OLD.ref, OLD.payment, OLD.kind, OLD.scope, OLD.key, OLD.fingerprint, OLD.amount_minor,
            OLD.currency, OLD.processor, OLD.account, OLD.created_at) THEN
            RAISE EXCEPTION 'attempt %: what was asked for never changes', OLD.ref
                USING ERRCODE = 'KP002';
        END IF;
        IF NEW.epoch < OLD.epoch OR (OLD.cancel_requested AND NOT NEW.cancel_requested)
           OR (OLD.must_not_stand AND NOT NEW.must_not_stand) THEN
            RAISE EXCEPTION 'attempt %: epoch and cancellation only go forward', OLD.ref
                USING ERRCODE = 'KP002';
        END IF;
        IF NEW.state = OLD.state THEN
            RETURN NEW;
        END IF;
        IF NEW.state = 'APPROVED' AND OLD.must_not_stand THEN
            RAISE EXCEPTION 'attempt %: it was being taken back and never stands again', OLD.ref
                USING ERRCODE = 'KP002';
        END IF;
        NEW.state_at := clock_timestamp();
        NEW.must_not_stand := NEW.must_not_stand OR NEW.state = 'REVERSING';
    END IF;
    PERFORM 1 FROM payment.transition t
      WHERE t.kind = NEW.kind AND t.to_state = NEW.state
        AND t.from_state = CASE TG_OP WHEN 'INSERT' THEN '' ELSE OLD.state END;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'attempt %: % may not go from % to %', NEW.ref, NEW.kind,
            CASE TG_OP WHEN 'INSERT' THEN 'nothing' ELSE OLD.state END, NEW.state
            USING ERRCODE = 'KP002';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER attempt_guard BEFORE INSERT OR UPDATE ON payment.attempt
    FOR EACH ROW EXECUTE FUNCTION payment.attempt_guard();

-- After these the machine does nothing more by itself; only the day's close may find that a sale
-- told as not charged stands at the processor, and then it is taken back.
CREATE FUNCTION payment.is_final(p_state text) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN p_state IN ('APPROVED', 'DECLINED', 'NOT_SENT', 'REFUSED', 'REVERSED');

-- Append-only story; number counts within the payment, and each row's hash covers the one before.
CREATE TABLE payment.event (
    payment text NOT NULL,
    number integer NOT NULL,
    attempt text NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    actor text NOT NULL,
    note text NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (payment, number)
);
CREATE TRIGGER event_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON payment.event
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- An attempt is deleted only by the very call that inserted it and then refused: it has no event.
CREATE FUNCTION payment.attempt_guard_delete() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM 1 FROM payment.event e WHERE e.payment = OLD.payment AND e.attempt = OLD.ref;
    IF FOUND THEN
        RAISE EXCEPTION 'attempt % has begun and is never removed', OLD.ref USING ERRCODE = 'KP002';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER attempt_guard_delete BEFORE DELETE ON payment.attempt
    FOR EACH ROW EXECUTE FUNCTION payment.attempt_guard_delete();
CREATE TRIGGER attempt_stays BEFORE TRUNCATE ON payment.attempt
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE FUNCTION payment.event_hash(p_previous bytea, p_payment text, p_number integer,
                                   p_attempt text, p_at timestamptz, p_kind text, p_from text,
                                   p_to text, p_actor text, p_note text) RETURNS bytea
LANGUAGE sql STABLE
RETURN sha256(p_previous || convert_to(
    format('%L,%s,%L,%s,%L,%L,%L,%L,%L', p_payment, p_number, p_attempt,
           (extract(epoch FROM p_at) * 1000000)::bigint, p_kind, p_from, p_to, p_actor, p_note),
    'UTF8'));

-- The last event of an attempt: stands on the attempt too, so that a story's end can't be cut off.
CREATE TYPE payment.event_end AS (number integer, hash bytea);

-- Appends one event after the last of the payment. The caller holds the payment's root attempt
-- locked; two writers without it would meet at the primary key.
CREATE FUNCTION payment.event_insert(p_payment text, p_attempt text, p_kind text, p_from text,
                                     p_to text, p_actor text, p_note text)
RETURNS payment.event_end
LANGUAGE plpgsql
AS $$
DECLARE
    v_at timestamptz := clock_timestamp();
    v_end payment.event_end;
BEGIN
    INSERT INTO payment.event AS n (payment, number, attempt, at, kind, from_state, to_state, actor,
                                    note, previous_hash, hash)
    SELECT p_payment, l.number + 1, p_attempt, v_at, p_kind, p_from, p_to, coalesce(p_actor, ''),
           coalesce(p_note, ''), l.hash,
           payment.event_hash(l.hash, p_payment, l.number + 1, p_attempt, v_at, p_kind, p_from, p_to,
                              coalesce(p_actor, ''), coalesce(p_note, ''))
      FROM (SELECT e.number, e.hash FROM payment.event e WHERE e.payment = p_payment
             ORDER BY e.number DESC LIMIT 1) AS l
    RETURNING n.number, n.hash INTO v_end;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'payment % has no first event', p_payment USING ERRCODE = 'KP002';
    END IF;
    RETURN v_end;
END
$$;

-- The same where nothing else of the attempt changes.
CREATE FUNCTION payment.event_append(p_payment text, p_attempt text, p_kind text, p_from text,
                                     p_to text, p_actor text, p_note text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_end payment.event_end;
BEGIN
    v_end := payment.event_insert(p_payment, p_attempt, p_kind, p_from, p_to, p_actor, p_note);
    UPDATE payment.attempt a SET event_number = v_end.number, event_hash = v_end.hash
     WHERE a.ref = p_attempt;
END
$$;

-- The first bad row over all payments; no row when all is well.
CREATE FUNCTION payment.event_verify() RETURNS TABLE (payment text, number integer, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.payment, c.number, c.problem
      FROM (SELECT e.payment, 1 AS turn, e.number,
                   CASE
                       WHEN e.place <> e.number THEN format('event %s was removed', e.place)
                       WHEN e.hash <> payment.event_hash(e.previous_hash, e.payment, e.number,
                                e.attempt, e.at, e.kind, e.from_state, e.to_state, e.actor, e.note)
                           THEN format('event %s was changed', e.number)
                       WHEN e.previous_hash <> e.hash_before
                           THEN format('event %s does not follow the one before', e.number)
                   END AS problem
              FROM (SELECT v.*, row_number() OVER w AS place,
                           lag(v.hash, 1, sha256(convert_to(v.payment, 'UTF8'))) OVER w
                               AS hash_before
                      FROM payment.event v
                    WINDOW w AS (PARTITION BY v.payment ORDER BY v.number)) AS e
            UNION ALL
            -- each attempt knows its last event, which tells the state that the attempt is in
            SELECT a.payment, 2, coalesce(a.event_number, l.number, 2147483647),
                   CASE
                       WHEN l.number IS NULL OR l.number < a.event_number
                            OR (a.event_number IS NULL AND a.kind NOT IN ('SALE', 'AUTH'))
                           THEN format('the last event of attempt %s is missing', a.ref)
                       WHEN l.number <> coalesce(a.event_number, 1)
                            OR l.hash <> coalesce(a.event_hash, l.hash)
                            OR l.to_state <> a.state
                           THEN format('attempt %s does not agree with its last event', a.ref)
                   END
              FROM payment.attempt a
              LEFT JOIN LATERAL (SELECT e.number, e.hash, e.to_state FROM payment.event e
                                  WHERE e.payment = a.payment AND e.attempt = a.ref
                                  ORDER BY e.number DESC LIMIT 1) AS l ON true) AS c
     WHERE c.problem IS NOT NULL
     ORDER BY c.payment, c.turn, c.number
     LIMIT 1
$$;
GRANT EXECUTE ON FUNCTION payment.event_verify() TO kometpay_settled;
