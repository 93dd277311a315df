"""How an annotator gets its work done: at once in scripts and tests, in a thread in the widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Executor(Protocol):
    """Runs work and hands back what came of it on the thread that owns the viewer."""

    def submit(
        self, work: Callable[[], Any], on_result: Callable[[Any], None], on_error: Callable[[Exception], None]
    ) -> None:
        """Run `work` somewhere, then call one of the two on the viewer's thread."""
        ...

    def tell(self, callback: Callable[[], None]) -> None:
        """Call back on the viewer's thread, from within work."""
        ...

    def defer(self, callback: Callable[[], None]) -> None:
        """Call back on the viewer's thread, once what is going on there has come to its end."""
        ...


class ImmediateExecutor:
    """Does everything at once, on the thread that asks. Errors reach the caller."""

    def submit(
        self, work: Callable[[], Any], on_result: Callable[[Any], None], on_error: Callable[[Exception], None]
    ) -> None:
        """Run `work` and hand over its result; an error is told to `on_error` and raised again."""
        try:
            result = work()
        except Exception as error:
            on_error(error)
            raise
        on_result(result)

    def tell(self, callback: Callable[[], None]) -> None:
        """Call back now."""
        callback()

    def defer(self, callback: Callable[[], None]) -> None:
        """Call back now."""
        callback()
