"""Compiled functions, and where they are cached.

Compiling all of them takes about a minute, so Numba caches them: beside the source, in the home folder's cache, or in
``NUMBA_CACHE_DIR``. If none of these is possible, as in a read-only container, every process compiles them anew and
says so in a single warning. Damaged cache files are compiled and written again.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numba
from numba.core.caching import FunctionCache
from numba.core.typeinfer import register_dispatcher

_WARNED: set[str] = set()
# What a function without counted references must not call: nothing would free the memory.
_ALLOCATING: Final = frozenset({"arange", "array", "copy", "empty", "full", "ones", "zeros"})


class _KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, whose errors never stop that function from being compiled."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:
            # A damaged pickle can raise anything. Without the index, all of the function's files count as absent.
            self._forget(error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            # For example, a full disk. The index may be new but name an old file.
            self._forget()
            _warn(f"{self.cache_path} cannot be written ({error.strerror or type(error).__name__})")

    def _forget(self, error: Exception | None = None) -> None:
        try:
            Path(self.cache_path, f"{self._impl.filename_base}.nbi").unlink(missing_ok=True)
        except OSError:
            if error is not None:
                _warn(f"the files of Numba in {self.cache_path} cannot be read ({type(error).__name__})")


def _warn(reason: str) -> None:
    if not _WARNED:
        warnings.warn(
            f"{reason}: every process compiles the generators anew, which takes up to a minute; "
            "set NUMBA_CACHE_DIR to a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )
    _WARNED.add(reason)


def kernel(
    function: Callable[..., Any] | None = None, *, signature: str = "", inline: str = "never", counted: bool = True
) -> Any:
    """Compile a function with Numba, without the interpreter's lock, and cache the result if possible.

    Args:
        function: the function to compile; its arguments are arrays and numbers.
        signature: types to compile it for at once, as a recursive function may need; otherwise it is compiled for the
            types that it is called with.
        inline: "always" inlines the code in each function that calls it.
        counted: whether references to arrays are counted, which a function needs that allocates any. Without, a view
            such as `positions[ply]` is a mere pointer; with, it may cost two atomic steps. Arrays that are arguments
            are held by the caller, so they outlive the call in any case.

    Raises:
        ValueError: a function whose references are not counted allocates an array.
    """
    if function is None:
        return lambda decorated: kernel(decorated, signature=signature, inline=inline, counted=counted)
    if not counted and (found := _ALLOCATING.intersection(function.__code__.co_names)):
        raise ValueError(f"{function.__name__} calls {min(found)}, so its references must be counted")
    dispatcher = numba.njit(nogil=True, inline=inline, _nrt=counted)(function)
    if numba.config.DISABLE_JIT:
        return dispatcher
    try:
        dispatcher._cache = _KernelCache(function)
    except RuntimeError:
        _warn("compiled functions can be kept neither beside the package nor in the home folder")
    if signature:
        with register_dispatcher(dispatcher):
            dispatcher.compile(signature)
            dispatcher.disable_compile()
    return dispatcher
