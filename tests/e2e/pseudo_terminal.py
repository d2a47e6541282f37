"""Runs a program at a pseudo-terminal: reads what it shows, and types input."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65_536
ROWS, COLUMNS = 50, 120
# More than `config run --wait` is given.
PATIENCE_SECONDS = 240
# A spinner that was erased.
ERASED = re.compile(r"[^\n]*\r\x1b\[2K")
# Colours and cursor movements.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class PseudoTerminal:
    """A program with all its streams at a terminal. It is killed at the end of the block."""

    def __init__(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        directory: Path,
        columns: int = COLUMNS,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=dict(environment),
            cwd=directory,
            start_new_session=True,
        )
        os.close(slave)
        # The output so far, with escape sequences.
        self.raw = b""
        self._read_to = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.kill()
        os.close(self._master)

    @property
    def shown(self) -> str:
        """The output so far, without escape sequences and without what was erased."""
        return ESCAPES.sub("", ERASED.sub("", self.raw.decode(errors="replace"))).replace("\r\n", "\n")

    def expect(self, text: str, timeout_seconds: float = PATIENCE_SECONDS) -> str:
        """Waits for `text` after the previous match; returns the output from there to its end."""
        deadline = time.monotonic() + timeout_seconds
        while (found := self.shown.find(text, self._read_to)) < 0:
            if not self._read(deadline):
                raise AssertionError(f"waited for {text!r}; the output is\n{self.shown[self._read_to :]}")
        begin, self._read_to = self._read_to, found + len(text)
        return self.shown[begin : self._read_to]

    def type(self, text: str) -> None:
        os.write(self._master, f"{text}\n".encode())

    def answer(self, question: str, text: str) -> str:
        """Answers a question; returns the output up to the question."""
        shown = self.expect(question)
        self.expect(": ")
        self.type(text)
        return shown

    def wait(self, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """Reads until the program ends; returns its exit status."""
        deadline = time.monotonic() + timeout_seconds
        while self._read(deadline):
            pass
        return self.process.wait(max(1.0, deadline - time.monotonic()))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            chunk = os.read(self._master, CHUNK_BYTES)
        except OSError:
            # The program has ended, and the other end is closed.
            return False
        self.raw += chunk
        return bool(chunk)
