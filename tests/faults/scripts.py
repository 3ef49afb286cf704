"""What the processor does meanwhile: the gateway row of the fault matrix, as faults put on order
before the act. A script whose answer is unclear leads the resolver through its look-ups, so its
kill points come from a recording of its own."""

from dataclasses import dataclass, field


@dataclass
class Script:
    faults: list = field(default_factory=list)
    settings: dict = field(default_factory=dict)
    recording: str = "none"     # the script whose system calls are its kill points
    late: bool = False          # executed after the horizon: a consistent end, not each moment
    paths: tuple = ()           # only in these; () = in every money path


def money(fault, **more):
    """Strikes the first money request."""
    return [{"fault": fault, "op": op, **more} for op in ("sale", "auth", "capture", "void",
                                                          "refund")]


def unclear(fault, *after, **more):
    return Script(money(fault, **more) + list(after), recording="answer_lost")


def search(fault, **more):
    return {"fault": fault, "op": "search", **more}


SCRIPTS = {
    "none": Script(),
    # no connection, or one that breaks
    "tls_close": Script([{"fault": "tls_close"}]),
    "accept_close": Script([{"fault": "accept_close"}]),
    "reset_after_headers": unclear("reset_after_headers"),
    "reset_mid_request": unclear("reset_mid_request"),
    "reset_before": unclear("reset_before"),
    # executed, and the answer doesn't come, or comes slowly
    "answer_lost": unclear("answer_lost"),
    "answer_reset": unclear("answer_reset"),
    "reset_mid_answer": unclear("reset_mid_answer"),
    "silent": unclear("silent"),
    "slow": Script(money("slow_first_byte", seconds=0.2)),
    "byte_per_second": unclear("byte_per_second", seconds=0.2),
    "headers_then_pause": unclear("headers_then_pause", seconds=3),
    "late": unclear("late_execution", seconds=0.1),
    "later_than_patience": unclear("late_execution", seconds=0.1, silent=True),
    "after_horizon": Script(money("late_execution", seconds=1.0), recording="answer_lost",
                            late=True),
    # another status
    "500_after_charge": unclear("500_after_charge"),
    "500_not_executed": unclear("500_not_executed"),
    "502_html": unclear("502_html"),
    "503_html": unclear("503_html"),
    "504_html": unclear("504_html"),
    "429": unclear("429"),
    "302": unclear("302"),
    "400": Script(money("400")),
    "401": Script(money("401")),
    # 200, and not the answer
    "html_200": unclear("html_200"),
    "empty_200": unclear("empty_200"),
    "big_body": unclear("big_body"),
    "gzip_bomb": unclear("gzip_bomb"),
    "deep_nesting": unclear("deep_nesting"),
    "truncated": unclear("truncated_json"),
    "wrong_length": unclear("wrong_length"),
    "bad_chunk": unclear("bad_chunk"),
    "nan": unclear("nan"),
    "duplicate_keys": unclear("duplicate_keys"),
    "invalid_utf8": unclear("invalid_utf8"),
    "foreign": unclear("foreign_answer"),
    "amount_differs": unclear("amount_differs"),
    "last_four_differs": unclear("last_four_differs"),
    "pending": unclear("pending_result"),
    "previously_approved": unclear("previously_approved_other_card"),
    "duplicate_402": unclear("duplicate_402"),
    # the look-up misleads
    "lost_then_lag": unclear("answer_lost", search("not_found_then_found", count=2)),
    "lost_then_hidden": unclear("answer_lost", search("not_found_though_executed", count=1)),
    "lost_then_search_500": unclear("answer_lost", search("search_500", count=3)),
    "lost_then_search_foreign": unclear("answer_lost", search("foreign_answer", count=2)),
    "lost_then_search_silent": unclear("answer_lost", search("silent")),
    "lost_then_two_rows": unclear("answer_lost", search("two_rows")),
    "not_sent_then_search_500": unclear("reset_before", search("search_500", count=2)),
    # acts on a transaction
    "void_unknown": Script([{"fault": "void_unknown", "op": "void"}], recording="answer_lost",
                           paths=("void", "cancel")),
    "void_batch_closed": Script([{"fault": "void_refused_batch_closed", "op": "void"}],
                                paths=("void",)),
    "lost_then_void_lost": unclear("answer_lost", {"fault": "void_answer_lost", "op": "void"}),
    # the day's close
    "close_lost": Script([{"fault": "batch_close_answer_lost", "op": "batch_close"}],
                         paths=("close",)),
    "close_pending": Script([{"fault": "batch_pending", "op": "batch_close", "seconds": 1}],
                            paths=("close",)),
    "close_failed": Script([{"fault": "batch_failed", "op": "batch_close"}], paths=("close",)),
    "close_list_500": Script([{"fault": "500_not_executed", "op": "batch", "count": 2}],
                             paths=("close",)),
    "close_search_500": Script([search("search_500", count=1)], paths=("close",)),
}


def scripts_of(path):
    """The names of the scripts that are played to this path."""
    return [name for name, script in SCRIPTS.items()
            if (path in script.paths if script.paths
                else path not in ("close", "cancel_first") or name == "none")]
