"""How bodies are received: what of them is read, how long they may take, and what becomes of one nobody wants."""

from typing import Any

from litestar import Request

from rollcall.scim.reader import check_shape

DEEPEST = 32
"""Levels that the JSON of a body may nest."""


class CarefulRequest(Request[Any, Any, Any]):
    """A request whose JSON is judged by its shape first: one with tens of thousands of members is never decoded."""

    async def json(self) -> Any:
        """The JSON that the body is.

        Raises:
            InvalidSyntax: an object or list has too many members, or it nests too deeply.
        """
        check_shape(await self.body(), depth=DEEPEST, lists=True)
        return await super().json()
