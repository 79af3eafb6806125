"""libnftables in this process, by ctypes: one transaction per call.

A context's socket belongs to the network namespace of the thread that made it. A call releases the interpreter's lock:
call it from a worker thread.
"""

from __future__ import annotations

import ctypes

from overlay.interface import NetworkFailure


class NftContext:
    """One libnftables context. Blocking; used by one thread at a time."""

    def __init__(self) -> None:
        library = ctypes.CDLL("libnftables.so.1")
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        library.nft_ctx_free.argtypes = [ctypes.c_void_p]
        library.nft_ctx_set_dry_run.argtypes = [ctypes.c_void_p, ctypes.c_bool]
        for function in (library.nft_ctx_buffer_error, library.nft_ctx_buffer_output):
            function.argtypes = [ctypes.c_void_p]
        for function in (library.nft_ctx_get_error_buffer, library.nft_ctx_get_output_buffer):
            function.argtypes = [ctypes.c_void_p]
            function.restype = ctypes.c_char_p
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self._library = library
        self._context = library.nft_ctx_new(0)
        library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_buffer_output(self._context)

    def run(self, commands: str) -> str:
        """Run commands as one transaction; returns their output. Raises NetworkFailure, and nothing is changed."""
        code = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        error = self._library.nft_ctx_get_error_buffer(self._context) or b""
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
        if code:
            raise NetworkFailure(f"nftables refused the rules: {error.decode(errors='replace').strip()}")
        return output.decode(errors="replace")

    def would_take(self, commands: str) -> bool:
        """Whether `run` would succeed; nothing is changed."""
        self._library.nft_ctx_set_dry_run(self._context, True)
        try:
            self.run(commands)
            return True
        except NetworkFailure:
            return False
        finally:
            self._library.nft_ctx_set_dry_run(self._context, False)

    def close(self) -> None:
        """Free the context."""
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = None
