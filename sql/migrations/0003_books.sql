-- The books: locations, customers, invoices, what payments were applied to them, and the money's
-- journal. Must never lose a cent: an application or a journal row is only ever followed by its
-- opposite, and an invoice's open amount stays between nothing and its whole.
SET LOCAL ROLE kometpay_owner;

CREATE TABLE books.location (
    code text PRIMARY KEY CHECK (length(code) BETWEEN 1 AND 20),
    name text NOT NULL,
    time_zone text NOT NULL,
    processor text NOT NULL,
    account text NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    enabled boolean NOT NULL
);

CREATE TABLE books.customer (
    customer text PRIMARY KEY CHECK (length(customer) BETWEEN 1 AND 40),
    name text NOT NULL,
    email text NOT NULL DEFAULT ''
);

CREATE TABLE books.invoice (
    invoice text PRIMARY KEY CHECK (length(invoice) BETWEEN 1 AND 40),
    customer text NOT NULL REFERENCES books.customer,
    location text NOT NULL REFERENCES books.location,
    invoice_date date NOT NULL,
    due_date date NOT NULL CHECK (due_date >= invoice_date),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    open_minor bigint NOT NULL CHECK (open_minor BETWEEN 0 AND amount_minor),
    currency text NOT NULL,
    state text NOT NULL GENERATED ALWAYS AS (
        CASE open_minor WHEN 0 THEN 'PAID' WHEN amount_minor THEN 'OPEN' ELSE 'PARTLY_PAID' END
    ) STORED
);
CREATE INDEX invoice_of_customer ON books.invoice (customer, invoice);

-- An ERP's export while its pieces arrive; the invoices themselves change at its end, or not at all.
CREATE TABLE books.import (
    import text PRIMARY KEY CHECK (length(import) BETWEEN 1 AND 40),
    begun_at timestamptz NOT NULL,
    result jsonb -- of its end, once it had one
);
CREATE TABLE books.import_line (
    import text NOT NULL REFERENCES books.import ON DELETE CASCADE,
    line integer NOT NULL,
    invoice text NOT NULL,
    customer text NOT NULL,
    customer_name text NOT NULL,
    location text NOT NULL,
    invoice_date date NOT NULL,
    due_date date NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    PRIMARY KEY (import, line)
);

-- What an attempt moved on an invoice: paid (positive) or given back (negative).
CREATE TABLE books.application (
    attempt text NOT NULL,
    invoice text NOT NULL REFERENCES books.invoice,
    payment text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    at timestamptz NOT NULL,
    PRIMARY KEY (attempt, invoice)
);
CREATE INDEX application_of_payment ON books.application (payment);
CREATE TRIGGER application_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON books.application
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- Double entry: a row is a whole entry of two lines, so that none can be out of balance.
CREATE TABLE books.journal (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    payment text NOT NULL,
    attempt text NOT NULL,
    location text NOT NULL,
    debit text NOT NULL,
    credit text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    CHECK (debit <> credit)
);
CREATE TRIGGER journal_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON books.journal
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- The same as lines, as an accounting program reads them.
CREATE VIEW books.journal_line AS
    SELECT j.number, j.at, j.payment, j.attempt, j.location, l.account, l.debit_minor,
           l.credit_minor, j.currency
      FROM books.journal j
      CROSS JOIN LATERAL (VALUES (1, j.debit, j.amount_minor, 0::bigint),
                                 (2, j.credit, 0::bigint, j.amount_minor))
           AS l (line, account, debit_minor, credit_minor);

-- Money without a place in accounting: a person reconciles it by hand.
CREATE TABLE books.suspense (
    attempt text NOT NULL,
    reason text NOT NULL CHECK (reason IN ('VIRTUAL_TERMINAL', 'OVERPAYMENT', 'REFUND')),
    payment text NOT NULL,
    location text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    since timestamptz NOT NULL,
    cleared_at timestamptz,
    cleared_by text,
    PRIMARY KEY (attempt, reason),
    CHECK ((cleared_at IS NULL) = (cleared_by IS NULL))
);

-- The one run of a day's close that may still put items and be matched: the last one begun.
CREATE TABLE books.close_run (
    location text NOT NULL REFERENCES books.location,
    day date NOT NULL,
    run uuid NOT NULL,
    begun_at timestamptz NOT NULL,
    day_over boolean NOT NULL, -- when it began: only then can its lists be whole
    items bigint NOT NULL DEFAULT 0, -- kept so far
    PRIMARY KEY (location, day)
);

-- The processor's own words, as fetched for one run of a day's close. `account`: whose key asked.
CREATE TABLE books.processor_item (
    location text NOT NULL,
    day date NOT NULL,
    run uuid NOT NULL,
    part smallint NOT NULL CHECK (part BETWEEN -1 AND 1), -- just before the day, in it, just after
    processor text NOT NULL,
    account text NOT NULL,
    processor_id text NOT NULL,
    reference text NOT NULL,
    kind text NOT NULL,
    result text NOT NULL CHECK (result IN ('APPROVED', 'DECLINED', 'VOIDED', 'UNFINISHED')),
    amount_minor bigint NOT NULL,
    last_four text NOT NULL,
    follows text NOT NULL,
    batch text NOT NULL,
    created text NOT NULL,
    PRIMARY KEY (location, day, run, processor, processor_id)
);

-- What the processor says of the batches that the run's items are in.
CREATE TABLE books.processor_batch (
    location text NOT NULL,
    day date NOT NULL,
    run uuid NOT NULL,
    processor text NOT NULL,
    account text NOT NULL,
    batch text NOT NULL,
    state text NOT NULL CHECK (state IN ('OPEN', 'PENDING', 'CLOSED', 'FAILED', 'NONE')),
    PRIMARY KEY (location, day, run, processor, account, batch)
);

-- The last result of a day's close; a new run replaces it.
CREATE TABLE books.day_close (
    location text NOT NULL REFERENCES books.location,
    day date NOT NULL,
    run uuid NOT NULL,
    at timestamptz NOT NULL,
    day_over boolean NOT NULL,
    balanced boolean NOT NULL,
    ours_count bigint NOT NULL,
    ours_gross_minor bigint NOT NULL,
    ours_refund_minor bigint NOT NULL,
    theirs_count bigint NOT NULL,
    theirs_gross_minor bigint NOT NULL,
    theirs_refund_minor bigint NOT NULL,
    net_minor bigint NOT NULL,
    currency text NOT NULL,
    batches text NOT NULL,
    differences jsonb NOT NULL,
    PRIMARY KEY (location, day)
);
