"""How far a file is, told one way wherever it is told: in lists and tables, by the server and by the browser."""

from stemma_portal.audio.models import Upload

State = Upload.State
STATES: dict[str, tuple[str, str]] = {
    # Only the browser knows these: of a file that it is sending.
    "queued": ("expired", "Waits for its turn"),
    "sending": ("open", "On its way"),
    "paused": ("expired", "Paused"),
    "failed": ("revoked", "Stopped"),
    State.WAITING: ("partial", "Needs you"),
    State.UPLOADING: ("expired", "Begun"),
    State.CHECKING: ("open", "Being looked at"),
    State.TAKEN: ("active", "Taken"),
    State.UNPACKED: ("active", "Unpacked"),
    State.REFUSED: ("revoked", "Refused"),
    State.CANCELLED: ("expired", "Taken back"),
}
"""The badge's tone, as that of a state of `design`, and its words; in the order in which they are counted."""
LISTED = (State.WAITING, State.UPLOADING, State.CHECKING, State.TAKEN, State.REFUSED)
"""Those that the page of all files has a list of."""
