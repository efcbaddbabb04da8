"""What every command shares: the JSON envelope, failures as exit codes, progress.

On stdout goes the result and nothing else. With --json that is one object,
`{"schema": "ecgedge/1", "command": ..., "ok": ...}`, also when the command
fails. Without it a failure is one sentence on stderr.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ecgedge.errors import EcgedgeError, OutOfMemory, ReleaseError, UsageError

T = TypeVar("T")

INTERRUPTED = 130  # what a shell reports for a program stopped by Ctrl-C
_EXTRA_OF = {
    "torch": "train", "onnx": "train", "pydicom": "formats", "tuf": "sync", "urllib3": "sync",
    "wfdb": "central", "cryptography": "central", "fsspec": "central", "ray": "central",
    "s3fs": "s3",
}  # fmt: skip

#: How an allocation that failed is told by the dynamic loader, C++, threads and the system.
_MEMORY_WORDS = (
    "bad_alloc",
    "failed to map segment",
    "cannot allocate memory",
    "can't start new thread",
    "out of memory",
    "pthread_create",
    "resource temporarily unavailable",
)
#: How numpy says that it was built for a younger processor.
_OLD_PROCESSOR = "baseline optimizations"

json_option = click.option(
    "--json/--no-json", "as_json", default=False, help="Print one JSON object instead of text."
)


store_option = click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Release store to answer from [as configured, else built in].",
)

_ENGINE_OPTIONS = (
    store_option,
    click.option(
        "--encoder", metavar="ID", help="Encoder of the release [as configured, else its own]."
    ),
    click.option("--threads", type=click.IntRange(1), help="Cores to use [as configured, else 1]."),
)

_READING_OPTIONS = (
    click.option("--rate-hz", type=float, help="Samples a second, where the file does not say."),
    click.option("--unit", type=click.Choice(["mV", "uV", "V", "NU"]), help="Unit of the samples."),
    click.option("--leads", metavar="I,II,...", help="Lead names in the file's order."),
)


def engine_options(callback: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that keeps an engine: what answers, and with what."""
    for option in reversed(_ENGINE_OPTIONS):
        callback = option(callback)
    return callback


def reading_options(callback: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that reads a recording: what its file does not say."""
    for option in reversed(_READING_OPTIONS):
        callback = option(callback)
    return callback


def recording_options(callback: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that answers for a recording: how to read it, what answers."""
    return reading_options(store_option(callback))


def guarded(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a click callback the --json flag (as `as_json`) and turn its errors into exits.

    Put it under `@click.command`. name: the command's words, e.g. "index build".
    """

    def decorate(callback: Callable[..., None]) -> Callable[..., None]:
        @json_option
        @functools.wraps(callback)
        def wrapper(*args: Any, as_json: bool, **kwargs: Any) -> None:
            try:
                callback(*args, as_json=as_json, **kwargs)
            except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
                raise
            except Exception as error:
                raise click.exceptions.Exit(report_failure(name, error, as_json)) from None

        return wrapper

    return decorate


def emit(name: str, payload: Mapping[str, Any], as_json: bool, text: str) -> None:
    """Print a command's result: the envelope around payload, or the text.

    payload may hold numpy values and paths; numbers that are not finite become null.
    """
    click.echo(_line(name, True, payload) if as_json else text)


def _line(name: str, ok: bool, fields: Mapping[str, Any]) -> str:
    """A command's one JSON object."""
    from ecgedge.answer import SCHEMA  # not needed for `ecgedge --help`
    from ecgedge.envelope import dumps

    return dumps({"schema": SCHEMA, "command": name, "ok": ok, **fields})


def report_failure(name: str, error: BaseException, as_json: bool, **facts: Any) -> int:
    """Say what went wrong in the one agreed way and return its exit code.

    facts: further top-level fields of the JSON object, e.g. which source failed.
    """
    if os.environ.get("ECGEDGE_DEBUG") == "1":
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    kind, message, code = _describe(error)
    if as_json:
        told = {"type": kind, "message": message, "exit_code": code}
        click.echo(_line(name, False, {"error": told} | facts))
    else:
        click.echo(f"ecgedge: {message}", err=True)
    return code


def _describe(error: BaseException) -> tuple[str, str, int]:
    """(type, one sentence, exit code) of any exception."""
    if lacks_memory(error):
        short = _no_memory(error)
        return type(short).__name__, str(short), short.exit_code
    if isinstance(error, EcgedgeError):
        return type(error).__name__, str(error), error.exit_code
    if isinstance(error, click.ClickException):
        return "UsageError", " ".join(error.format_message().split()), error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "Interrupted", "stopped before it was done", INTERRUPTED
    package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if package in _EXTRA_OF:
        remedy = f"pip install 'ecgedge[{_EXTRA_OF[package]}]'"
        return "UsageError", f"this needs {package}, which is not installed: {remedy}", 2
    detail = " ".join(str(error).split()) or "no further detail"
    if _OLD_PROCESSOR in detail:
        return ReleaseError.__name__, f"this processor is too old: {detail}", ReleaseError.exit_code
    told = f"unexpected {type(error).__name__}: {detail} (ECGEDGE_DEBUG=1 shows where)"
    return EcgedgeError.__name__, told, EcgedgeError.exit_code


def lacks_memory(error: BaseException) -> bool:
    """Whether an error was raised, at its root, because memory ran out.

    What is wrong with an input stays so: a reader may say of a file that it is too large.
    """
    if isinstance(error, EcgedgeError) and not isinstance(error, ReleaseError | OutOfMemory):
        return False
    return any(map(_says_no_memory, _causes(error)))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was raised while handling, however deep."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


def _says_no_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | OutOfMemory):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM  # the loader's own errors have words alone
    told = str(error).lower()
    return any(words in told for words in _MEMORY_WORDS)


def _no_memory(error: BaseException) -> OutOfMemory:
    """One sentence: the innermost cause tells what failed."""
    if isinstance(error, OutOfMemory):
        return error
    lines = str(list(_causes(error))[-1]).strip().splitlines()
    detail = f" ({lines[0][:150]})" if lines else ""
    return OutOfMemory(
        f"not enough memory{detail}: end other programs, or allow this one more (ulimit -v)"
    )


def run(invoke: Callable[[], Any], arguments: Sequence[str]) -> int:
    """Call a click group in non-standalone mode and return the process' exit code.

    What click itself refuses (an unknown option, a missing argument) is reported
    in the envelope too when --json was given.
    """
    as_json = "--json" in arguments
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name or report that the terminal cannot spell must not end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        result = invoke()
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return UsageError.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        if context is not None and not as_json:
            click.echo(context.get_usage(), err=True)
        return report_failure(_command_words(context), error, as_json)
    except (click.Abort, KeyboardInterrupt) as error:
        return report_failure("ecgedge", error, as_json)
    except BrokenPipeError:
        # The reader (head, less) has gone. Nobody is left to tell, and Python's own
        # flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EcgedgeError.exit_code
    except Exception as error:  # a command's module that cannot be imported
        return report_failure("ecgedge", error, as_json)


def _command_words(context: click.Context | None) -> str:
    """ "index build" for a context inside it; "ecgedge" outside any command; the command's own
    name where it is a program by itself (`python -m export`).
    """
    root = context.find_root().command if context else None
    if root is not None and not isinstance(root, click.Group):
        return root.name or "ecgedge"
    words = (context.command_path if context else "").split()[1:]
    return " ".join(words) or "ecgedge"


def progress(iterable: Iterable[T], label: str, length: int | None = None) -> Iterator[T]:
    """Pass items through, showing a bar on stderr, or one line at the end if it is no terminal."""
    if sys.stderr.isatty():
        with click.progressbar(iterable, length=length, label=label, file=sys.stderr) as bar:
            yield from bar
        return
    done = 0
    for item in iterable:
        yield item
        done += 1
    click.echo(f"{label}: {done} done", err=True)
