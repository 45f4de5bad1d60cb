"""What each fault does, in words: the list that ``harness simulate --list-faults`` prints. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.simulator.faults import AFTER_CALL, BEFORE_CALL, ENDPOINT, Fault

MEANINGS: Mapping[Fault, str] = {
    Fault.RATE_LIMITED: "429, with Retry-After when retry_after_s is given",
    Fault.SERVER_ERROR: "a 5xx (status) in the API's place, with body if given; 502 is an HTML page",
    Fault.RESET_BEFORE: "the connection is reset and the call has no effect",
    Fault.RESET_AFTER: "the call takes effect, then the connection is reset",
    Fault.ERROR_AFTER: "the call takes effect, then a 5xx (status) is answered",
    Fault.FORBIDDEN: "403: the API key has been revoked",
    Fault.SLOW_ANSWER: "the answer comes after seconds",
    Fault.CLOCK_SKEW: "403 for the signature, and a Date header that is seconds ahead",
    Fault.BUSY: "409: another operation is in progress",
    Fault.NO_CAPACITY: "412 on create or scale; subject may be a GPU family",
    Fault.NO_REFERENCE: "the operation does not say what it is about",
    Fault.UNLISTED: "the deployment is missing from the list for seconds after its create",
    Fault.OPERATION_UNKNOWN: "the operation's id is 404 for seconds",
    Fault.OPERATION_STUCK: "the operation stays pending for seconds, then ends in timeout",
    Fault.OPERATION_FAILED: "the operation ends in failure with message",
    Fault.DEPLOYMENT_ERROR: "the engine ends with message, the deployment in error",
    Fault.DEPLOYMENT_STUCK: "the deployment never leaves a state; operation is the state's name",
    Fault.SLOW_START: "the engine takes factor times as long to start",
    Fault.UNKNOWN_STATE: "half of the time in a state (operation) is shown as another (state)",
    Fault.KEY_LATE: "the endpoint's key is 404 for seconds after ready",
    Fault.URL_UNAVAILABLE: "the endpoint answers 503 for seconds after ready",
    Fault.PARAMETERS_DROPPED: "the deployment shows no parameters, as if they had been ignored",
    Fault.DEAD_REPLICA: "503 for each every-th request",
    Fault.HTML: "200 with an HTML page",
    Fault.EMPTY_STREAM: "an event stream without an event",
    Fault.DISCONNECT: "the connection is reset after three events",
    Fault.TRUNCATED_JSON: "the fourth event is cut in the middle",
    Fault.NO_DONE: "the stream ends without [DONE]",
    Fault.NO_USAGE: "the usage chunk is missing",
    Fault.WRONG_USAGE: "the usage claims seven completion tokens too many",
    Fault.ERROR_EVENT: "an error event after three good ones, then [DONE]",
    Fault.STALL: "a pause of seconds after three events",
    Fault.DUPLICATE_CHUNKS: "every event comes twice",
    Fault.MERGED_CHUNKS: "events come in pairs",
    Fault.LATE_ROLE: "a pause of seconds between the first event and the rest",
    Fault.SLOW_REPLICA: "each event is held back by seconds, for each every-th request",
    Fault.ENGINE_RESTART: "the engine ends with all its requests; a new one serves after seconds",
}


def guide() -> Iterator[str]:
    """The list's lines, in groups."""
    groups = (
        ("a call of the API (operation: its OpenAPI name)", (*BEFORE_CALL, *AFTER_CALL)),
        (
            "the life cycle",
            tuple(fault for fault in Fault if fault not in (*BEFORE_CALL, *AFTER_CALL, *ENDPOINT)),
        ),
        ("an endpoint's answers (operation: inference)", ENDPOINT),
    )
    for title, faults in groups:
        yield f"{title}:"
        for fault in faults:
            yield f"  {fault.value:<20}{MEANINGS[fault]}"
