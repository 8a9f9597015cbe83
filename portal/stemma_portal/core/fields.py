"""Field types that every app uses."""

import uuid
from typing import Any, TypeVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from stemma.ids import new_id

Row = TypeVar("Row", bound=models.Model)


class IdField(models.UUIDField):
    """The primary key of everything: a UUIDv7 made by us, so that a fact can be stated twice.

    A `uuid` in the database, a string in Python: the form that documents and facts carry.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"primary_key": True, "default": new_id, "editable": False, **options})

    def to_python(self, value: Any) -> str | None:
        """The identifier as text."""
        return None if value is None else str(super().to_python(value))

    def from_db_value(self, value: uuid.UUID | None, expression: object, connection: object) -> str | None:  # noqa: ARG002 - Django's signature
        """The identifier as text."""
        return None if value is None else str(value)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:  # noqa: ARG002 - Django's signature
        """The identifier as the database's own type."""
        return None if value is None else uuid.UUID(str(super().to_python(value)))


def is_id(text: str) -> bool:
    """Whether the text is an identifier in its one spelling."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def by_id(rows: models.QuerySet[Row], identifier: object) -> Row | None:
    """The row with this identifier; none for what is no identifier."""
    text = str(identifier)
    return rows.filter(pk=text).first() if is_id(text) else None
