"""What can go wrong: Rollcall is away, Rollcall refuses, or a webhook is not from Rollcall."""


class RollcallError(Exception):
    """Rollcall gave no usable answer. Whoever was asked about is to be treated as not let in."""


class RollcallAway(RollcallError):
    """Rollcall did not answer in time, or what it answered was none of its answers. Asking again may help."""


class RollcallRefused(RollcallError):
    """Rollcall answered, and refused: the *code* is for programs, the *detail* for people."""

    def __init__(self, status: int, code: str, detail: str, request_id: str | None) -> None:
        super().__init__(f"{status} {code}: {detail} (request {request_id})")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id


class WebhookNotVerified(Exception):
    """A call that claims to be a webhook of Rollcall is not signed with the secret, or is too old."""
