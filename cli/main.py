"""The entry point of `argosy`, where every error ends as one sentence.

Nothing heavy is imported here: `argosy --help` and the commonest lists are answered by cli/fast_path.py before click is
loaded, everything else by cli/root_command.py.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point of the `argosy` command: one sentence for every error, never a traceback."""
    try:
        from cli.fast_path import answer

        if answer(sys.argv[1:]):
            sys.stdout.flush()
            return
        from cli.root_command import cli

        cli.main(prog_name="argosy", standalone_mode=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # the reader (head, less) has closed the pipe: print nothing more, also not when Python flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("ARGOSY_DEBUG"):
            raise
        print(f"Error: {_sentence(error)}", file=sys.stderr)
        sys.exit(1)


def _sentence(error: Exception) -> str:
    from api.errors import ArgosyError

    if isinstance(error, ArgosyError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error} (set ARGOSY_DEBUG=1 to see where)"


if __name__ == "__main__":
    main()
